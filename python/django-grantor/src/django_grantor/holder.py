"""Whether the sender of a bound token has its key and its certificate (RFC 9449 §7, RFC 8705 §3)."""

from __future__ import annotations

import hmac
import logging
import re
import time
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlsplit

from .conf import Config
from .exceptions import InvalidTokenError, UnavailableError
from .token import Token

log = logging.getLogger("django_grantor")

_DOTS = re.compile(r"(/|%2f)(\.|%2e){1,2}(/|%2f|$)", re.ASCII | re.IGNORECASE)


def check_holder(request: Any, token: Token, text: str, config: Config, url: str) -> None:
    """Hold what a token is bound to against its request. url: of the request; "": not known.

    Raise InvalidTokenError (401), or UnavailableError where used proofs cannot be remembered.
    """
    by_dpop = is_dpop(request)
    if not token.key_thumbprint and by_dpop:
        raise InvalidTokenError("the token is bound to no key; send it as Authorization: Bearer")
    if not token.key_thumbprint and config.dpop_required:
        raise InvalidTokenError(
            "this API takes only tokens that are bound to a key; get one with a DPoP proof (RFC 9449 5)"
        )
    if token.key_thumbprint and not by_dpop:
        if not config.dpop:
            raise InvalidTokenError("this API does not take tokens that are bound to a key")
        raise InvalidTokenError(
            "the token is bound to a key; send it as Authorization: DPoP, with a proof (RFC 9449 7.1)",
            dpop=True,
        )
    if token.certificate_thumbprint:
        _check_certificate(request, token, config)
    if token.key_thumbprint:
        _check_proof(request, token, text, config, url)


def is_dpop(request: Any) -> bool:
    """Say whether the token was sent in the scheme DPoP."""
    scheme = str(request.META.get("HTTP_AUTHORIZATION", "")).partition(" ")[0]
    return scheme.lower() == "dpop"


def sent_path(request: Any) -> str:
    """Return the path as the client sent it, where the server tells, else as Django read it."""
    scope = getattr(request, "scope", None)
    raw = scope.get("raw_path") if isinstance(scope, dict) else None
    if isinstance(raw, bytes) and raw:
        return raw.decode("latin-1").partition("?")[0]
    uri = request.META.get("REQUEST_URI") or request.META.get("RAW_URI")  # uWSGI and mod_wsgi; gunicorn
    if isinstance(uri, str) and uri:
        bare = uri.partition("?")[0].partition("#")[0]
        return bare if bare.startswith("/") else urlsplit(bare).path
    return quote(str(request.path), safe="/:@!$&'()*+,;=~")


def request_url(url: str) -> str:
    """Return the URL that a proof must name; "" for none.

    Clients resolve dots before they send a path. With dots left, a proof for one route could serve another.
    """
    from .dpop import normal_url

    return "" if _DOTS.search(url.partition("?")[0]) else normal_url(url)


def _check_proof(request: Any, token: Token, text: str, config: Config, url: str) -> None:
    from . import dpop, used  # PyJWT is optional

    nonces = dpop.Nonces(config.dpop_nonce_key, config.dpop_nonce_lifetime) if config.dpop_nonce_key else None
    wanted = dpop.Wanted(
        request.method or "", request_url(url), text, token.key_thumbprint, config.dpop_window, nonces
    )
    try:
        proof = dpop.check(str(request.META.get("HTTP_DPOP", "")), wanted)
        if not used.once(config.dpop_cache, proof.name, proof.keep):
            raise dpop.Refused(
                "replayed", "the DPoP proof was used before; make a new one for each request (RFC 9449 11.1)"
            )
    except dpop.Refused as e:
        if nonces is not None:
            _send_nonce(request, nonces.current(time.time()))
        if e.code != "use_dpop_nonce":
            log.warning("a DPoP proof was refused: %s", e.reason)
        raise InvalidTokenError(e.text, error=e.code, dpop=True) from None
    except used.Forgetful as e:
        log.error("whether a DPoP proof was used is unknown: %s", e)
        raise UnavailableError from None
    if nonces is not None and proof.old_nonce:
        _send_nonce(request, nonces.current(time.time()))


def _send_nonce(request: Any, nonce: str) -> None:
    """Let the answer have a nonce (RFC 9449 §9). DRF's views answer with their headers, errors too."""
    view = (getattr(request, "parser_context", None) or {}).get("view")
    headers = getattr(view, "headers", None)
    if isinstance(headers, dict):
        headers["DPoP-Nonce"] = nonce


def _check_certificate(request: Any, token: Token, config: Config) -> None:
    if not config.client_cert_header:
        raise InvalidTokenError("this API does not take tokens that are bound to a certificate")
    from . import certificates  # cryptography is optional

    try:
        thumbprint, end = certificates.thumbprint_of(request.META, config)
    except certificates.NoCertificate:
        raise InvalidTokenError(
            "the token is bound to a client certificate; present it in the TLS handshake (RFC 8705 3)"
        ) from None
    except certificates.Unreadable:
        log.warning("the proxy's header with the client certificate cannot be read")
        raise InvalidTokenError("the client certificate cannot be read") from None
    if not hmac.compare_digest(thumbprint, token.certificate_thumbprint):
        raise InvalidTokenError("the token is bound to another client certificate (RFC 8705 3)")
    if datetime.now(timezone.utc) > end:
        raise InvalidTokenError("the client certificate has expired")
