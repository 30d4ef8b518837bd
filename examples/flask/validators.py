"""Authlib's validators for Grantor's tokens, and its refusals as RFC 6750 §3 says."""

import time

import requests
from authlib.integrations.flask_oauth2 import ResourceProtector
from authlib.oauth2.rfc6749 import MissingAuthorizationError
from authlib.oauth2.rfc6750 import InvalidTokenError
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from flask import abort, jsonify, make_response
from joserfc.jwk import KeySet


class Introspection(IntrospectTokenValidator):
    """Asks Grantor about each token (RFC 7662): a revoked token is refused at once."""

    def __init__(self, issuer, client_id, client_secret):
        super().__init__()
        self.url = f"{issuer}/oauth2/introspect"
        self.session = requests.Session()  # keeps connections
        self.session.auth = client_id, client_secret

    def introspect_token(self, token_string):
        response = self.session.post(self.url, data={"token": token_string}, timeout=2)
        response.raise_for_status()  # an error is no answer: see the handler in app.py
        about = response.json()
        bearer = about.get("token_type") == "Bearer" and "cnf" not in about  # no refresh token, and none that is bound
        return about if bearer else {"active": False}


class JWTs(JWTBearerTokenValidator):
    """Verifies JWTs by Grantor's key set (RFC 9068): a revoked token is good until it expires."""

    keys, fetch_at = None, 0.0

    def validate_token(self, token, scopes, request, **more):
        super().validate_token(token, scopes, request, **more)
        if "cnf" in token:  # bound to a key or a certificate, which nobody checks here
            raise InvalidTokenError()

    def get_jwks(self):
        if time.monotonic() >= self.fetch_at:
            try:
                response = requests.get(f"{self.issuer}/oauth2/jwks", timeout=2)
                response.raise_for_status()
                self.keys = KeySet.import_key_set(response.json())
            except requests.RequestException:
                if self.keys is None:  # else those of the last fetch go on
                    raise
            self.fetch_at = time.monotonic() + 300  # seconds; a new key is published long before it signs
        return self.keys


class Protector(ResourceProtector):
    """Authlib's protector, with the challenges of RFC 6750 §3."""

    def raise_error_response(self, error):
        challenge = "Bearer"
        if not isinstance(error, MissingAuthorizationError):
            challenge += f' error="{error.error}"'
        response = make_response(jsonify(dict(error.get_body())), error.status_code)
        response.headers["WWW-Authenticate"] = challenge
        abort(response)
