"""The client certificate of a request, which a trusted proxy writes into a header (RFC 8705, RFC 9440)."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote

from django.core.exceptions import ImproperlyConfigured

from .conf import Config
from .network import peer_is_trusted

try:
    from cryptography import x509
except ImportError as e:
    raise ImproperlyConfigured(
        'GRANTOR CLIENT_CERT_HEADER needs cryptography: pip install "django-grantor[jwt]"'
    ) from e

MAX_BYTES = 12 << 10
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*", re.ASCII)


class NoCertificate(Exception):
    """The request presents no certificate that counts."""


class Unreadable(Exception):
    """The header of a trusted proxy cannot be read without doubt."""


def thumbprint_of(meta: dict[str, Any], config: Config) -> tuple[str, datetime]:
    """Return x5t#S256 (RFC 8705 §3.1) of the client's certificate, and when it ends.

    Raise NoCertificate or Unreadable. Whoever is no trusted proxy presents none, whatever its headers say.
    """
    value = meta.get("HTTP_" + config.client_cert_header.upper().replace("-", "_"), "")
    if not value or not peer_is_trusted(meta, config.trusted_proxies):
        raise NoCertificate
    try:
        if len(value) > MAX_BYTES:
            raise ValueError("too long")
        der = _READERS[config.cert_format](str(value))
        end = _end(x509.load_der_x509_certificate(der))
    except Exception:  # noqa: BLE001 (malformed certificates have errors of many kinds)
        raise Unreadable from None
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("="), end


def _end(certificate: x509.Certificate) -> datetime:
    try:
        return certificate.not_valid_after_utc
    except AttributeError:  # before cryptography 42
        return certificate.not_valid_after.replace(tzinfo=timezone.utc)


def _rfc9440(value: str) -> bytes:
    """Read base64 of DER between colons (RFC 9440 §2.2)."""
    if len(value) < 3 or value[0] != ":" or value[-1] != ":":
        raise ValueError("no byte sequence")
    return _der(value[1:-1])


def _der(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


def _pem(value: str) -> bytes:
    """Read PEM of which all is URL-encoded that a header cannot hold."""
    if re.search(r"[\s\",;]", value):
        raise ValueError("not URL-encoded")
    found = _PEM.fullmatch(unquote(value))
    if found is None:
        raise ValueError("not one certificate")
    return _der("".join(found[1].split()))


_READERS = {"rfc9440": _rfc9440, "der": _der, "pem": _pem}
