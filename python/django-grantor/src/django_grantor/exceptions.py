"""Refusals, with the challenges of RFC 6750 §3."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from rest_framework import status
from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied

from .conf import get_config
from .metadata import location


def challenge(error: str = "", description: str = "", scope: Iterable[str] = ()) -> str:
    """Return the value of WWW-Authenticate. Without credentials it has no error (RFC 6750 §3.1)."""
    parts = [f'Bearer realm="{get_config().realm}"']
    if error:
        parts += [f'error="{error}"', f'error_description="{description}"']
    if needed := " ".join(scope):
        parts.append(f'scope="{needed}"')
    config = get_config()
    if config.resource_metadata:
        parts.append(f'resource_metadata="{location(config.audience[0])}"')  # RFC 9728 §5.1
    return ", ".join(parts)


class InvalidTokenError(AuthenticationFailed):
    """401: the token is not good. DRF takes the challenge from the authenticator."""

    def __init__(self, description: str) -> None:
        super().__init__({"detail": description, "error": "invalid_token"}, code="invalid_token")
        self.auth_header = challenge("invalid_token", description)


class InvalidRequestError(APIException):
    """400: the credentials are malformed (RFC 6750 §3.1)."""

    status_code = status.HTTP_400_BAD_REQUEST

    def __init__(self, description: str) -> None:
        super().__init__({"detail": description, "error": "invalid_request"}, code="invalid_request")
        self.auth_header = challenge("invalid_request", description)


class InsufficientScopeError(PermissionDenied):
    """403: the token is good and has not the scope (RFC 6750 §3.1)."""

    def __init__(self, scope: Iterable[str]) -> None:
        needed = " ".join(scope)
        description = "the token has not the scope that this needs"
        detail = {"detail": description, "error": "insufficient_scope", "scope": needed}
        super().__init__(detail, code="insufficient_scope")
        self.auth_header = challenge("insufficient_scope", description, [needed] if needed else [])


class UnavailableError(APIException):
    """503: whether the token is good is not known. Retry-After spreads those who come again."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE

    def __init__(self, **extra: Any) -> None:
        description = "tokens cannot be verified at the moment; try again"
        super().__init__(
            {"detail": description, "error": "temporarily_unavailable", **extra},
            code="temporarily_unavailable",
        )
        self.wait = 1 + secrets.randbelow(4)
