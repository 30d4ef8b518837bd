"""Views in the shapes of djangorestframework-simplejwt, for an app that is in the field.

They pass through to Grantor's token endpoint as the public client APP_CLIENT_ID. The app changes
nothing but what it had to do anyway: it keeps the new refresh token of each answer. Let the app
speak to Grantor itself as soon as it can: here Grantor sees one address for all users, and counts
failed logins of all of them together, unless FORWARD_CLIENT_ADDRESS is set and this server is one
of Grantor's trusted_proxies.
"""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, AuthenticationFailed, ParseError, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from . import verifiers
from .authentication import GrantorAuthentication
from .conf import Config, get_config
from .exceptions import InvalidTokenError, UnavailableError, challenge
from .transport import Answer, Transport, TransportError

log = logging.getLogger("django_grantor")
_transports: dict[Config, Transport] = {}


class PasswordSerializer(serializers.Serializer[Any]):
    """The body of a login."""

    username = serializers.CharField()
    password = serializers.CharField(write_only=True, trim_whitespace=False)
    scope = serializers.CharField(required=False)


class RefreshSerializer(serializers.Serializer[Any]):
    """The body of a refresh and of a logout."""

    refresh = serializers.CharField()


class VerifySerializer(serializers.Serializer[Any]):
    """The body of a question about an access token."""

    token = serializers.CharField()


class _PassThrough(APIView):
    """Sends a form to Grantor."""

    authentication_classes = ()
    permission_classes = ()
    serializer_class: type[serializers.Serializer[Any]]

    @method_decorator(sensitive_post_parameters("password", "refresh", "token"))
    @method_decorator(sensitive_variables())
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer. Django's error reports show nothing of the form."""
        return super().dispatch(request, *args, **kwargs)

    def get_authenticate_header(self, request: Request) -> str:
        """Return the challenge, as simplejwt's views do."""
        return challenge()

    def read(self, request: Request) -> dict[str, Any]:
        """Return the body. DRF answers 400 to a malformed one."""
        serializer = self.serializer_class(data=request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def send(self, request: Request, endpoint: str, form: dict[str, str]) -> dict[str, Any]:
        """Send a form as the app. Raise what DRF answers with."""
        config = get_config()
        if not config.app_client_id:
            raise ImproperlyConfigured("GRANTOR: these views need APP_CLIENT_ID, a public client of Grantor")
        transport = _transports.get(config) or _transports.setdefault(
            config, Transport(timeout=config.timeout, ca_file=config.ca_file)
        )
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if config.forward_client_address:
            headers["X-Forwarded-For"] = str(request.META.get("REMOTE_ADDR", ""))
        body = urlencode({"client_id": config.app_client_id, **form}).encode()
        try:
            url = verifiers.Metadata(config, transport).endpoint(endpoint)
            answer = transport.request("POST", url, headers=headers, body=body, repeatable=False)
        except (TransportError, verifiers.Unavailable) as e:
            log.error("the token endpoint could not be asked: %s", e)
            raise UnavailableError from None
        return self.judge(answer)

    def judge(self, answer: Answer) -> dict[str, Any]:
        """Return the JSON of a 200, or raise."""
        try:
            said = json.loads(answer.body)
        except ValueError:
            said = {}
        if answer.status == status.HTTP_200_OK and isinstance(said, dict):
            return said
        error = said.get("error", "") if isinstance(said, dict) else ""
        wait = answer.header("retry-after")
        if answer.status == status.HTTP_429_TOO_MANY_REQUESTS:
            raise Throttled(float(wait) if wait.isdigit() else None)
        if error in ("invalid_grant", "invalid_scope"):
            raise self.refused()
        if error == "invalid_request":  # what the app sent is too long, or not a text
            raise ParseError({"detail": str(said.get("error_description", error)), "error": error})
        log.error("the token endpoint answers %d %s", answer.status, error)
        raise UnavailableError

    def refused(self) -> APIException:
        """Return the 401 of a token that is not good, in simplejwt's words."""
        return AuthenticationFailed(
            {"detail": "Token is invalid or expired", "code": "token_not_valid"}, code="token_not_valid"
        )


class TokenObtainPairView(_PassThrough):
    """POST username and password; 200 access and refresh."""

    serializer_class = PasswordSerializer

    def post(self, request: Request) -> Response:
        """Log in (RFC 6749 §4.3)."""
        said = self.send(request, "token_endpoint", {"grant_type": "password", **self.read(request)})
        return Response({"refresh": said.get("refresh_token"), "access": said.get("access_token")})

    def refused(self) -> APIException:
        """Return simplejwt's words."""
        return AuthenticationFailed(
            {"detail": "No active account found with the given credentials", "code": "no_active_account"},
            code="no_active_account",
        )


class TokenRefreshView(_PassThrough):
    """POST refresh; 200 access and a new refresh, as simplejwt with ROTATE_REFRESH_TOKENS."""

    serializer_class = RefreshSerializer

    def post(self, request: Request) -> Response:
        """Refresh (RFC 6749 §6)."""
        form = {"grant_type": "refresh_token", "refresh_token": self.read(request)["refresh"]}
        said = self.send(request, "token_endpoint", form)
        return Response({"access": said.get("access_token"), "refresh": said.get("refresh_token")})


class TokenVerifyView(_PassThrough):
    """POST token; 200 {} for an access token that this API takes, 401 for any other."""

    serializer_class = VerifySerializer

    def post(self, request: Request) -> Response:
        """Verify as GrantorAuthentication does."""
        text, authentication = self.read(request)["token"], GrantorAuthentication()
        if len(text) > verifiers.MAX_TOKEN_BYTES:
            raise self.refused()
        try:
            authentication.principal(authentication.verify(text))
        except InvalidTokenError:
            raise self.refused() from None
        return Response({})


class TokenBlacklistView(_PassThrough):
    """POST refresh; 200 {}: the session ends, with its access tokens."""

    serializer_class = RefreshSerializer

    def post(self, request: Request) -> Response:
        """Revoke (RFC 7009)."""
        self.send(request, "revocation_endpoint", {"token": self.read(request)["refresh"]})
        return Response({})
