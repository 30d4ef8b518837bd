"""``manage.py grantor_config``."""

from __future__ import annotations

import os
import re
import secrets as random
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections, router

from django_grantor.conf import is_loopback, is_secure
from django_grantor.generate import document, sql
from django_grantor.generate.dsn import dsn_of
from django_grantor.generate.secret import new_secret
from django_grantor.token import Malformed, check_scope_token, parse_scope

EXAMPLE = """\
example:
  manage.py grantor_config --output config.toml --secrets-dir secrets
  manage.py grantor_config --issuer https://auth.example.com --audience https://api.example.com \\
    --scope "orders:read=Read orders" --scope "orders:write=Change orders" \\
    --group "Editors=orders:read orders:write" --admin
"""


class Command(BaseCommand):
    """Prints Grantor's config.toml for this project's users."""

    help = (
        "Prints Grantor's config.toml for this project: its user model, its database, a client for this API,"
        " for a mobile app and for a machine. Fresh secrets are shown once; the file holds their hashes."
    )
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Keep the lines of the example."""
        kwargs.update(epilog=EXAMPLE, formatter_class=RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        given = getattr(settings, "GRANTOR", {})
        audience = given.get("AUDIENCE", "https://api.example.com")
        add = parser.add_argument
        add(
            "--issuer",
            default=given.get("ISSUER", "http://127.0.0.1:8080"),
            help="the URL of Grantor (default: ISSUER of GRANTOR)",
        )
        add(
            "--audience",
            default=audience if isinstance(audience, str) else audience[0],
            help="the URL that names this API in tokens (default: AUDIENCE of GRANTOR)",
        )
        add("--name", default="", help="the first part of client ids (default: the project's name)")
        add(
            "--scope",
            action="append",
            default=[],
            metavar="NAME[=TEXT]",
            help="a scope of this API; may be repeated (default: api:read, api:write)",
        )
        add(
            "--user-scope",
            metavar="SCOPES",
            help="the most that a user's token may carry (default: all; nothing where groups give scopes)",
        )
        add(
            "--login-field",
            default="",
            metavar="FIELD",
            help="what users log in with, such as email (default: USERNAME_FIELD)",
        )
        add("--ignore-case", action="store_true", help="compare login names without case")
        add(
            "--group",
            action="append",
            default=[],
            metavar="NAME=SCOPES",
            help="scopes of the members of a group; may be repeated",
        )
        add("--superuser-scope", default="", metavar="SCOPES", help="scopes of superusers")
        add(
            "--redis-url",
            default="",
            metavar="URL",
            help="keep tokens in Redis (default: in memory for an issuer on this machine)",
        )
        add(
            "--admin",
            action="store_true",
            help="a client and a listener by which Django ends sessions; needs Redis",
        )
        add(
            "--admin-listen",
            default="127.0.0.1:8090",
            metavar="ADDR",
            help="where Grantor's admin API listens, with --admin (default: 127.0.0.1:8090)",
        )
        add("--jwt", action="store_true", help="JWT access tokens, which APIs can check alone")
        add("--database", default="", metavar="ALIAS", help="of DATABASES (default: where users are read)")
        add("--output", default="", metavar="FILE", help="write to a new file (default: standard output)")
        add(
            "--secrets-dir",
            default="",
            metavar="FOLDER",
            help="write each secret to a file of its own there (default: show them on standard error)",
        )

    def handle(self, *args: Any, **o: Any) -> None:
        """Exit status 1 with one line where the project cannot be described."""
        try:
            self.describe(o)
        except (sql.CannotDescribe, Malformed) as e:
            raise CommandError(str(e)) from None
        except FileExistsError as e:
            raise CommandError(f"{e.filename} exists and is left as it is; name another") from None

    def describe(self, o: dict[str, Any]) -> None:
        """Write the document and the secrets."""
        model = get_user_model()
        alias = o["database"] or router.db_for_read(model)
        scopes = self.scopes(o["scope"])
        groups = {k: self.known(v, scopes, "--group") for k, v in map(_pair, o["group"])}
        superuser = self.known(o["superuser_scope"], scopes, "--superuser-scope")
        id_field = getattr(settings, "GRANTOR", {}).get("USER_FIELD", "pk")
        wanted = sql.Wanted(id_field, o["login_field"], o["ignore_case"], groups, superuser)
        queries = sql.queries(model, connections[alias], wanted)
        if o["output"] and Path(o["output"]).exists():
            raise FileExistsError(17, "exists", o["output"])
        user_scope = o["user_scope"]
        if user_scope is None:
            user_scope = "" if groups or superuser else " ".join(scopes)
        clients = self.clients(o, scopes)
        store, redis = self.store(o)
        where = urlsplit(o["issuer"])
        text = document.Document(
            issuer=o["issuer"],
            listen=document.listen_of(where.hostname or "", where.port),
            store=store,
            audience=o["audience"],
            scopes=scopes,
            user_scope=self.known(user_scope, scopes, "--user-scope"),
            queries=queries,
            dsn_lines=self.dsn_lines(queries.dialect, connections[alias], o),
            clients=clients,
            redis_url=redis,
            admin_listen=o["admin_listen"] if o["admin"] else "",
            jwt=o["jwt"],
            key_file=self.key_file(o) if o["jwt"] and store == "redis" else "",
        ).text()
        self.warn(model, wanted, queries)
        if o["output"]:
            _write(Path(o["output"]), text, 0o640)  # it names the database
        else:
            self.stdout.write(text, ending="")
        self.tell(clients, o["secrets_dir"])

    def scopes(self, given: list[str]) -> dict[str, str]:
        """Return descriptions by scope."""
        pairs = [_pair(g, needs=False) for g in given] or [
            ("api:read", "Read by the API"),
            ("api:write", "Create and change by the API"),
        ]
        for name, _ in pairs:
            check_scope_token(name)
        return {name: text or name for name, text in pairs}

    def known(self, text: str, scopes: dict[str, str], option: str) -> str:
        """Hold scopes against those that exist."""
        text = " ".join(text.split())
        if unknown := parse_scope(text) - set(scopes):
            raise CommandError(
                f"{option}: there is no scope {', '.join(sorted(unknown))}; declare it with --scope"
            )
        return text

    def store(self, o: dict[str, Any]) -> tuple[str, str]:
        """Return where tokens are kept."""
        if not is_secure(o["issuer"]) or o["issuer"].endswith("/"):
            raise CommandError(
                "--issuer must be https://… without a slash at the end, or http:// on this machine"
            )
        local = is_loopback(urlsplit(o["issuer"]).hostname or "")
        if o["redis_url"] or not local or o["admin"]:
            return "redis", o["redis_url"] or "redis://127.0.0.1:6379"
        return "memory", ""

    def clients(self, o: dict[str, Any], scopes: dict[str, str]) -> list[document.Client]:
        """Return this API, an app, a machine, and with --admin what ends sessions."""
        name = o["name"] or re.sub(r"[^a-z0-9-]", "-", settings.ROOT_URLCONF.split(".")[0].lower())
        every, first = " ".join(scopes), next(iter(scopes))
        t = document.toml
        found = [
            document.Client(
                f"{name}-api",
                "This API",
                [("resource", t(o["audience"])), ("introspect", t("audience"))],
                new_secret(),
            ),
            document.Client(
                f"{name}-app",
                "The app: it logs users in and holds no secret",
                [
                    ("token_endpoint_auth_method", t("none")),
                    ("grant_types", '["password", "refresh_token"]'),
                    ("scope", t(every)),
                    ("default_scope", t(every)),
                ],
            ),
            document.Client(
                f"{name}-machine",
                "A machine",
                [("grant_types", '["client_credentials"]'), ("scope", t(every)), ("default_scope", t(first))],
                new_secret(),
            ),
        ]
        if o["admin"]:
            found.append(
                document.Client(
                    f"{name}-admin",
                    "Django ends sessions with it",
                    [("grant_types", '["client_credentials"]'), ("scope", t("grantor:admin"))],
                    new_secret(),
                )
            )
        return found

    def dsn_lines(self, dialect: str, connection: Any, o: dict[str, Any]) -> list[str]:
        """Return the line that names the database. A password goes to a file of its own."""
        dsn = dsn_of(dialect, connection.settings_dict)
        if not dsn.has_password:
            return [f"dsn = {document.toml(dsn.text)}"]
        if o["secrets_dir"]:
            path = self.secret_file(o["secrets_dir"], "dsn", dsn.text)
            return [f"dsn_file = {document.toml(path)}"]
        return [
            "# the file holds one line, with the password in its place:",
            f"#   {dsn.shown}",
            'dsn_file = "/run/secrets/grantor-dsn"',
        ]

    def key_file(self, o: dict[str, Any]) -> str:
        """Return the file of the key that encrypts signing keys."""
        if not o["secrets_dir"]:
            return "/run/secrets/grantor-keys"
        return self.secret_file(o["secrets_dir"], "keys", random.token_urlsafe(32))

    def secret_file(self, folder: str, name: str, text: str) -> str:
        """Write a secret where only this user reads it. Return the path."""
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        path = Path(folder).resolve() / name
        _write(path, text + "\n", 0o600)
        return str(path)

    def tell(self, clients: list[document.Client], folder: str) -> None:
        """Show each secret once."""
        for c in (c for c in clients if c.secret):
            if folder:
                self.stderr.write(f"the secret of {c.id} is in {self.secret_file(folder, c.id, c.secret)}")
            else:
                self.stderr.write(f"the secret of {c.id}, shown this once: {c.secret}")

    def warn(self, model: Any, wanted: sql.Wanted, queries: sql.Queries) -> None:
        """Tell what works and surprises."""
        login = model._meta.get_field(wanted.login_field or model.USERNAME_FIELD)
        if not login.unique:
            self.stderr.write(
                f"warning: {login.name} is not unique: two users with the same {login.name} cannot log in"
            )
        if wanted.ignore_case:
            self.stderr.write(f"note: an index on UPPER({login.column}) keeps logins fast")
        if queries.dialect == "sqlite":
            self.stderr.write(
                "note: SQLite needs a Grantor that was built with -tags sqlite, as its image is"
            )


def _pair(text: str, *, needs: bool = True) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or (needs and not equals):
        raise CommandError(f"{text!r} must be NAME=VALUE")
    return name.strip(), value.strip()


def _write(path: Path, text: str, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as f:
        f.write(text)
