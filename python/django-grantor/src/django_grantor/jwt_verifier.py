"""Checks JWT access tokens (RFC 9068) with the keys that the issuer publishes (RFC 7517)."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from .conf import Config, is_access_type
from .resource import names
from .token import MAX_SKEW, Malformed, Token, from_claims
from .transport import Transport, TransportError
from .verifiers import MAX_TOKEN_BYTES, InvalidToken, Metadata, Unavailable, from_holder, json_of

try:
    import jwt
    from jwt.api_jws import PyJWS
except ImportError as e:
    raise ImproperlyConfigured(
        'GRANTOR MODE "jwt" and "either" need PyJWT: pip install "django-grantor[jwt]"'
    ) from e

log = logging.getLogger("django_grantor")

#: How long keys are used before they are asked for again, in seconds.
FRESH_SECONDS = 300.0
#: The least time between two questions for keys, in seconds, however many unknown kids come.
PAUSE_SECONDS = 10.0
#: The same while there are no keys at all.
FIRST_PAUSE_SECONDS = 1.0
#: The most keys that are read of a set.
MAX_KEYS = 64


@dataclass(frozen=True)
class Key:
    """A public key, and the alg that it may verify ("": every one of its type)."""

    key: Any
    alg: str


class KeySet:
    """The issuer's keys. One thread fetches; the others go on with the keys that there are."""

    def __init__(self, config: Config, transport: Transport, metadata: Metadata) -> None:
        self._config, self._transport, self._metadata = config, transport, metadata
        self._renew_lock()
        _key_sets.add(self)
        self._keys: Mapping[str, Key] = {}
        self._asked = self._got = float("-inf")
        self._error = "they were not fetched yet"

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def get(self, kid: str) -> Key:
        """Return a key. Raise InvalidToken where the issuer has none of this kid, Unavailable where
        its keys are not known."""
        now = time.monotonic()
        if self._wants(kid, now):
            self._refresh(kid)
            now = time.monotonic()
        if now - self._got > max(self._config.keep_keys, FRESH_SECONDS):
            raise Unavailable(f"keys: {self._error}")
        key = self._keys.get(kid)
        if key is not None:
            return key
        if self._error:
            raise Unavailable(f"keys: {self._error}")  # the kid may be newer than what we have
        raise InvalidToken

    def _wants(self, kid: str, now: float) -> bool:
        if now - self._asked < (PAUSE_SECONDS if self._keys else FIRST_PAUSE_SECONDS):
            return False
        return kid not in self._keys or now - self._got > FRESH_SECONDS

    def _refresh(self, kid: str) -> None:
        # who can go on does not wait for the fetch of another
        wait = 0 if kid in self._keys else self._config.timeout
        if not (self._lock.acquire(timeout=wait) if wait else self._lock.acquire(blocking=False)):
            return
        try:
            if self._wants(kid, time.monotonic()):
                self._fetch()
        finally:
            self._lock.release()

    def _fetch(self) -> None:
        try:
            url = self._config.jwks_url or self._metadata.endpoint("jwks_uri")
            self._keys = parse_keys(json_of(self._transport.request("GET", url)))
            self._got, self._error = time.monotonic(), ""
        except (TransportError, Unavailable) as e:
            self._error = str(e)
            log.warning("the issuer's keys cannot be fetched: %s", e)
        self._asked = time.monotonic()


_key_sets: weakref.WeakSet[KeySet] = weakref.WeakSet()


def _after_fork() -> None:
    for s in list(_key_sets):
        s._renew_lock()  # a thread that the fork left behind may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def parse_keys(found: Mapping[str, Any]) -> Mapping[str, Key]:
    """Read a JWK set. Keys that cannot be used are passed over (RFC 7517 §5)."""
    listed = found.get("keys")
    if not isinstance(listed, list):
        raise Unavailable("the key set has no list of keys")
    keys: dict[str, Key] = {}
    for k in listed[:MAX_KEYS]:
        if not isinstance(k, dict) or k.get("kty") == "oct" or k.get("use", "sig") != "sig":
            continue
        kid, alg = k.get("kid"), k.get("alg", "")
        if not isinstance(kid, str) or not isinstance(alg, str) or kid in keys:
            continue
        try:
            keys[kid] = Key(jwt.PyJWK.from_dict(k).key, alg)
        except (jwt.PyJWTError, ValueError, KeyError, TypeError):
            continue
    return keys


class JWTVerifier:
    """Checks tokens here. It asks nobody, so a revoked token is good until its exp."""

    def __init__(self, config: Config, transport: Transport, metadata: Metadata) -> None:
        self._config, self._transport = config, transport
        self._keys = KeySet(config, transport, metadata)
        self._jws = PyJWS(algorithms=list(config.algorithms))

    def verify(self, token: str) -> Token:
        """Verify by RFC 9068 §4."""
        if len(token) > MAX_TOKEN_BYTES or token.count(".") != 2:
            raise InvalidToken
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise InvalidToken from None
        alg, kid = header.get("alg"), header.get("kid")
        typ = header.get("typ")
        if not isinstance(alg, str) or alg not in self._config.algorithms:
            raise InvalidToken
        if not is_access_type(typ, self._config):
            raise InvalidToken  # an ID token or an assertion is no access token (RFC 9068 §4)
        if not isinstance(kid, str) or "crit" in header:
            raise InvalidToken
        key = self._keys.get(kid)
        if key.alg not in ("", alg):
            raise InvalidToken
        try:
            payload = self._jws.decode(token, key.key, algorithms=[alg])
            claims = json.loads(payload, object_pairs_hook=_unique)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise InvalidToken from None
        return from_holder(self._judge(claims))

    def close(self) -> None:
        """Close the kept connections."""
        self._transport.close()

    def _judge(self, claims: Any) -> Token:
        if not isinstance(claims, dict):
            raise InvalidToken
        try:
            token = from_claims(claims)
        except Malformed:
            raise InvalidToken from None
        now = time.time()
        whole = token.client_id and token.id and token.expires_at and token.issued_at
        if not whole or token.issuer != self._config.issuer:
            raise InvalidToken
        if now >= token.expires_at or max(token.issued_at, token.not_before) > now + MAX_SKEW:
            raise InvalidToken
        if not names(token.audience, self._config.audience):
            raise InvalidToken
        return token


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object with a name twice, which two readers read differently (RFC 8725 §3.12)."""
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a name is there twice")
    return out
