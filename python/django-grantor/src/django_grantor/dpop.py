"""Checks DPoP proofs (RFC 9449 §4.3): who sends a request has the key that its token is bound to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from .conf import PROOF_ALGORITHMS
from .resource import normal_uri

try:
    import jwt
    from jwt.algorithms import OKPAlgorithm
    from jwt.api_jws import PyJWS
except ImportError as e:
    raise ImproperlyConfigured('GRANTOR DPOP needs PyJWT: pip install "django-grantor[jwt]"') from e

MAX_BYTES = 4096
#: How far clocks may differ beyond the window, in seconds.
SKEW = 60.0

_MAX_ID = 256
_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+", re.ASCII)
_URL = re.compile(r"https?://[^/@\\\s]+(?:/[!-~]*)?", re.ASCII | re.IGNORECASE)
_PRIVATE = frozenset(["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
#: By kty: the members that name a key (RFC 7638 §3.2), in their order.
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
#: By alg: kty and crv, or the lengths of an RSA key in bits.
_KEYS: dict[str, tuple[str, str]] = {
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
    "PS256": ("RSA", ""),
    "RS256": ("RSA", ""),
}


class Refused(Exception):
    """A proof is not good. reason is for the log, code and text are for the client."""

    def __init__(self, reason: str, text: str, code: str = "invalid_dpop_proof") -> None:
        super().__init__(text)
        self.reason, self.text, self.code = reason, text, code


#: The name of RFC 9864 §2.2, which PyJWT knows as EdDSA.
_ED25519 = "Ed25519"


@dataclass(frozen=True)
class Wanted:
    """What a proof is held against.

    method: of the request. url: as normal_url writes it. token: the text beside the proof. thumbprint: of the
    key that the token is bound to. window: how far iat may be from the clock, in seconds. nonces: demanded in
    the proof, in the place of iat; None: none is demanded.
    """

    method: str
    url: str
    token: str
    thumbprint: str
    window: float
    nonces: Nonces | None


@dataclass(frozen=True)
class Proof:
    """A good proof. name: under which its use is remembered. keep: for how long, in seconds.

    old_nonce: its nonce ends soon, so the answer brings a new one (RFC 9449 §8.2).
    """

    name: str
    keep: float
    old_nonce: bool


class Nonces:
    """Makes and knows nonces (RFC 9449 §9) without remembering any: MACs of stretches of time.

    They are those of Grantor's Go package middleware for the same secret and lifetime.
    """

    def __init__(self, secret: str, lifetime: float) -> None:
        self._key = hashlib.sha256(secret.encode()).digest()
        self._stretch = int(lifetime * 1e9)

    def current(self, now: float) -> str:
        """Return the nonce to send."""
        return self._make(self._number(now))

    def until(self, nonce: str, now: float) -> tuple[float, bool] | None:
        """Return until when a nonce is good, and whether it is an old one; None for no nonce of ours."""
        number = self._number(now)
        for n in (number - 1, number, number + 1):
            if hmac.compare_digest(nonce.encode(errors="replace"), self._make(n).encode()):
                return (n + 2) * self._stretch / 1e9, n < number
        return None

    def _number(self, now: float) -> int:
        return int(now * 1e9) // self._stretch

    def _make(self, number: int) -> str:
        text = b"grantor/dpop-nonce/v1" + number.to_bytes(8, "big") + self._stretch.to_bytes(8, "big")
        return encode(hmac.new(self._key, text, hashlib.sha256).digest()[:24])


def normal_url(text: str) -> str:
    """Return a URL in the form in which URLs are compared, without query and fragment; "" for none."""
    bare = re.split(r"[?#]", text, maxsplit=1)[0]
    return normal_uri(bare) if _URL.fullmatch(bare) else ""


def check(text: str, wanted: Wanted) -> Proof:
    """Check a proof in all points but whether it was used before. Raise Refused.

    What is cheap comes first, and the signature last.
    """
    header, claims = _parse(text)
    alg, key = _header(header)
    thumbprint = _thumbprint(key)
    if not hmac.compare_digest(thumbprint, wanted.thumbprint):
        raise Refused(
            "wrong_key", "the access token is bound to another key than the DPoP proof has", "invalid_token"
        )
    proof = _judge(claims, wanted, thumbprint)
    _verify(text, alg, key)
    return proof


def encode(data: bytes) -> str:
    """Write base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _parse(text: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    if not text:
        raise Refused("missing", "the request has no DPoP proof; send one in the header DPoP (RFC 9449 4.1)")
    if len(text) > MAX_BYTES:
        raise Refused("too_long", "the DPoP proof is longer than 4 kB")
    if "," in text:  # as servers join two lines of a header
        raise Refused("several", "the request has more than one DPoP header; send one proof (RFC 9449 4.3)")
    found = _SHAPE.fullmatch(text)
    try:
        header, claims = (_object(part) for part in found.groups()) if found else (None, None)
    except (ValueError, RecursionError):
        header, claims = None, None
    if header is None or claims is None:
        raise Refused("malformed", "the DPoP proof is not a JWT in compact serialization (RFC 9449 4.2)")
    return header, claims


def _object(part: str) -> Mapping[str, Any]:
    found = json.loads(_decode(part), object_pairs_hook=_unique)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _decode(text: str) -> bytes:
    """Read base64url that is spelt in the one way in which it is written."""
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("not base64url")
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a name is there twice")
    return out


def _header(header: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    """Return alg and the public members of the key."""
    typ, alg, jwk = header.get("typ"), header.get("alg"), header.get("jwk")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") != "dpop+jwt":
        raise Refused("wrong_type", "typ of the DPoP proof must be dpop+jwt (RFC 9449 4.2)")
    if not isinstance(alg, str) or alg not in PROOF_ALGORITHMS:
        raise _wrong_algorithm()
    if "crit" in header or "b64" in header:
        raise Refused("critical", "the DPoP proof demands an extension that is not supported (crit, b64)")
    kty = jwk.get("kty") if isinstance(jwk, dict) else None
    if not isinstance(jwk, dict) or not isinstance(kty, str) or kty not in _MEMBERS:
        raise _no_key()
    if not _PRIVATE.isdisjoint(jwk):
        raise Refused(
            "private_key",
            "jwk of the DPoP proof holds a private key; send its public members alone, and replace the key",
        )
    members = {name: jwk.get(name) for name in _MEMBERS[kty]}
    key = {name: value for name, value in members.items() if isinstance(value, str) and value}
    if key.keys() != members.keys():
        raise _no_key()
    if (key["kty"], key.get("crv", "")) != _KEYS[alg]:
        raise _wrong_algorithm()
    return alg, key


def _no_key() -> Refused:
    return Refused("no_key", "the DPoP proof needs a public key in jwk: EC, Ed25519 or RSA (RFC 9449 4.2)")


def _wrong_algorithm() -> Refused:
    return Refused(
        "wrong_algorithm",
        f"alg of the DPoP proof must be one of {', '.join(PROOF_ALGORITHMS)}, and fit the key in jwk",
    )


def _thumbprint(key: Mapping[str, str]) -> str:
    """Return the name of a key (RFC 7638 §3)."""
    text = json.dumps(key, separators=(",", ":"), sort_keys=True)
    return encode(hashlib.sha256(text.encode()).digest())


def _judge(claims: Mapping[str, Any], wanted: Wanted, thumbprint: str) -> Proof:
    """Hold the claims against the request and the clock."""
    if claims.get("htm") != wanted.method:
        raise Refused(
            "wrong_method", "htm of the DPoP proof must be the method of this request (RFC 9449 4.2)"
        )
    htu = claims.get("htu")
    if not isinstance(htu, str) or not wanted.url or normal_url(htu) != wanted.url:
        raise Refused(
            "wrong_url",
            "htu of the DPoP proof must be the URL of this request, without query and fragment"
            " (RFC 9449 4.2)",
        )
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti.encode(errors="replace")) <= _MAX_ID:
        raise Refused("no_id", "the DPoP proof needs a jti of 1 to 256 bytes (RFC 9449 4.2)")
    ath = encode(hashlib.sha256(wanted.token.encode()).digest())
    if claims.get("ath") != ath:
        raise Refused(
            "wrong_token",
            "ath of the DPoP proof must be the base64url of SHA-256 of this access token (RFC 9449 4.2)",
        )
    now = time.time()
    until, old = _times(claims, wanted, now)
    name = hashlib.sha256(thumbprint.encode() + b" " + jti.encode(errors="replace")).digest()
    return Proof(encode(name), until - now + SKEW, old)


def _times(claims: Mapping[str, Any], wanted: Wanted, now: float) -> tuple[float, bool]:
    """Return until when the proof can be used, and whether its nonce is an old one."""
    iat, exp, nonce = _time(claims.get("iat")), _time(claims.get("exp", 1e14)), claims.get("nonce", "")
    if iat is None:
        raise Refused("no_time", "the DPoP proof has no iat (RFC 9449 4.2)")
    if not isinstance(nonce, str) or exp is None:
        raise Refused("malformed", "nonce of a DPoP proof is a text, and exp is a time (RFC 9449 4.2)")
    if now > exp + SKEW:
        raise _expired()
    if wanted.nonces is not None:
        return _nonce(nonce, wanted.nonces, now)
    if now > iat + wanted.window:
        raise _expired()
    if now < iat - wanted.window:
        raise Refused("not_yet", "iat of the DPoP proof is in the future; check the clock")
    return iat + wanted.window, False


def _nonce(nonce: str, nonces: Nonces, now: float) -> tuple[float, bool]:
    if not nonce:
        raise Refused(
            "no_nonce",
            "the DPoP proof needs the nonce of the header DPoP-Nonce (RFC 9449 8)",
            "use_dpop_nonce",
        )
    found = nonces.until(nonce, now)
    if found is None:
        raise Refused(
            "wrong_nonce",
            "the nonce of the DPoP proof is unknown or has expired; use that of the header DPoP-Nonce"
            " (RFC 9449 8)",
            "use_dpop_nonce",
        )
    return found


def _time(value: object) -> float | None:
    """Return a NumericDate (RFC 7519 §2), None for anything else, NaN too."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e15
    return value if good and isinstance(value, (int, float)) else None


def _expired() -> Refused:
    return Refused(
        "expired", "the DPoP proof is too old; make a new one for each request, and check the clock"
    )


@lru_cache(maxsize=1)
def _jws() -> PyJWS:
    made = PyJWS(algorithms=[a for a in PROOF_ALGORITHMS if a != _ED25519])
    made.register_algorithm(_ED25519, OKPAlgorithm())
    return made


def _verify(text: str, alg: str, members: Mapping[str, str]) -> None:
    """Verify the signature by the key that the proof itself brings."""
    jws = _jws()
    try:
        key = jws.get_algorithm_by_name(alg).from_jwk(dict(members))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError):
        raise _no_key() from None
    if members["kty"] == "RSA" and (not 2048 <= key.key_size <= 4096 or key.public_numbers().e >= 1 << 32):
        raise Refused("weak_key", "the RSA key in jwk of the DPoP proof must have 2048 to 4096 bits")
    try:
        jws.decode(text, key, algorithms=[alg])
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Refused(
            "wrong_signature", "the signature of the DPoP proof is not by the key in its jwk"
        ) from None
