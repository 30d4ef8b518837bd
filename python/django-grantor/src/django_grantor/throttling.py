"""A throttle by client."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from .token import Token


class ClientRateThrottle(SimpleRateThrottle):
    """Limits the requests of one client, by ``DEFAULT_THROTTLE_RATES["client"]``.

    A machine has one count. A client that acts for users has one count for each user. Requests
    without a token of Grantor are not counted.
    """

    scope = "client"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        """Return what the count is kept under, None for no limit."""
        token = request.auth
        if not isinstance(token, Token):
            return None
        who = token.client_id if token.is_machine else f"{token.client_id} {token.subject}"
        return self.cache_format % {"scope": self.scope, "ident": who.replace(" ", "\x1f").encode().hex()}
