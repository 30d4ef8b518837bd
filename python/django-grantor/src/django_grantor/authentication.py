"""The authentication class for Django REST framework."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from typing import Any

from django.db import InterfaceError, OperationalError
from django.views.decorators.debug import sensitive_variables
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from . import verifiers
from .conf import get_config, is_access_type
from .exceptions import InvalidRequestError, InvalidTokenError, UnavailableError, challenge
from .holder import check_holder, is_dpop, sent_path
from .network import address_of, within
from .principals import Machine, find_user
from .resource import names
from .token import Token

log = logging.getLogger("django_grantor")

#: RFC 6750 §2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)
_API_KEY = "gak_"
#: An API key that ``grantor import rest-framework-api-key`` brought.
_FOREIGN_KEY = re.compile(r"[A-Za-z0-9]{1,8}\.[A-Za-z0-9]{22,128}", re.ASCII)
_BAD = "the token is unknown, expired or revoked"
_UNKNOWN = "the token's user is not known here, or not active"


class GrantorAuthentication(BaseAuthentication):
    """Authenticates by an access token or an API key in the header ``Authorization: Bearer``.

    With DPOP it also takes ``Authorization: DPoP``: a token that is bound to a key, with its proof.
    ``request.user`` is the Django user of the token's ``sub``, or a Machine; ``request.auth`` is the
    Token. Without such a header it says nothing, and the next class is asked.
    """

    #: What aud must name, in the place of AUDIENCE of the settings; None: that.
    audience: str | None = None
    #: Let the next class look at Bearer tokens that are none of Grantor's, while another kind of
    #: token is still in the field.
    pass_on_others = False

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[Any, Token] | None:
        """Return the principal and the token, None without a Bearer header.

        Raise InvalidTokenError (401), InvalidRequestError (400) or UnavailableError (503).
        """
        try:
            text = self.credential(request)
            if text is None or (self.pass_on_others and not looks_like_ours(text)):
                return None
            token = self.verify(text, request)
            return self.principal(token), token
        except InvalidTokenError as e:
            if get_config().dpop and is_dpop(request):
                e.sent_by_dpop()
            request._grantor_challenge = e.auth_header  # type: ignore[attr-defined]
            raise

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401 (RFC 6750 §3)."""
        return getattr(request, "_grantor_challenge", None) or challenge()

    def credential(self, request: Request) -> str | None:
        """Return the text of a token or an API key, None where there is none for this class."""
        if not get_config().api_key_headers:
            return self.bearer(request)
        key, authorization = request.META.get("HTTP_X_API_KEY"), request.META.get("HTTP_AUTHORIZATION")
        if key is not None and authorization is not None:
            raise InvalidRequestError(
                "the request has both X-API-Key and Authorization; send the key in one of them"
            )
        if key is None:
            scheme, _, rest = (authorization or "").partition(" ")
            if scheme.lower() != "api-key":
                return self.bearer(request)
            key = rest
        key = key.strip(" ")
        if len(key) > verifiers.MAX_TOKEN_BYTES or not _B64TOKEN.fullmatch(key):
            raise InvalidRequestError("the header must hold one API key and nothing else")
        if not (key.startswith(_API_KEY) or _FOREIGN_KEY.fullmatch(key) or self.pass_on_others):
            raise InvalidTokenError(
                "this header takes API keys (gak_...); send a token as Authorization: Bearer"
            )
        return str(key)

    def bearer(self, request: Request) -> str | None:
        """Return the token of a request (RFC 6750 §2.1, RFC 9449 §7.1), None for no or other credentials."""
        value = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, rest = value.partition(" ")
        if scheme.lower() != "bearer" and not (get_config().dpop and is_dpop(request)):
            return None
        text = rest.strip(" ")
        if len(text) > verifiers.MAX_TOKEN_BYTES:
            raise InvalidRequestError("the token is longer than 16 kB")
        if not _B64TOKEN.fullmatch(text):
            raise InvalidRequestError(
                "the Authorization header must be: Bearer or DPoP, one space, the token (RFC 6750 2.1)"
                if get_config().dpop
                else "the Authorization header must be: Bearer, one space, the token (RFC 6750 2.1)"
            )
        if "access_token" in request.META.get("QUERY_STRING", "") and "access_token" in request.query_params:
            raise InvalidRequestError(
                "the token is sent in more than one way; send it in the Authorization header (RFC 6750 2)"
            )
        return str(text)

    def verify(self, text: str, request: Request | None = None) -> Token:
        """Return what a good token for this API says.

        Without a request, an API key that is allowed from some networks alone is refused, and so is a token
        that is bound to a key or a certificate.
        """
        try:
            with verifiers.holder_check():
                token = verifiers.current().verify(text)
        except verifiers.InvalidToken:
            raise InvalidTokenError(_BAD) from None
        except verifiers.Unavailable as e:
            log.error("a token could not be verified: %s", e)
            raise UnavailableError from None
        if not token.live_at(time.time()):
            raise InvalidTokenError(_BAD)
        wanted = get_config().audience if self.audience is None else (self.audience,)
        if wanted and not names(token.audience, wanted):
            raise InvalidTokenError("the token is meant for another resource")
        if token.allowed_networks:
            address = None if request is None else address_of(request.META, get_config().trusted_proxies)
            if not within(address, token.allowed_networks):
                log.warning("an API key was refused for where it came from: %s from %s", token.id, address)
                raise InvalidTokenError(_BAD)
        self._check_holder(token, text, request)
        return token

    def public_url(self, request: Request) -> str:
        """Return the URL of a request as its client wrote it, without the query; "" where it is not known.

        Override this for an API with several hosts. The Host header is not believed: whoever steals a proof
        for another API can write that API's name there.
        """
        base = get_config().public_url
        return base + sent_path(request) if base else ""

    def _check_holder(self, token: Token, text: str, request: Request | None) -> None:
        config = get_config()
        if request is not None:
            if token.is_bound or config.dpop:
                check_holder(request, token, text, config, self.public_url(request))
        elif token.is_bound or config.dpop_required:
            raise InvalidTokenError(_BAD)

    def principal(self, token: Token) -> Any:
        """Return who asks. Override this to make a user of your own from the token.

        An unknown user and an inactive user are refused alike, and so is a subject of another
        issuer: it is no user of this site, whatever its name is (RFC 9700 §4.15).
        """
        if token.is_machine:
            return Machine(token.client_id or token.subject)
        if token.subject_type == "external":
            log.warning("a good token names a subject of another issuer: override principal to accept it")
            raise InvalidTokenError(_UNKNOWN)
        try:
            user = find_user(token.subject, get_config().user_field)
        except (OperationalError, InterfaceError) as e:
            log.error("the user of a token could not be read: %s", type(e).__name__)
            raise UnavailableError from None
        if user is None:
            log.warning("a good token names a user who is not here, or is not active")
            raise InvalidTokenError(_UNKNOWN)
        return user


def looks_like_ours(text: str) -> bool:
    """Say whether a Bearer token has the form of Grantor's: opaque, or a JWT of RFC 9068."""
    if text.startswith(("gat_", _API_KEY)) or _FOREIGN_KEY.fullmatch(text):
        return True
    head, dot, _ = text.partition(".")
    if not dot:
        return False
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError):
        return False
    typ = header.get("typ") if isinstance(header, dict) else None
    return is_access_type(typ, get_config())
