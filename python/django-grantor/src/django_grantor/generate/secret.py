"""Client secrets, in the form that Grantor makes them."""

from __future__ import annotations

import hashlib
import secrets
import zlib

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_DIGITS, _CHECK_DIGITS = 44, 6


def new_secret() -> str:
    """Return a fresh secret: gcs_, 256 random bits, a checksum by which scanners know it."""
    text = "gcs_" + _base62(secrets.randbits(256), _RANDOM_DIGITS)
    return text + _base62(zlib.crc32(text.encode()), _CHECK_DIGITS)


def hash_secret(secret: str) -> str:
    """Return the hash for config.toml. It is enough for 256 random bits, not for a chosen word."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()


def _base62(number: int, width: int) -> str:
    out = ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        out = _DIGITS[digit] + out
    return out
