"""Tests of an API without a server.

Everything but the server is the real thing: the header is read, the user is looked up, scopes and
audience are checked.

    with FakeGrantor() as grantor:
        client = GrantorAPIClient(grantor)
        client.as_user(user, "orders:read")
        assert client.get("/orders").status_code == 200
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import secrets
import time
from dataclasses import replace
from typing import Any

from rest_framework.test import APIClient

from . import verifiers
from .conf import begin_test, end_test, get_config
from .principals import subject_of
from .token import Token, parse_scope


class FakeGrantor:
    """Replaces the server within a with statement. Its tokens are good for this process alone.

    Secrets need not be there meanwhile, and changes of users end no sessions.
    """

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._count = itertools.count(1)
        self._down = False
        self._former: list[Any] = []

    def __enter__(self) -> FakeGrantor:
        begin_test(self)
        self._former.append(verifiers.replace(self))
        return self

    def __exit__(self, *exc: object) -> None:
        verifiers.replace(self._former.pop())
        end_test()

    def verify(self, token: str) -> Token:
        """Implement Verifier."""
        if self._down:
            raise verifiers.Unavailable("the fake server is down")
        try:
            return verifiers.from_holder(self._tokens[token])
        except KeyError:
            raise verifiers.InvalidToken from None

    def close(self) -> None:
        """Implement Verifier."""

    def user_token(self, user: Any, scope: str = "", *, client_id: str = "test-app", **more: Any) -> str:
        """Return an access token of a user. scope: divided by spaces. more: fields of Token."""
        subject = subject_of(user, get_config().user_field)
        return self._issue(
            subject=subject,
            subject_type="user",
            client_id=client_id,
            scope=scope,
            username=user.get_username(),
            **more,
        )

    def machine_token(self, scope: str = "", *, client_id: str = "test-machine", **more: Any) -> str:
        """Return an access token of a machine."""
        return self._issue(subject=client_id, subject_type="client", client_id=client_id, scope=scope, **more)

    def api_key(self, scope: str = "", *, client_id: str = "test-machine", **more: Any) -> str:
        """Return an API key of a machine. It has no end."""
        fields: dict[str, Any] = {"subject": client_id, "subject_type": "client", "expires_at": 0.0, **more}
        return self._issue(scope=scope, client_id=client_id, prefix="gak", **fields)

    def _issue(self, *, scope: str, prefix: str = "gat", **fields: Any) -> str:
        config, number, now = get_config(), next(self._count), time.time()
        token = Token(
            scope=parse_scope(scope),
            audience=config.audience,
            issuer=config.issuer,
            id=f"test-{number}",
            issued_at=now,
            expires_at=now + 900,
            **{k: v for k, v in fields.items() if k in ("subject", "subject_type", "client_id")},
        )
        more = {k: v for k, v in fields.items() if k not in ("subject", "subject_type", "client_id")}
        text = f"{prefix}_test{number}"
        self._tokens[text] = replace(token, **more)
        return text

    def revoke(self, token: str) -> None:
        """Make a token inactive."""
        self._tokens.pop(token, None)

    def expire(self, token: str) -> None:
        """Let a token's time be over."""
        self._tokens[token] = replace(self._tokens[token], expires_at=time.time() - 1)

    def fail(self) -> None:
        """Answer nothing, until recover: the API answers 503."""
        self._down = True

    def recover(self) -> None:
        """Answer again."""
        self._down = False


class ProofKey:
    """A client's key, and the DPoP proofs by it (RFC 9449 §4.2). It needs PyJWT.

    key = ProofKey()
    token = grantor.machine_token("orders:read", key_thumbprint=key.thumbprint)
    client.get("/orders", HTTP_AUTHORIZATION=f"DPoP {token}", HTTP_DPOP=key.proof("GET", url, token))
    """

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec
        from jwt.algorithms import ECAlgorithm

        self._private = ec.generate_private_key(ec.SECP256R1())
        said: Any = ECAlgorithm.to_jwk(self._private.public_key())
        jwk = json.loads(said) if isinstance(said, str) else dict(said)
        self.jwk: dict[str, str] = {name: jwk[name] for name in ("crv", "kty", "x", "y")}

    @property
    def thumbprint(self) -> str:
        """What ``jkt`` of a bound token is (RFC 7638)."""
        text = json.dumps(self.jwk, separators=(",", ":"), sort_keys=True)
        return _encode(hashlib.sha256(text.encode()).digest())

    def proof(self, method: str, url: str, token: str, nonce: str = "", **claims: Any) -> str:
        """Return a proof for one request. claims: in the place of those of a good proof."""
        import jwt

        said = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url, "iat": int(time.time())}
        said["ath"] = _encode(hashlib.sha256(token.encode()).digest())
        if nonce:
            said["nonce"] = nonce
        header = {"typ": "dpop+jwt", "jwk": self.jwk}
        return jwt.encode({**said, **claims}, self._private, algorithm="ES256", headers=header)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class GrantorAPIClient(APIClient):
    """DRF's APIClient with tokens of a FakeGrantor."""

    def __init__(self, grantor: FakeGrantor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grantor = grantor

    def as_user(self, user: Any, scope: str = "", **more: Any) -> str:
        """Send a token of this user from now on. Return it."""
        return self.with_token(self.grantor.user_token(user, scope, **more))

    def as_machine(self, scope: str = "", **more: Any) -> str:
        """Send a token of a machine from now on. Return it."""
        return self.with_token(self.grantor.machine_token(scope, **more))

    def with_token(self, token: str) -> str:
        """Send this token from now on."""
        self.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return token
