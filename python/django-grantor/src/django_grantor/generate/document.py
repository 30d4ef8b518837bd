"""The text of config.toml."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..conf import is_loopback
from .secret import hash_secret
from .sql import Queries


@dataclass(frozen=True)
class Client:
    """A client of the document. settings: its further keys, as TOML has them."""

    id: str
    name: str
    settings: Sequence[tuple[str, str]]
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Document:
    """What the document says. dsn: the two lines of [users.sql] that name the database."""

    issuer: str
    listen: str
    store: str
    audience: str
    scopes: Mapping[str, str]
    user_scope: str
    queries: Queries
    dsn_lines: Sequence[str]
    clients: Sequence[Client]
    redis_url: str = ""
    admin_listen: str = ""
    jwt: bool = False
    key_file: str = ""

    def text(self) -> str:
        """Return the whole document."""
        parts = [self._head(), self._tokens(), self._scopes(), self._users(), *map(client_text, self.clients)]
        return "\n".join(p.rstrip("\n") + "\n" for p in parts if p)

    def _head(self) -> str:
        lines = [
            '# Grantor for this Django project, made by "manage.py grantor_config".',
            '# "grantor config check" tells every mistake. Grantor\'s own config.toml explains every key.',
            "",
            f"issuer = {toml(self.issuer)}",
            f"listen = {toml(self.listen)}",
            f"store = {toml(self.store)}"
            + ("  # for trials: tokens are lost at exit" if self.store == "memory" else ""),
        ]
        behind_proxy = self.issuer.startswith("https://")
        if behind_proxy:
            lines.append('trusted_proxies = ["127.0.0.1"]  # the proxy that serves TLS in front of Grantor')
            lines += ["", "[tls]", 'mode = "proxy"  # or "files", with cert_file and key_file']
        if self.store == "redis":
            lines += [
                "",
                "[redis]",
                f"url = {toml(self.redis_url)}  # appendonly yes, maxmemory-policy noeviction",
            ]
        if self.admin_listen:
            lines += ["", "[admin]", f"listen = {toml(self.admin_listen)}  # Django ends sessions here"]
        return "\n".join(lines)

    def _tokens(self) -> str:
        if not self.jwt:
            return ""
        lines = ["[tokens]", 'access_token_format = "jwt"']
        if self.key_file:
            lines += ["", "[keys]", f"encryption_key_file = {toml(self.key_file)}"]
        return "\n".join(lines)

    def _scopes(self) -> str:
        lines = ["[scopes]"]
        for name, description in self.scopes.items():
            lines.append(
                f"{toml(name)} = {{ description = {toml(description)}, resource = {toml(self.audience)} }}"
            )
        return "\n".join(lines)

    def _users(self) -> str:
        q = self.queries
        rights = [
            f"#   GRANT SELECT ({', '.join(columns)}) ON {table} TO grantor;"
            for table, columns in q.columns.items()
        ]
        lines = [
            "[grants]",
            "password = true  # for your own apps alone: RFC 9700 §2.4 forbids it to all others",
            "",
            "[users]",
            'source = "sql"  # Grantor only reads the table, and checks the hashes that Django writes',
            f"scope = {toml(self.user_scope)}  # the most that a user's token may carry"
            + (", where no group gives a scope" if " AS scope" in q.query else ""),
            "",
            "[users.sql]",
        ]
        if q.dialect != "sqlite":
            lines += ["# A role of its own needs no more than this:", *rights]
        lines += [f"driver = {toml(q.dialect)}", *self.dsn_lines]
        lines += [f"query = {toml_lines(q.query)}"]
        lines += ["# asked at each refresh: no row, or another password, ends the session"]
        lines += [f"recheck = {toml_lines(q.recheck)}"]
        return "\n".join(lines)


def client_text(c: Client) -> str:
    """Return the table of a client. It has the hash of the secret alone."""
    lines = ["[[clients]]", f"client_id = {toml(c.id)}", f"client_name = {toml(c.name)}"]
    lines += [f"{key} = {value}" for key, value in c.settings]
    if c.secret:
        lines.append(f"secrets = [{{ hash = {toml(hash_secret(c.secret))} }}]")
    return "\n".join(lines)


def toml(value: str) -> str:
    """Return a basic string of TOML."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_lines(value: str) -> str:
    """Return a literal string of several lines, or a basic one where that cannot hold the text."""
    if "'''" in value or value.endswith("'") or any(c < " " and c != "\n" for c in value):
        return toml(value)
    return f"'''\n{value}'''"


def listen_of(issuer_host: str, port: int | None) -> str:
    """Return where Grantor listens, so that its issuer leads to it."""
    if is_loopback(issuer_host):
        return f"{'[' + issuer_host + ']' if ':' in issuer_host else '127.0.0.1'}:{port or 8080}"
    return "127.0.0.1:8080"
