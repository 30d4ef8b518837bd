"""Verifiers: what turns the text of a token into a Token."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode, urlsplit, urlunsplit

from .conf import LIVE, Config, get_config, is_secure
from .token import Malformed, Token, UnknownBinding, from_claims
from .transport import Answer, Transport, TransportError

#: The longest token that is looked at, in bytes.
MAX_TOKEN_BYTES = 16 << 10


class InvalidToken(Exception):
    """The token is unknown, expired, revoked, malformed or no access token: 401."""


class Unavailable(Exception):
    """Whether the token is good is not known: 503. The text is for the log and holds no secret."""


class Verifier(Protocol):
    """Verifies tokens. Any number of threads may call verify at once."""

    def verify(self, token: str) -> Token:
        """Return what a good token says. Raise InvalidToken, or Unavailable where it is not known.

        Who calls this holds Token.allowed_networks against the request, as GrantorAuthentication does.
        A token that is bound to a key or a certificate is InvalidToken outside of holder_check.
        """
        ...

    def close(self) -> None:
        """Let go of what is held. The verifier may be used again all the same."""
        ...


_checked: ContextVar[bool] = ContextVar("grantor_holder_check", default=False)


@contextmanager
def holder_check() -> Iterator[None]:
    """Let verifiers return bound tokens: the caller holds them against the request (RFC 7800 §3.1)."""
    former = _checked.set(True)
    try:
        yield
    finally:
        _checked.reset(former)


def from_holder(token: Token) -> Token:
    """Return the token. Raise InvalidToken if it is bound and nobody checks who sends it."""
    if token.is_bound and not _checked.get():
        raise InvalidToken
    return token


class Metadata:
    """The authorization server's metadata (RFC 8414), asked for once."""

    def __init__(self, config: Config, transport: Transport) -> None:
        self._config, self._transport = config, transport
        self._found: Mapping[str, Any] | None = None

    def endpoint(self, name: str) -> str:
        """Return the URL that a member names. Raise Unavailable without one."""
        if self._found is None:
            self._found = self._ask()
        url = self._found.get(name)
        # https is never left again, and plain http off loopback only where the issuer has it too
        allow = self._config.allow_insecure_http and self._config.issuer.startswith("http://")
        if not isinstance(url, str) or not is_secure(url, allow_http=allow):
            raise Unavailable(f"discovery: the metadata has no {name} that may be used")
        if self._config.issuer.startswith("https://") and not url.startswith("https://"):
            raise Unavailable(f"discovery: {name} leaves https")
        return url

    def _ask(self) -> Mapping[str, Any]:
        parts = urlsplit(self._config.issuer)
        url = urlunsplit(
            (parts.scheme, parts.netloc, "/.well-known/oauth-authorization-server" + parts.path, "", "")
        )
        try:
            found = json_of(self._transport.request("GET", url))
        except (TransportError, Unavailable) as e:
            raise Unavailable(f"discovery: {e}") from None
        if found.get("issuer") != self._config.issuer:
            raise Unavailable(
                f"discovery: the metadata names the issuer {found.get('issuer')!r},"
                f" not {self._config.issuer!r} (RFC 8414 §3.3)"
            )
        return found


def json_of(answer: Answer) -> Mapping[str, Any]:
    """Return the JSON object of a 200. Raise Unavailable for anything else."""
    if answer.status != 200:
        raise Unavailable(f"the server answers {answer.status}")
    if answer.media_type not in ("application/json", "application/jwk-set+json"):
        raise Unavailable(f"the server answers {answer.media_type!r}, not application/json")
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise Unavailable("the server's JSON cannot be read") from None
    if not isinstance(found, dict):
        raise Unavailable("the server answers JSON that is no object")
    return found


def basic(client_id: str, secret: str) -> str:
    """Return the Authorization header of a client (RFC 6749 §2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


class Introspection:
    """Asks the authorization server about each token (RFC 7662)."""

    def __init__(self, config: Config, transport: Transport, metadata: Metadata) -> None:
        self._config, self._transport, self._metadata = config, transport, metadata
        self._headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": basic(config.client_id, config.client_secret),
        }

    def verify(self, token: str) -> Token:
        """Return what the server says of an active token. Whatever is no clear answer is Unavailable."""
        return from_holder(self.ask(token)[0])

    def ask(self, token: str, **form: str) -> tuple[Token, Mapping[str, Any], Answer]:
        """Ask with further parameters. Return also what the server said, and its answer."""
        url = self._config.introspection_url or self._metadata.endpoint("introspection_endpoint")
        body = urlencode(
            {"token": token, "token_type_hint": "access_token", "allowed_networks": "true", **form}
        ).encode()
        try:
            answer = self._transport.request("POST", url, headers=self._headers, body=body)
        except TransportError as e:
            raise Unavailable(f"introspection: {e}") from None
        if answer.status == 401:
            raise Unavailable(
                "introspection: the server refuses this resource server's own credentials (401):"
                " look at CLIENT_ID and CLIENT_SECRET"
            )
        try:
            said = json_of(answer)
            return self._read(said), said, answer
        except Unavailable as e:
            raise Unavailable(f"introspection: {e}") from None

    def close(self) -> None:
        """Close the kept connections."""
        self._transport.close()

    def _read(self, said: Mapping[str, Any]) -> Token:
        active = said.get("active")
        if not isinstance(active, bool):
            raise Unavailable("the answer has no active member")
        if not active:
            raise InvalidToken
        try:
            kind = said.get("token_type", "Bearer")
            if not isinstance(kind, str) or kind.lower() not in ("bearer", "dpop"):
                raise InvalidToken  # a refresh token
            token = from_claims(said)
            if kind.lower() == "dpop" and not token.key_thumbprint:
                raise InvalidToken
        except UnknownBinding:
            raise InvalidToken from None
        except Malformed as e:
            raise Unavailable(str(e)) from None
        if token.issuer and token.issuer != self._config.issuer:
            raise InvalidToken
        return token


class Either:
    """Checks JWTs here and asks about all other tokens."""

    def __init__(self, jwt: Verifier, other: Verifier) -> None:
        self._jwt, self._other = jwt, other

    def verify(self, token: str) -> Token:
        """Verify by the form of the token."""
        return (self._jwt if token.count(".") == 2 else self._other).verify(token)

    def close(self) -> None:
        """Close the kept connections of both."""
        self._jwt.close()
        self._other.close()


_lock = threading.Lock()
_current: dict[str, Verifier] = {}


def current() -> Verifier:
    """Return the verifier of the settings, made at its first use."""
    found = _current.get("verifier")
    if found is None:
        with _lock:
            found = _current.get("verifier")
            if found is None:
                found = _current["verifier"] = build(get_config())
    verifier: Verifier = found
    return verifier


def build(config: Config) -> Verifier:
    """Make the verifier that a configuration asks for."""
    transport = Transport(
        timeout=config.timeout, ca_file=config.ca_file, max_idle=config.max_idle_connections
    )
    metadata = Metadata(config, transport)
    asking = Introspection(config, transport, metadata)
    if config.mode == LIVE:
        from .live import Live

        return Live(config, asking, metadata)
    if not config.checks_jwt:
        return asking
    from .jwt_verifier import JWTVerifier  # needs PyJWT, which is optional

    local = JWTVerifier(config, transport, metadata)
    return Either(local, asking) if config.asks else local


def replace(verifier: Verifier | None) -> Verifier | None:
    """Put another verifier in the place of the current one, for tests. Return the former."""
    with _lock:
        former = _current.pop("verifier", None)
        if verifier is not None:
            _current["verifier"] = verifier
    return former


def forget() -> None:
    """Make the verifier anew at its next use."""
    former = replace(None)
    if former is not None:
        former.close()
