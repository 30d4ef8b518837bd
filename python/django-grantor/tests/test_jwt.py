"""MODE "jwt" and "either": tokens of the real server, and forged ones."""

import json
import logging
import threading
import time
from base64 import urlsafe_b64encode

import pytest

jwt = pytest.importorskip("jwt")
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from django_grantor import jwt_verifier, verifiers
from django_grantor.conf import get_config
from servers import AUDIENCE, reply

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("mode", ["jwt", "either"])
def test_real_tokens(asking, api, config, mode):
    config(MODE=mode)
    token = asking.token("jwt-machine")
    assert api("/protected", token).json()["client"] == "jwt-machine"
    assert api("/protected", asking.token("jwt-machine", "other:read")).status_code == 401
    assert api("/protected", token[:-4] + "AAAA").status_code == 401
    assert api("/protected", asking.token()).status_code == (401 if mode == "jwt" else 200)


def test_a_check_asks_nobody(asking, api, config):
    config(MODE="jwt")
    token = asking.token("jwt-machine")
    assert api("/protected", token).status_code == 200
    asking.stop()
    try:
        assert api("/protected", token).status_code == 200
    finally:
        asking.start()


def jwk(private, kid, **more):
    alg = {
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    write = next(a for kind, a in alg.items() if isinstance(private, kind))
    said = write.to_jwk(private.public_key())
    return {**(json.loads(said) if isinstance(said, str) else said), "kid": kid, "use": "sig", **more}


EC, EC2 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
RSA, ED = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
def issuer(stub):
    pause, jwt_verifier.PAUSE_SECONDS = jwt_verifier.PAUSE_SECONDS, 0.2
    s = stub(
        {
            "/jwks": {
                "keys": [
                    jwk(EC, "ec", alg="ES256"),
                    jwk(RSA, "rsa"),
                    jwk(RSA, "rs512", alg="RS512"),
                    jwk(ED, "ed"),
                    {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"},
                    {"kty": "EC"},
                    7,
                    jwk(EC2, "enc", use="enc"),
                ]
            }
        },
        MODE="jwt",
    )
    s.fetches = lambda: s.requests.count("GET /jwks")
    yield s
    jwt_verifier.PAUSE_SECONDS = pause


def claims(s, **change):
    now = int(time.time())
    c = {
        "iss": s.url,
        "sub": "m",
        "client_id": "m",
        "sub_type": "client",
        "aud": AUDIENCE,
        "exp": now + 60,
        "iat": now,
        "jti": "1",
        "scope": "orders:read",
    }
    c.update(change)
    return {k: v for k, v in c.items() if v is not None}


def sign(c, key=EC, alg="ES256", kid="ec", typ="at+jwt", **header):
    return jwt.encode(
        c,
        key,
        algorithm=alg,
        headers={k: v for k, v in {"kid": kid, "typ": typ, **header}.items() if v is not None},
    )


@pytest.mark.parametrize(
    ("alg", "key", "kid"), [("ES256", EC, "ec"), ("RS256", RSA, "rsa"), ("EdDSA", ED, "ed")]
)
def test_good_tokens(issuer, api, alg, key, kid):
    for typ in ("at+jwt", "application/at+jwt", "AT+JWT"):
        assert api("/protected", sign(claims(issuer), key, alg, kid, typ)).status_code == 200
    assert api("/protected", sign(claims(issuer, aud=["x", AUDIENCE]), key, alg, kid)).status_code == 200
    assert api("/protected", sign(claims(issuer, aud=AUDIENCE + "/"), key, alg, kid)).status_code == 200
    assert api("/protected", sign(claims(issuer, aud=AUDIENCE + "/x"), key, alg, kid)).status_code == 401


def test_the_type_jwt_is_taken_only_where_the_settings_say_so(issuer, api, config):
    token = sign(claims(issuer), typ="JWT")
    assert api("/protected", token).status_code == 401
    config(MODE="jwt", ACCEPT_TYP_JWT=True)
    assert api("/protected", token).status_code == 200
    assert api("/protected", sign(claims(issuer))).status_code == 200
    for typ in ("token-introspection+jwt", "", "jwt2"):
        assert api("/protected", sign(claims(issuer), typ=typ)).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example.com"},
        {"iss": None},
        {"aud": "https://other.example.com"},
        {"aud": None},
        {"aud": 1},
        {"exp": 1},
        {"exp": None},
        {"exp": "9999999999"},
        {"iat": None},
        {"iat": 9999999999},
        {"nbf": 9999999999},
        {"sub": None},
        {"sub": ""},
        {"sub": 1},
        {"client_id": None},
        {"jti": None},
        {"scope": ["orders:read"]},
        {"scope": "a  b"},
        {"sub_type": "x"},
        {"cnf": {"jkt": "x"}},  # DP-05
        {"cnf": {"x5t#S256": "x"}},  # MT-05
    ],
)
def test_rfc9068_4_claims(issuer, api, change):
    r = api("/protected", sign(claims(issuer, **change)))
    assert r.status_code == 401
    assert 'error="invalid_token"' in r["WWW-Authenticate"]


def test_rfc9068_4_exp_is_held_to_the_second_and_clocks_may_differ(issuer, api):
    now = int(time.time())
    assert api("/protected", sign(claims(issuer, exp=now))).status_code == 401
    assert api("/protected", sign(claims(issuer, iat=now + 30, nbf=now + 30))).status_code == 200


def test_the_verifier_itself_holds_exp_and_aud(issuer):
    """Whoever uses it without GrantorAuthentication must not forget them."""
    for change in ({"exp": int(time.time())}, {"aud": "https://other.example.com"}):
        with pytest.raises(verifiers.InvalidToken):
            verifiers.current().verify(sign(claims(issuer, **change)))


def b64(v):
    return urlsafe_b64encode(v if isinstance(v, bytes) else json.dumps(v).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "name",
    [
        "none",
        "None",
        "hs256 with the public key",
        "another key",
        "alg of another key",
        "alg that the key is not for",
        "no kid",
        "kid of an encryption key",
        "oct key",
        "typ",
        "no typ",
        "crit",
        "two subs",
        "no json",
        "list",
        "own jwk",
        "zero signature",
        "four parts",
        "big",
        "alg not allowed",
        "kid no text",
    ],
)
def test_rfc8725_forged(issuer, api, config, name):
    c = claims(issuer)
    public = EC.public_key().public_bytes(*_pem()).decode()
    head, body = {"alg": "ES256", "kid": "ec", "typ": "at+jwt"}, b64(c)

    def raw(payload):
        return jwt.api_jws.PyJWS().encode(
            payload, EC, algorithm="ES256", headers={"kid": "ec", "typ": "at+jwt"}
        )

    make = {
        "none": lambda: b64({**head, "alg": "none"}) + "." + body + ".",
        "None": lambda: b64({**head, "alg": "None"}) + "." + body + ".AA",
        "hs256 with the public key": lambda: (
            b64({**head, "alg": "HS256"})
            + "."
            + body
            + "."
            + _hmac(b64({**head, "alg": "HS256"}) + "." + body, public)
        ),
        "another key": lambda: sign(c, EC2),
        "alg that the key is not for": lambda: sign(c, RSA, "RS256", "rs512"),
        "alg of another key": lambda: sign(c, EC, kid="rsa"),
        "no kid": lambda: sign(c, kid=None),
        "kid of an encryption key": lambda: sign(c, EC2, kid="enc"),
        "oct key": lambda: sign(c, kid="oct"),
        "typ": lambda: sign(c, typ="JWT"),
        "no typ": lambda: b64({"alg": "ES256", "kid": "ec"}) + "." + body + "." + sign(c).split(".")[2],
        "crit": lambda: sign(c, crit=["exp"]),
        "two subs": lambda: raw(json.dumps(c)[:-1].encode() + b', "sub": "x"}'),
        "no json": lambda: raw(b"{"),
        "list": lambda: raw(b"[]"),
        "own jwk": lambda: sign(c, EC2, jwk=jwk(EC2, "ec")),
        "zero signature": lambda: b64(head) + "." + body + "." + b64(bytes(64)),
        "four parts": lambda: sign(c) + ".a",
        "big": lambda: sign({**c, "x": "a" * 11000}),
        "alg not allowed": lambda: sign(c, RSA, "RS512", "rsa"),
        "kid no text": lambda: b64({**head, "kid": ["ec"]}) + "." + body + "." + sign(c).split(".")[2],
    }
    assert api("/protected", make[name]()).status_code == (200 if name == "big" else 401)


def _pem():
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Encoding.PEM, PublicFormat.SubjectPublicKeyInfo


def _hmac(text, key):
    import hashlib
    import hmac

    return b64(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest())


def test_keys_are_fetched_once_and_for_an_unknown_kid_at_most_once_a_pause(issuer, api):
    for _ in range(5):
        assert api("/protected", sign(claims(issuer))).status_code == 200
    assert issuer.fetches() == 1
    start = time.monotonic()
    for i in range(50):
        assert api("/protected", sign(claims(issuer), kid=f"unknown-{i}")).status_code == 401
    assert issuer.fetches() <= 2 + (time.monotonic() - start) / 0.2


def test_a_rotated_key_is_found(issuer, api):
    assert api("/protected", sign(claims(issuer))).status_code == 200
    issuer.answers["/jwks"] = {"keys": [jwk(EC2, "new")]}
    time.sleep(0.25)
    assert api("/protected", sign(claims(issuer), EC2, kid="new")).status_code == 200
    assert api("/protected", sign(claims(issuer))).status_code == 401  # the old key is gone


def test_keys_are_kept_while_they_cannot_be_fetched_and_then_it_is_503(issuer, api, monkeypatch, caplog):
    assert api("/protected", sign(claims(issuer))).status_code == 200
    good, issuer.answers["/jwks"] = issuer.answers["/jwks"], lambda h: reply(h, 500, {})
    monkeypatch.setattr(jwt_verifier, "FRESH_SECONDS", 0.1)
    time.sleep(0.3)
    assert api("/protected", sign(claims(issuer))).status_code == 200
    assert api("/protected", sign(claims(issuer), EC2, kid="new")).status_code == 503  # perhaps a new key
    keys = verifiers.current()._keys
    keys._got -= get_config().keep_keys
    caplog.set_level(logging.ERROR, "django_grantor")
    assert api("/protected", sign(claims(issuer))).status_code == 503
    assert "keys: the server answers 500" in caplog.text
    issuer.answers["/jwks"] = good
    time.sleep(0.25)
    assert api("/protected", sign(claims(issuer))).status_code == 200


def test_no_keys_yet(stub, api):
    s = stub({"/jwks": lambda h: reply(h, 503, {})}, MODE="jwt")
    for _ in range(5):
        assert api("/protected", sign(claims(s))).status_code == 503
    assert s.requests.count("GET /jwks") <= 2


def test_one_thread_fetches_and_the_others_go_on(issuer, api, monkeypatch):
    verifier, token = verifiers.current(), sign(claims(issuer))
    verifier.verify(token)
    slow, good = threading.Event(), issuer.answers["/jwks"]
    issuer.answers["/jwks"] = lambda h: (slow.wait(0.4), reply(h, 200, good))
    monkeypatch.setattr(jwt_verifier, "FRESH_SECONDS", 0.1)
    time.sleep(0.25)
    one = threading.Thread(target=verifier.verify, args=(token,))
    one.start()
    time.sleep(0.05)
    start = time.monotonic()
    for _ in range(20):
        verifier.verify(token)
    assert time.monotonic() - start < 0.3
    slow.set()
    one.join()
