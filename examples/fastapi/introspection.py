"""A FastAPI dependency that asks Grantor about each token (RFC 7662)."""

from typing import Annotated

import httpx
from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

bearer = HTTPBearer(auto_error=False)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


class Introspection:
    """Security(introspection, scopes=["orders:read"]) returns what Grantor says of the token."""

    def __init__(self, issuer: str, client_id: str, client_secret: str):
        self.url = f"{issuer}/oauth2/introspect"
        self.client = httpx.AsyncClient(auth=(client_id, client_secret), timeout=2)  # keeps connections

    async def __call__(self, needed: SecurityScopes, credentials: Credentials) -> dict:
        if credentials is None:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        try:
            response = await self.client.post(self.url, data={"token": credentials.credentials})
            about = response.raise_for_status().json()
        except httpx.HTTPError:  # not 401: the token may be good
            raise HTTPException(503, headers={"Retry-After": "1"}) from None
        if not about["active"] or about["token_type"] != "Bearer" or "cnf" in about:
            raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        check_scope(needed, about.get("scope", ""))
        return about


def check_scope(needed: SecurityScopes, granted: str):
    if not set(needed.scopes) <= set(granted.split()):
        challenge = f'Bearer error="insufficient_scope", scope="{needed.scope_str}"'
        raise HTTPException(403, headers={"WWW-Authenticate": challenge})
