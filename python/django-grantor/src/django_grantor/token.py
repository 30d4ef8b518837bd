"""What a verified access token says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any

#: How far the clocks of servers may differ, in seconds.
MAX_SKEW = 60.0

_KNOWN = frozenset(
    [
        "active",
        "scope",
        "client_id",
        "username",
        "token_type",
        "exp",
        "iat",
        "nbf",
        "sub",
        "sub_type",
        "aud",
        "iss",
        "jti",
        "sid",
        "rev",
        "position",
        "allowed_networks",
        "cnf",
    ]
)


class Malformed(ValueError):
    """A member of a token or of an answer has the wrong type or form."""


class UnknownBinding(Malformed):
    """cnf says something that is not understood: nobody can tell who may use the token (RFC 7800 §3.1)."""


@dataclass(frozen=True)
class Token:
    """A verified access token: ``request.auth``. It does not hold the token's text.

    subject: the user's id, or the client's for a machine (``sub``).
    subject_type: "user", "client" or "external": a subject of an issuer that Grantor trusts.
    username: for display alone; decide by subject (RFC 9700 §4.15).
    session: the user's session (``sid``), "" where the server does not say.
    expires_at, issued_at, not_before: seconds since 1970; 0: not said.
    allowed_networks: from where alone an API key may be used, as CIDR; empty: from everywhere.
    key_thumbprint: of the key that the token is bound to (``jkt``, RFC 9449 §6.1); "": it is bound to none.
    certificate_thumbprint: of the client certificate that it is bound to (``x5t#S256``, RFC 8705 §3.1).
    claims: the members of the token or answer that have no field of their own.
    names: by which the revocation feed can end the token; empty: none are known.
    """

    subject: str
    subject_type: str
    client_id: str
    scope: frozenset[str]
    username: str = ""
    audience: tuple[str, ...] = ()
    issuer: str = ""
    id: str = ""
    session: str = ""
    expires_at: float = 0.0
    issued_at: float = 0.0
    not_before: float = 0.0
    allowed_networks: tuple[str, ...] = ()
    key_thumbprint: str = ""
    certificate_thumbprint: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_machine(self) -> bool:
        """Whether no user is behind the token (RFC 6749 §4.4)."""
        return self.subject_type == "client"

    @property
    def is_bound(self) -> bool:
        """Whether only who has a key or a certificate may use the token."""
        return bool(self.key_thumbprint or self.certificate_thumbprint)

    def has_scope(self, *scopes: str) -> bool:
        """Say whether the token has every one of the scopes."""
        return self.scope.issuperset(scopes)

    def has_any_scope(self, scopes: Iterable[str]) -> bool:
        """Say whether the token has at least one of the scopes."""
        return not self.scope.isdisjoint(scopes)

    def live_at(self, now: float) -> bool:
        """Hold the token's own times against now, whatever the server said."""
        return (not self.expires_at or now < self.expires_at) and self.not_before <= now + MAX_SKEW

    @property
    def is_live(self) -> bool:
        """Whether the token is within its own times."""
        return self.live_at(time.time())


def from_claims(claims: Mapping[str, Any]) -> Token:
    """Read an introspection answer (RFC 7662 §2.2) or the claims of a JWT (RFC 9068 §2.2).

    Raise Malformed where a member cannot be what it must be.
    """
    subject, client = text_of(claims, "sub"), text_of(claims, "client_id")
    if not subject:
        raise Malformed("sub is missing")
    key, certificate = _confirmation(claims)
    return Token(
        key_thumbprint=key,
        certificate_thumbprint=certificate,
        subject=subject,
        subject_type=_subject_type(claims, subject, client),
        client_id=client,
        scope=parse_scope(text_of(claims, "scope")),
        username=text_of(claims, "username"),
        audience=audience_of(claims),
        issuer=text_of(claims, "iss"),
        id=text_of(claims, "jti"),
        session=_session(claims),
        expires_at=time_of(claims, "exp"),
        issued_at=time_of(claims, "iat"),
        not_before=time_of(claims, "nbf"),
        allowed_networks=networks_of(claims),
        names=_names(claims),
        claims=MappingProxyType({k: v for k, v in claims.items() if k not in _KNOWN}),
    )


def _confirmation(claims: Mapping[str, Any]) -> tuple[str, str]:
    """Return jkt and x5t#S256 of cnf. A binding that is not known is an error, never no binding."""
    if "cnf" not in claims:
        return "", ""
    cnf = claims["cnf"]
    if not isinstance(cnf, dict) or not cnf or set(cnf) - {"jkt", "x5t#S256"}:
        raise UnknownBinding("cnf is not understood")
    if not all(isinstance(v, str) and _SHA256.fullmatch(v) for v in cnf.values()):
        raise UnknownBinding("cnf has what is no thumbprint")
    return cnf.get("jkt", ""), cnf.get("x5t#S256", "")


#: Base64url of 32 bytes, in its one spelling.
_SHA256 = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", re.ASCII)
#: How many names of a token are looked at. A token with more has none that are known.
_MAX_NAMES = 16


def _session(claims: Mapping[str, Any]) -> str:
    """Return sid. Another server may mean something else by it."""
    sid = claims.get("sid")
    return sid if isinstance(sid, str) else ""


def _names(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return jti, sid and rev, or nothing where one of them is missing."""
    rev, jti, sid = claims.get("rev"), claims.get("jti"), _session(claims)
    if (
        not isinstance(rev, list)
        or not 0 < len(rev) <= _MAX_NAMES
        or not all(isinstance(n, str) and n for n in rev)
    ):
        return ()
    if (
        not isinstance(jti, str)
        or not jti
        or (claims.get("sub_type") not in ("client", "external") and not sid)
    ):
        return ()
    return (jti, *([sid] if sid else []), *rev)


def _subject_type(claims: Mapping[str, Any], subject: str, client: str) -> str:
    """Tell users from machines. A server that does not say makes a machine its own subject."""
    said = text_of(claims, "sub_type")
    if said:
        if said not in ("user", "client", "external"):
            raise Malformed("sub_type is neither user, client nor external")
        return said
    return "client" if subject == client else "user"


def text_of(claims: Mapping[str, Any], name: str) -> str:
    """Return a text, "" where it is absent."""
    value = claims.get(name, "")
    if not isinstance(value, str):
        raise Malformed(f"{name} is no text")
    return value


def time_of(claims: Mapping[str, Any], name: str) -> float:
    """Return a NumericDate (RFC 7519 §2), 0 where it is absent."""
    value = claims.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e15:
        raise Malformed(f"{name} is no time")
    return float(value)


def audience_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return aud, which is one text or a list of texts (RFC 7519 §4.1.3)."""
    value = claims.get("aud", ())
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, (list, tuple)) or not all(isinstance(v, str) for v in values):
        raise Malformed("aud is neither a text nor a list of texts")
    return tuple(values)


def networks_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return allowed_networks. A list that cannot be read is no answer."""
    values = claims.get("allowed_networks", [])
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise Malformed("allowed_networks is no list of texts")
    try:
        for v in values:
            ip_network(v, strict=False)
    except ValueError:
        raise Malformed("allowed_networks has what is no network") from None
    return tuple(values)


def parse_scope(text: str) -> frozenset[str]:
    """Read scope tokens that are divided by single spaces (RFC 6749 §3.3)."""
    if not text:
        return frozenset()
    tokens = text.split(" ")
    for t in tokens:
        check_scope_token(t)
    return frozenset(tokens)


def check_scope_token(text: str) -> None:
    """Raise Malformed unless text is 1*( %x21 / %x23-5B / %x5D-7E ) (RFC 6749 §3.3)."""
    if not text or any(not "!" <= c <= "~" or c in '"\\' for c in text):
        raise Malformed("a scope token is printable ASCII without spaces, quotes and backslashes")
