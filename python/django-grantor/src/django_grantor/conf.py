"""The GRANTOR dictionary of a project's settings."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from .network import UNIX

INTROSPECTION = "introspection"
JWT = "jwt"
EITHER = "either"
LIVE = "live"

#: What alg of a DPoP proof may be, for challenges and metadata.
PROOF_ALGORITHMS = ("ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256")

#: Names of headers that mean something else than a client's certificate.
_TAKEN = frozenset(
    [
        "authorization",
        "cookie",
        "dpop",
        "host",
        "forwarded",
        "x-forwarded-for",
        "client-cert-chain",
        "x-api-key",
    ]
)

#: RFC 8725 §3.1: neither none nor HMAC, whose key a verifier of public tokens does not have.
ALGORITHMS = ("ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


@dataclass(frozen=True)
class Config:
    """What GRANTOR says. Field names are its keys in lower case; times are seconds.

    issuer: the authorization server, as its metadata names it (RFC 8414 §2).
    audience: what ``aud`` of a token must name, in any spelling of the URI; empty: any token that the server
        shows us.
    mode: "introspection", "jwt", "either" (JWTs are checked here, others are asked about), or "live" (a token
        is asked about once, and the revocation feed tells when it ends).
    user_field: the field of the user model that ``sub`` holds.
    timeout: of one question, sending and reading together.
    accept_typ_jwt: take JWTs whose type is ``JWT`` beside ``at+jwt``, for a server that was told to sign so
        (``jwt_typ``). Any other JWT of the issuer with the same claims then passes for an access token.
    keep_keys: how long keys are used while they cannot be fetched.
    max_lease: with "live", the longest time for which an end may go unseen; 0: what the server says.
    max_kept: with "live", how many answers are remembered.
    api_key_headers: take API keys as ``Authorization: Api-Key`` and as ``X-API-Key`` too.
    trusted_proxies: whose X-Forwarded-For is believed, for API keys of some networks alone.
    resource_metadata: serve the metadata of this API, and name it in challenges (RFC 9728).
    dpop: take tokens that are bound to a key, with a proof for each request (RFC 9449); else refuse them.
    dpop_required: take no others.
    dpop_url: this API as its clients write it; "": scheme and host of the audience.
    dpop_window: how far iat of a proof may be from the clock.
    dpop_nonce_key: of 32 characters or more, the same for all processes: each proof needs a nonce then.
    dpop_nonce_lifetime: how long a nonce is good at least.
    dpop_cache: the cache of Django that remembers used proofs.
    client_cert_header: in which trusted_proxies write the client's certificate (RFC 8705); "": tokens that
        are bound to a certificate are refused.
    client_cert_format: "rfc9440", "pem" or "der".
    """

    issuer: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    audience: tuple[str, ...] = ()
    mode: str = INTROSPECTION
    user_field: str = "pk"
    realm: str = "api"
    timeout: float = 3.0
    ca_file: str = ""
    allow_insecure_http: bool = False
    max_idle_connections: int = 64
    introspection_url: str = ""
    jwks_url: str = ""
    algorithms: tuple[str, ...] = ("ES256", "EdDSA", "RS256")
    accept_typ_jwt: bool = False
    keep_keys: float = 3600.0
    max_lease: float = 0.0
    max_kept: int = 10_000
    api_key_headers: bool = False
    trusted_proxies: tuple[str, ...] = ()
    resource_metadata: bool = False
    scopes_supported: tuple[str, ...] = ()
    resource_name: str = ""
    resource_documentation: str = ""
    dpop: bool = False
    dpop_required: bool = False
    dpop_url: str = ""
    dpop_window: float = 60.0
    dpop_nonce_key: str = field(default="", repr=False)
    dpop_nonce_lifetime: float = 120.0
    dpop_cache: str = "default"
    client_cert_header: str = ""
    client_cert_format: str = ""
    end_sessions: bool = False
    admin_url: str = ""
    admin_client_id: str = ""
    admin_client_secret: str = field(default="", repr=False)
    app_client_id: str = ""
    forward_client_address: bool = False

    @property
    def asks(self) -> bool:
        """Whether tokens are introspected, which needs credentials."""
        return self.mode in (INTROSPECTION, EITHER, LIVE)

    @property
    def checks_jwt(self) -> bool:
        """Whether JWTs are checked here."""
        return self.mode in (JWT, EITHER)

    @property
    def public_url(self) -> str:
        """The API as clients write it, without a slash at the end; "" where nothing says so."""
        if self.dpop_url:
            return self.dpop_url.rstrip("/")
        parts = urlsplit(self.audience[0] if len(self.audience) == 1 else "")
        if parts.scheme.lower() not in ("https", "http") or not parts.netloc:
            return ""
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def cert_format(self) -> str:
        """How the proxy writes a certificate; "" where nothing says so."""
        if not self.client_cert_format and self.client_cert_header.lower() == "client-cert":
            return "rfc9440"
        return self.client_cert_format


_testing: list[object] = []


def begin_test(who: object) -> None:
    """Go without credentials, and end no sessions, until end_test: a stand-in answers for the server."""
    _testing.append(who)
    get_config.cache_clear()


def end_test() -> None:
    """End what begin_test began."""
    _testing.pop()
    get_config.cache_clear()


@lru_cache(maxsize=1)
def get_config() -> Config:
    """Return what the project's settings say. Raise ImproperlyConfigured, which tells all mistakes."""
    given = getattr(settings, "GRANTOR", None)
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(
            'settings have no GRANTOR dictionary, as in GRANTOR = {"ISSUER": "https://auth.example.com"}'
        )
    config, mistakes = read(given, os.environ)
    if _testing:
        config = replace(config, end_sessions=False)
        mistakes = [m for m in mistakes if not m.startswith(("CLIENT_", "ADMIN_", "END_SESSIONS"))]
    if mistakes:
        raise ImproperlyConfigured("GRANTOR: " + "; ".join(mistakes))
    return config


def read(given: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[Config, list[str]]:
    """Read a dictionary. Return the configuration and every mistake, each a sentence."""
    values = dict(given)
    mistakes: list[str] = []
    for name in ("CLIENT_SECRET", "ADMIN_CLIENT_SECRET", "DPOP_NONCE_KEY"):
        _read_secret(name, values, mistakes)
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        values.setdefault(name, environ.get("GRANTOR_" + name, ""))
    values.setdefault("END_SESSIONS", bool(values.get("ADMIN_URL")))
    known = {f.name.upper(): f for f in fields(Config)}
    out: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            mistakes.append(_unknown(name, known))
            continue
        default = known[name].default
        try:
            out[name.lower()] = _convert(value, default)
        except TypeError as e:
            mistakes.append(f"{name} {e}")
    config = Config(**out)
    return config, mistakes + _judge(config)


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(str(name).upper(), [*known, "CLIENT_SECRET_FILE"], n=1)
    hint = f", did you mean {near[0]}" if near else ""
    return f"{name!r} is no key{hint}"


def _read_secret(name: str, values: dict[str, Any], mistakes: list[str]) -> None:
    """Take NAME_FILE in the place of NAME; its last newline is cut."""
    path = values.pop(name + "_FILE", None)
    if path is None:
        return
    if values.get(name):
        mistakes.append(f"give either {name} or {name}_FILE")
        return
    try:
        values[name] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, TypeError, UnicodeDecodeError) as e:
        hint = "; manage.py grantor_config --secrets-dir writes it" if name == "CLIENT_SECRET" else ""
        mistakes.append(f"{name}_FILE cannot be read: {type(e).__name__} {path!s}{hint}")


def _convert(value: Any, default: Any) -> Any:
    """Hold a value against the type of the default."""
    if isinstance(default, tuple):
        values = (value,) if isinstance(value, str) else tuple(value)
        if not all(isinstance(v, str) for v in values):
            raise TypeError("must be a text or a list of texts")
        return tuple(v for v in values if v)
    if isinstance(default, bool):
        wanted: tuple[type, ...] = (bool,)
    elif isinstance(default, float):
        wanted = (int, float)
    elif isinstance(default, int):
        wanted = (int,)
    else:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        wanted = (str,)
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise TypeError(f"must be {wanted[-1].__name__}, not {type(value).__name__}")
    return float(str(value)) if isinstance(default, float) else value


def _judge(c: Config) -> list[str]:
    """Tell what no verifier could be made of."""
    found = []
    if not c.issuer:
        found.append('ISSUER is missing, as in "https://auth.example.com"')
    for name in ("issuer", "introspection_url", "jwks_url", "admin_url"):
        url = getattr(c, name)
        if url and not is_secure(url, allow_http=c.allow_insecure_http):
            found.append(
                f"{name.upper()} must be a whole URL, and begin with https:// off this machine"
                " (RFC 7662 §4); inside a cluster see ALLOW_INSECURE_HTTP"
            )
    if c.issuer.endswith("/"):
        found.append("ISSUER must not end in a slash: it is compared byte for byte (RFC 8414 §3.3)")
    if c.mode not in (INTROSPECTION, JWT, EITHER, LIVE):
        found.append('MODE must be "introspection", "live", "jwt" or "either"')
    if c.asks and not (c.client_id and c.client_secret):
        found.append(
            "CLIENT_ID and CLIENT_SECRET are needed to introspect (RFC 7662 §2.1): set them,"
            " CLIENT_SECRET_FILE, or the variables GRANTOR_CLIENT_ID and GRANTOR_CLIENT_SECRET"
        )
    if c.checks_jwt and not c.audience:
        found.append(
            "AUDIENCE is needed to check JWTs: a token for another API must be refused (RFC 9068 §4)"
        )
    if not c.algorithms or set(c.algorithms) - set(ALGORITHMS):
        found.append(f"ALGORITHMS must be of {', '.join(ALGORITHMS)}: neither none nor HMAC (RFC 8725 §3.1)")
    return found + _judge_rest(c)


def _judge_rest(c: Config) -> list[str]:
    found = []
    if any(ch < " " or ch > "~" or ch in '"\\' for ch in c.realm) or not c.realm:
        found.append("REALM holds printable ASCII without quotes and backslashes (RFC 9110 §11.5)")
    if not 0 < c.timeout <= 60:
        found.append("TIMEOUT is seconds, more than 0 and at most 60")
    if min(c.keep_keys, c.max_idle_connections, c.max_lease, c.max_kept) < 0:
        found.append("KEEP_KEYS, MAX_IDLE_CONNECTIONS, MAX_LEASE and MAX_KEPT must not be negative")
    for text in c.trusted_proxies:
        try:
            ip_network("::" if text == UNIX else text, strict=False)
        except ValueError:
            found.append(
                f"TRUSTED_PROXIES: {text!r} is neither an address, nor a network such as 10.0.0.0/8,"
                ' nor "unix" for a proxy at a Unix socket'
            )
    if c.end_sessions and not (c.admin_url and c.admin_client_id and c.admin_client_secret):
        found.append(
            "END_SESSIONS needs ADMIN_URL, ADMIN_CLIENT_ID and ADMIN_CLIENT_SECRET (or"
            " ADMIN_CLIENT_SECRET_FILE): a client with the scope grantor:admin"
        )
    return found + _judge_metadata(c) + _judge_dpop(c) + _judge_certificates(c)


def _judge_dpop(c: Config) -> list[str]:
    if not c.dpop:
        if c.dpop_required or c.dpop_url or c.dpop_nonce_key:
            return ["DPOP_REQUIRED, DPOP_URL and DPOP_NONCE_KEY need DPOP = True"]
        return []
    found = []
    if c.dpop_url and not is_secure(c.dpop_url, allow_http=True):
        found.append("DPOP_URL must be a whole URL, such as https://api.example.com/v1")
    if not c.public_url:
        found.append(
            "DPOP needs one AUDIENCE that is a URL, or DPOP_URL: proofs are held against the public URL of"
            " this API (RFC 9449 §4.3)"
        )
    if not 0 < c.dpop_window <= 600 or not 1 <= c.dpop_nonce_lifetime <= 86400:
        found.append("DPOP_WINDOW is seconds, at most 600; DPOP_NONCE_LIFETIME is 1 to 86400 seconds")
    if c.dpop_nonce_key and len(c.dpop_nonce_key) < 32:
        found.append("DPOP_NONCE_KEY must have 32 characters or more")
    return found


def _judge_certificates(c: Config) -> list[str]:
    if not c.client_cert_header:
        return ["CLIENT_CERT_FORMAT needs CLIENT_CERT_HEADER"] if c.client_cert_format else []
    found = []
    if not re.fullmatch(r"[A-Za-z0-9-]+", c.client_cert_header) or c.client_cert_header.lower() in _TAKEN:
        found.append(
            f"CLIENT_CERT_HEADER: {c.client_cert_header!r} cannot be that header; Client-Cert is (RFC 9440)"
        )
    if c.cert_format not in ("rfc9440", "pem", "der"):
        found.append('CLIENT_CERT_FORMAT must be "rfc9440", "pem" or "der"')
    if not c.trusted_proxies:
        found.append("CLIENT_CERT_HEADER is believed from TRUSTED_PROXIES alone, and there are none")
    return found


def _judge_metadata(c: Config) -> list[str]:
    if not c.resource_metadata:
        if c.scopes_supported or c.resource_name or c.resource_documentation:
            return [
                "SCOPES_SUPPORTED, RESOURCE_NAME and RESOURCE_DOCUMENTATION need RESOURCE_METADATA = True"
            ]
        return []
    found = []
    if len(c.audience) != 1 or not _is_url(c.audience[0]):
        found.append(
            "RESOURCE_METADATA needs one AUDIENCE: the https URL of this API, without a fragment"
            " (RFC 9728 §1.2)"
        )
    if c.resource_documentation and not _is_url(c.resource_documentation):
        found.append("RESOURCE_DOCUMENTATION must be an https URL")
    return found + [
        f"SCOPES_SUPPORTED: {scope!r} is no scope (RFC 6749 §3.3)"
        for scope in c.scopes_supported
        if not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope)
    ]


def _is_url(text: str) -> bool:
    """Say whether text is a URL that may stand in quotes in a header."""
    return is_secure(text) and not re.search(r"[^\x21-\x7e]|[\"\\\\#<>]", text)


def is_secure(url: str, *, allow_http: bool = False) -> bool:
    """Say whether nobody on the network can read what is sent to url: https, or http to this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.query or parts.fragment or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and (allow_http or is_loopback(host)))


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine. No other name is resolved: what it resolves to may change."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def forget_config(**kwargs: Any) -> None:
    """Read the settings again at the next use. Receives Django's setting_changed (in tests)."""
    if kwargs.get("setting", "GRANTOR") == "GRANTOR":
        from . import verifiers

        get_config.cache_clear()
        verifiers.forget()


def is_access_type(typ: object, config: Config) -> bool:
    """Say whether an access token can have this typ (RFC 9068 4). Media types know no case."""
    if not isinstance(typ, str):
        return False
    kind = typ.lower().removeprefix("application/")
    return kind == "at+jwt" or (kind == "jwt" and config.accept_typ_jwt)
