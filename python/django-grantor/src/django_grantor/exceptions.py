"""Refusals, with the challenges of RFC 6750 §3."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from rest_framework import status
from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied

from .conf import PROOF_ALGORITHMS, get_config
from .metadata import location


def challenge(
    error: str = "",
    description: str = "",
    scope: Iterable[str] = (),
    *,
    dpop: bool = False,
    both: bool = True,
) -> str:
    """Return the value of WWW-Authenticate. Without credentials it has no error (RFC 6750 §3.1).

    dpop: the token was sent in the scheme DPoP, or should have been. That scheme comes first then (RFC 9449
    §7.1). both: name the other scheme too, where the API takes both.
    """
    config = get_config()
    if not config.dpop:
        return _one("Bearer", error, description, scope)
    schemes = ["DPoP", "Bearer"] if dpop or config.dpop_required else ["Bearer", "DPoP"]
    found = [_one(schemes[0], error, description, scope)]
    if both and not config.dpop_required:
        found.append(_one(schemes[1], "", "", scope))
    return ", ".join(found)


def _one(scheme: str, error: str, description: str, scope: Iterable[str]) -> str:
    config = get_config()
    parts = [f'{scheme} realm="{config.realm}"']
    if error:
        parts += [f'error="{error}"', f'error_description="{description}"']
    if needed := " ".join(scope):
        parts.append(f'scope="{needed}"')
    if config.resource_metadata:
        parts.append(f'resource_metadata="{location(config.audience[0])}"')  # RFC 9728 §5.1
    if scheme == "DPoP":
        parts.append(f'algs="{" ".join(PROOF_ALGORITHMS)}"')
    return ", ".join(parts)


class InvalidTokenError(AuthenticationFailed):
    """401: the token is not good, or not with this proof. DRF takes the challenge from the authenticator.

    error: also "invalid_dpop_proof" and "use_dpop_nonce" (RFC 9449 §7.1, §9). dpop: as in challenge.
    """

    def __init__(self, description: str, *, error: str = "invalid_token", dpop: bool = False) -> None:
        super().__init__({"detail": description, "error": error}, code=error)
        self._error, self._description = error, description
        self.auth_header = challenge(error, description, dpop=dpop)

    def sent_by_dpop(self) -> None:
        """Let the challenge of the scheme DPoP come first."""
        self.auth_header = challenge(self._error, self._description, dpop=True)


class InvalidRequestError(APIException):
    """400: the credentials are malformed (RFC 6750 §3.1)."""

    status_code = status.HTTP_400_BAD_REQUEST

    def __init__(self, description: str) -> None:
        super().__init__({"detail": description, "error": "invalid_request"}, code="invalid_request")
        self.auth_header = challenge("invalid_request", description, both=False)


class InsufficientScopeError(PermissionDenied):
    """403: the token is good and has not the scope (RFC 6750 §3.1)."""

    def __init__(self, scope: Iterable[str], *, dpop: bool = False) -> None:
        needed = " ".join(scope)
        description = "the token has not the scope that this needs"
        detail = {"detail": description, "error": "insufficient_scope", "scope": needed}
        super().__init__(detail, code="insufficient_scope")
        self.auth_header = challenge(
            "insufficient_scope", description, [needed] if needed else [], dpop=dpop, both=False
        )


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
