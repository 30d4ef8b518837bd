"""Describes GrantorAuthentication to drf-spectacular, which finds this class by itself."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from .conf import get_config


class GrantorScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The security scheme of OpenAPI: HTTP Bearer (RFC 6750), or DPoP with DPOP_REQUIRED (RFC 9449)."""

    target_class = "django_grantor.authentication.GrantorAuthentication"
    match_subclasses = True
    name = "grantor"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the scheme object."""
        if get_config().dpop_required:
            return {
                "type": "http",
                "scheme": "dpop",
                "description": "An OAuth 2.0 access token of Grantor, bound to a key, and its DPoP proof",
            }
        return {"type": "http", "scheme": "bearer", "description": "An OAuth 2.0 access token of Grantor"}
