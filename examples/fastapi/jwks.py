"""A FastAPI dependency that verifies JWTs by Grantor's key set (RFC 9068)."""

import jwt
from fastapi import HTTPException
from fastapi.security import SecurityScopes

from introspection import Credentials, check_scope


class KeySet:
    """Security(key_set, scopes=["orders:read"]) returns the claims of the token."""

    def __init__(self, issuer: str, audience: str):
        self.issuer, self.audience = issuer, audience
        self.keys = jwt.PyJWKClient(f"{issuer}/oauth2/jwks", timeout=2)  # fetches a new key once

    def __call__(self, needed: SecurityScopes, credentials: Credentials) -> dict:
        if credentials is None:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        try:
            key = self.keys.get_signing_key_from_jwt(credentials.credentials)
            token = jwt.decode_complete(
                credentials.credentials, key, algorithms=["ES256"], issuer=self.issuer, audience=self.audience,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]})
        except jwt.PyJWKClientConnectionError:
            raise HTTPException(503, headers={"Retry-After": "1"}) from None
        except jwt.PyJWTError:
            token = {"header": {}}
        if token["header"].get("typ", "").lower() not in ("at+jwt", "application/at+jwt") or "cnf" in token["payload"]:
            raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        check_scope(needed, token["payload"].get("scope", ""))
        return token["payload"]
