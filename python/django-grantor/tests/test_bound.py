"""Tokens that are bound to a key (RFC 9449) or to a certificate (RFC 8705), and those who steal them."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, urlencode

import pytest

jwt = pytest.importorskip("jwt")
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from django.core.checks import run_checks
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from django_grantor import dpop, holder, used, verifiers
from django_grantor.authentication import GrantorAuthentication
from django_grantor.conf import get_config, read
from django_grantor.network import address_of
from django_grantor.testing import FakeGrantor, ProofKey
from django_grantor.token import Token, UnknownBinding, from_claims
from servers import fetch, free_port, wait_for_port

pytestmark = pytest.mark.django_db

API = "https://orders.example.com"
REFUSED_TOKEN, REFUSED_PROOF = (401, "invalid_token"), (401, "invalid_dpop_proof")
KEY, OTHER = ProofKey(), ProofKey()


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.fixture
def config(config):
    """Sets keys of GRANTOR, and lets a stand-in that answers go on answering."""

    def set_keys(**keys):
        former = verifiers._current.get("verifier")
        config(**keys)
        if isinstance(former, FakeGrantor):
            verifiers.replace(former)

    return set_keys


class Site:
    """The API of the test project, and tokens of a stand-in: bound to a key, and not bound."""

    def __init__(self, fake):
        self.fake, self.client = fake, APIClient(raise_request_exception=False)
        self.bound = fake.machine_token("orders:read", key_thumbprint=KEY.thumbprint)
        self.plain = fake.machine_token("orders:read")

    def good(self, path="/protected", method="GET", **claims):
        return KEY.proof(method, API + path, self.bound, **claims)

    def ask(self, authorization, proof=None, path="/protected", method="get", **headers):
        if proof is not None:
            headers["HTTP_DPOP"] = proof
        return getattr(self.client, method)(path, HTTP_AUTHORIZATION=authorization, **headers)

    def verdict(self, *args, **kwargs):
        answer = self.ask(*args, **kwargs)
        return answer.status_code, answer.json().get("error", "ok" if answer.status_code == 200 else "")

    def by_dpop(self, proof, **kwargs):
        return self.verdict(f"DPoP {self.bound}", proof, **kwargs)


@pytest.fixture
def site(config):
    config(DPOP=True)
    used._memory._begin()
    with FakeGrantor() as fake:
        yield Site(fake)


def forged(header=None, claims=None, key=None, token=""):
    """Return a proof that says whatever it is told, signed by KEY with ES256."""
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": KEY.jwk, **(header or {})}
    body = {"jti": "1", "htm": "GET", "htu": API + "/protected", "iat": int(time.time()), **(claims or {})}
    body.setdefault("ath", b64(hashlib.sha256(token.encode()).digest()))
    text = ".".join(
        b64(json.dumps({k: v for k, v in m.items() if v is not None}).encode()) for m in (head, body)
    )
    from jwt.algorithms import ECAlgorithm

    signature = ECAlgorithm(ECAlgorithm.SHA256).sign(text.encode(), key or KEY._private)
    return f"{text}.{b64(signature)}"


# The table of attacks, as in middleware's TestDPoP


def test_dp_04_a_token_with_its_proof_passes(site):
    assert site.by_dpop(site.good()) == (200, "ok")
    assert site.verdict(f"dpop {site.bound}", site.good()) == (200, "ok"), "RFC 9110 §11.1"
    assert site.by_dpop(site.good(nonce="x")) == (200, "ok"), "no nonce is wanted, though there is one"
    assert site.by_dpop(site.good(), path="/protected?a=b") == (200, "ok"), "RFC 9449 §4.3 no query"


def attacks():
    s = "{bound}"
    key = ec.derive_private_key(7, ec.SECP256R1()).private_numbers()
    private = {**KEY.jwk, "d": b64(key.private_value.to_bytes(32, "big"))}
    oct_ = {"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}}
    now = int(time.time())
    return [
        ("DP-05 RFC 9449 §7.2 a stolen token as Bearer", "Bearer {bound}", None, REFUSED_TOKEN),
        ("DP-05 RFC 9449 §7.2 as Bearer, with its proof", "Bearer {bound}", {}, REFUSED_TOKEN),
        ("DP-04 a stolen token without a proof", "DPoP {bound}", None, REFUSED_PROOF),
        ("DP-04 a proof by another key", "DPoP {bound}", {"by": OTHER}, REFUSED_TOKEN),
        ("DP-04 another URL", "DPoP {bound}", {"claims": {"htu": API + "/write"}}, REFUSED_PROOF),
        ("DP-04 another host", "DPoP {bound}", {"claims": {"htu": "https://evil.example.com/protected"}}, REFUSED_PROOF),
        ("DP-04 the Host header", "DPoP {bound}", {"claims": {"htu": "http://testserver/protected"}}, REFUSED_PROOF),
        ("DP-04 no URL", "DPoP {bound}", {"claims": {"htu": ""}}, REFUSED_PROOF),
        ("DP-04 a URL of another type", "DPoP {bound}", {"claims": {"htu": [API + "/protected"]}}, REFUSED_PROOF),
        ("DP-04 user info in the URL", "DPoP {bound}", {"claims": {"htu": "https://x@orders.example.com/protected"}}, REFUSED_PROOF),
        ("DP-04 another method", "DPoP {bound}", {"claims": {"htm": "POST"}}, REFUSED_PROOF),
        ("DP-04 the method has case", "DPoP {bound}", {"claims": {"htm": "get"}}, REFUSED_PROOF),
        ("DP-04 another token", "DPoP {bound}", {"claims": {"ath": b64(hashlib.sha256(b"x").digest())}}, REFUSED_PROOF),
        ("DP-04 no token", "DPoP {bound}", {"claims": {"ath": ""}}, REFUSED_PROOF),
        ("DP-04 an old proof", "DPoP {bound}", {"claims": {"iat": now - 200}}, REFUSED_PROOF),
        ("DP-04 a proof of the future", "DPoP {bound}", {"claims": {"iat": now + 200}}, REFUSED_PROOF),
        ("DP-04 no iat", "DPoP {bound}", {"claims": {"iat": None}}, REFUSED_PROOF),
        ("DP-04 iat is no number", "DPoP {bound}", {"claims": {"iat": float("nan")}}, REFUSED_PROOF),
        ("DP-04 iat is true", "DPoP {bound}", {"claims": {"iat": True}}, REFUSED_PROOF),
        ("DP-04 iat is beyond floats", "DPoP {bound}", {"claims": {"iat": 10**400}}, REFUSED_PROOF),
        ("DP-04 exp has passed", "DPoP {bound}", {"claims": {"exp": now - 100}}, REFUSED_PROOF),
        ("DP-04 no jti", "DPoP {bound}", {"claims": {"jti": ""}}, REFUSED_PROOF),
        ("DP-04 a jti of 257 bytes", "DPoP {bound}", {"claims": {"jti": "j" * 257}}, REFUSED_PROOF),
        ("DP-04 alg none", "DPoP {bound}", {"header": {"alg": "none"}}, REFUSED_PROOF),
        ("DP-04 a symmetric jwk", "DPoP {bound}", {"header": oct_}, REFUSED_PROOF),
        ("DP-04 a private jwk", "DPoP {bound}", {"header": {"jwk": private}}, REFUSED_PROOF),
        ("DP-04 no jwk", "DPoP {bound}", {"header": {"jwk": None}}, REFUSED_PROOF),
        ("DP-04 alg of another kind of key", "DPoP {bound}", {"header": {"alg": "RS256"}}, REFUSED_PROOF),
        ("DP-04 typ of an access token", "DPoP {bound}", {"header": {"typ": "at+jwt"}}, REFUSED_PROOF),
        ("DP-04 crit", "DPoP {bound}", {"header": {"crit": ["b64"], "b64": False}}, REFUSED_PROOF),
        ("DP-04 another's signature", "DPoP {bound}", {"key": OTHER._private}, REFUSED_PROOF),
        ("DP-04 an unbound token by the scheme DPoP", "DPoP {plain}", {"claims": {"ath": None}}, REFUSED_TOKEN),
        ("DP-04 an unknown token by the scheme DPoP", "DPoP gat_unknown", {}, REFUSED_TOKEN),
        ("RFC 6750 §2.1 an unbound token as ever", "Bearer {plain}", None, (200, "ok")),
        ("RFC 6750 §2.1 an unbound token beside a proof", "Bearer {plain}", {}, (200, "ok")),
        ("S-45 two tokens", f"DPoP {s}, Bearer {s}", {}, (400, "invalid_request")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("authorization", "proof", "want"), [a[1:] for a in attacks()], ids=[a[0] for a in attacks()]
)
def test_attacks(site, caplog, authorization, proof, want):
    authorization = authorization.format(bound=site.bound, plain=site.plain)
    text = None
    if proof is not None:
        made = dict(proof)
        by = made.pop("by", None)
        text = by.proof("GET", API + "/protected", site.bound) if by else forged(token=site.bound, **made)
    assert site.verdict(authorization, text) == want
    assert "eyJ" not in caplog.text, "S-45 no proof is logged"


def test_texts_that_are_no_proof(site):
    good = site.good()
    head, _, rest = good.partition(".")
    twice = b64(b'{"typ":"dpop+jwt","alg":"ES256","alg":"ES256","jwk":' + json.dumps(KEY.jwk).encode() + b"}")
    deep = b64(b"[" * 2000)
    for name, text in {
        "DP-11 two proofs": f"{good},{site.good()}",
        "DP-11 two proofs, as some servers join them": f"{good}, {site.good()}",
        "DP-04 a proof of 64 kB": "a" * (64 << 10),
        "empty": "",
        "three parts of nothing": "..",
        "a JWT in JSON": '{"payload":""}',
        "JSON that is nested": f"{deep}.{deep}.AAAA",
        "RFC 8725 §2.4 a name twice": f"{twice}.{rest}",
        "another alphabet": good.replace(".", ".+", 1),
        "padding": f"{head}=.{rest}",
        "a line break": good + "\n",
        "not ASCII": good + "é",
    }.items():
        assert site.by_dpop(text) == REFUSED_PROOF, name
    assert site.by_dpop(good) == (200, "ok"), "the others were not used up"


def signed(text):
    """Sign what stands before the second dot, whatever it is."""
    from jwt.algorithms import ECAlgorithm

    return f"{text}.{b64(ECAlgorithm(ECAlgorithm.SHA256).sign(text.encode(), KEY._private))}"


def test_each_check_refuses_by_itself():
    """Another check or the library would refuse most of these too; each has its own reason for the log."""
    good = forged(token="t")
    head, body, _ = good.split(".")
    wide = ec.generate_private_key(ec.SECP384R1())
    doubled = b64(base64.urlsafe_b64decode(head + "==").replace(b"{", b'{"alg": "none", ', 1))
    for text, reason in {
        forged({"crit": ["x"]}, token="t"): "critical",
        forged({"b64": True}, token="t"): "critical",
        forged({"alg": "ES384"}, token="t"): "wrong_algorithm",
        forged({"alg": "EdDSA"}, token="t"): "wrong_algorithm",
        signed_by(wide, "ES256", lambda t: t)[0]: "wrong_algorithm",
        forged(claims={"x": "x" * 4000}, token="t"): "too_long",
        f"{good},{good}": "several",
        signed(f"{doubled}.{body}"): "malformed",
        signed(f"{head}.{b64(b'[]')}"): "malformed",
        signed(f"{head}=.{body}"): "malformed",
        signed(f"{head}.{b64(b'{}')[:-1]}1"): "malformed",
        forged({"jwk": {"kty": "EC", "crv": "P-256", "x": "", "y": ""}}, token="t"): "no_key",
        forged({"jwk": {**KEY.jwk, "x": 7}}, token="t"): "no_key",
        forged({"jwk": {**KEY.jwk, "kty": []}}, token="t"): "no_key",
        forged({"jwk": {**KEY.jwk, "kty": {}}}, token="t"): "no_key",
        forged({"jwk": [KEY.jwk]}, token="t"): "no_key",
        forged({"jwk": {**KEY.jwk, "y": "\ud800"}}, token="t"): "wrong_key",
        forged({"typ": 1}, token="t"): "wrong_type",
        forged({"alg": ["ES256"]}, token="t"): "wrong_algorithm",
        forged(claims={"jti": 1}, token="t"): "no_id",
        forged(claims={"htu": "\ud800"}, token="t"): "wrong_url",
        forged(claims={"ath": "\ud800"}, token="t"): "wrong_token",
        forged(claims={"exp": "1"}, token="t"): "malformed",
        forged(claims={"nonce": []}, token="t"): "malformed",
    }.items():
        wanted = dpop.Wanted("GET", API + "/protected", "t", KEY.thumbprint, 60, None)
        with pytest.raises(dpop.Refused) as refused:
            dpop.check(text, wanted)
        assert refused.value.reason == reason, text


@pytest.mark.parametrize("alg", ["ES384", "EdDSA", "Ed25519", "PS256", "RS256"])
def test_every_algorithm(site, alg):
    private = {
        "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "PS256": lambda: rsa.generate_private_key(65537, 2048),
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
    }.get(alg, ed25519.Ed25519PrivateKey.generate)()
    text, thumbprint = signed_by(private, alg, lambda t: site.fake.machine_token(key_thumbprint=t))
    assert site.verdict(f"DPoP {thumbprint}", text) == (200, "ok")


def signed_by(private, alg, token_of):
    """Return a proof by any key, and the token that token_of makes of its thumbprint."""
    kinds = {"ES": jwt.algorithms.ECAlgorithm, "Ed": jwt.algorithms.OKPAlgorithm}
    said = kinds.get(alg[:2], jwt.algorithms.RSAAlgorithm).to_jwk(private.public_key())
    said = json.loads(said) if isinstance(said, str) else said
    jwk = {name: said[name] for name in ("crv", "kty", "x", "y", "e", "n") if name in said}
    token = token_of(dpop._thumbprint(jwk))
    text = forged({"alg": alg, "jwk": jwk}, token=token).rpartition(".")[0]
    data = text.encode()
    if alg.startswith("ES"):
        kind = jwt.algorithms.ECAlgorithm
        signature = kind(kind.SHA384).sign(data, private)
    elif alg.startswith("Ed"):
        signature = private.sign(data)
    else:
        salt = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if alg == "PS256" else padding.PKCS1v15()
        signature = private.sign(data, salt, hashes.SHA256())
    return f"{text}.{b64(signature)}", token


@pytest.mark.parametrize(("bits", "e"), [(1024, 65537), (4608, 65537)])
def test_rsa_keys_that_are_too_short_or_too_long(site, bits, e):
    private = rsa.generate_private_key(e, bits)
    text, token = signed_by(private, "RS256", lambda t: site.fake.machine_token(key_thumbprint=t))
    assert site.verdict(f"DPoP {token}", text) == REFUSED_PROOF


# The URL


@pytest.mark.parametrize(
    ("sent", "htu", "keys", "want"),
    [
        ("/protected", API + "/protected?b=c#d", {}, 200),
        ("/protected", "HTTPS://Orders.Example.com:443/%70rotected", {}, 200),
        ("/protected", API + "/protecteD", {}, 401),
        (
            "/protected",
            "https://public.example.com/v1/protected",
            {"DPOP_URL": "https://public.example.com/v1/"},
            200,
        ),
        (
            "/protected",
            "https://public.example.com/protected",
            {"DPOP_URL": "https://public.example.com/v1"},
            401,
        ),
        ("/protected", API + "/protected", {"DPOP_URL": "https://public.example.com"}, 401),
    ],
)
def test_dp_04_the_url(site, config, sent, htu, keys, want):
    config(**keys)
    assert site.by_dpop(site.good(htu=htu), path=sent)[0] == want


def test_dp_04_what_the_client_sent_counts():
    """A path that Django has decoded cannot tell a slash from %2F; servers say what was sent."""
    factory = RequestFactory()
    for more, want in [
        ({"RAW_URI": "/a%2Fb?x=/y"}, "/a%2Fb"),
        ({"REQUEST_URI": "/a%2Fb", "RAW_URI": "/other"}, "/a%2Fb"),
        ({"RAW_URI": "http://evil.example.com/a%2Fb?c"}, "/a%2Fb"),
        ({"RAW_URI": "//evil.example.com/a"}, "//evil.example.com/a"),
        ({}, "/a/b"),
    ]:
        assert holder.sent_path(factory.get("/a/b", **more)) == want
    assert holder.sent_path(factory.get("/caf%C3%A9 x")) == "/caf%C3%A9%20x"
    # a client cannot say it: headers of requests have names of their own
    assert holder.sent_path(factory.get("/a", HTTP_RAW_URI="/b", HTTP_REQUEST_URI="/b")) == "/a"


def test_dp_04_several_hosts(site, monkeypatch):
    monkeypatch.setattr(GrantorAuthentication, "public_url", lambda self, r: "https://A.example.com/x?y")
    assert site.by_dpop(site.good(htu="https://a.example.com/x")) == (200, "ok")
    monkeypatch.setattr(GrantorAuthentication, "public_url", lambda self, r: "")
    for htu in ("", API + "/protected"):
        assert site.by_dpop(site.good(htu=htu)) == REFUSED_PROOF


@pytest.mark.parametrize(
    "sent", ["/x/../protected", "/./protected", "/x/%2e%2E/protected", "/x/..", "/x/.%2e%2fprotected"]
)
def test_dp_04_a_path_with_dots_is_no_url(sent):
    """A server that routes by the path as it came would take a proof for another route."""
    assert holder.request_url(API + sent) == ""
    assert holder.request_url(API + "/a.b/..c/.well-known/x...") == API + "/a.b/..c/.well-known/x..."


# Once


def test_dp_09_a_replayed_proof(site):
    proof = site.good()
    assert site.by_dpop(proof) == (200, "ok")
    assert site.by_dpop(proof) == REFUSED_PROOF
    again = forged(
        claims={"jti": jwt.decode(proof, options={"verify_signature": False})["jti"]}, token=site.bound
    )
    assert site.by_dpop(again) == REFUSED_PROOF, "another proof with the same jti"


def test_dp_09_of_many_uses_at_once_one_passes(site):
    proof, passed = site.good(), []

    def use():
        wanted = dpop.Wanted("GET", API + "/protected", site.bound, KEY.thumbprint, 60, None)
        found = dpop.check(proof, wanted)
        if used.once("default", found.name, found.keep):
            passed.append(found)

    threads = [threading.Thread(target=use) for _ in range(32)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(passed) == 1


def test_dp_09_a_cache_that_all_processes_share(site, monkeypatch, caplog):
    shared, taken = SimpleNamespace(down=False), set()

    def add(key, value, timeout):
        if shared.down:
            raise ConnectionError("secret of the cache")
        assert 60 < timeout <= 200
        first = key not in taken
        taken.add(key)
        return first

    shared.add = add
    monkeypatch.setattr(used, "caches", {"default": shared})
    proof = site.good()
    assert site.by_dpop(proof) == (200, "ok")
    assert site.by_dpop(proof) == REFUSED_PROOF
    [key] = taken
    assert key.startswith("grantor.dpop.")
    assert len(key) == len("grantor.dpop.") + 43
    shared.down = True
    assert site.by_dpop(site.good()) == (503, "temporarily_unavailable")
    assert "ConnectionError" in caplog.text
    assert "secret of the cache" not in caplog.text


def test_dp_09_a_cache_that_keeps_nothing_is_503(site, settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert site.by_dpop(site.good()) == (503, "temporarily_unavailable")


def test_dp_09_memory_is_bounded_and_never_forgets_for_the_worse(monkeypatch):
    now = [1_800_000_000.0]
    monkeypatch.setattr(used.time, "time", lambda: now[0])
    m = used.Memory(3)
    assert m.add("a", 60)
    assert not m.add("a", 60)
    now[0] += 61
    assert m.add("a", 60), "no proof of that time is good any more"
    assert m.add("b", 120)
    assert m.add("c", 180)
    assert m.add("d", 180)
    assert len(m._ends) == 3
    assert not m.add("a", 60), "what may have been forgotten counts as used"
    assert not m.add("c", 180)


# Nonces


def test_dp_07_nonces(site, config, monkeypatch):
    config(DPOP_NONCE_KEY="n" * 32)
    middle = time.time() // 120 * 120 + 60 - time.time()  # of a stretch
    at = time.time
    monkeypatch.setattr(time, "time", lambda: at() + middle)
    answer = site.ask(f"DPoP {site.bound}", site.good())
    assert (answer.status_code, answer.json()["error"]) == (401, "use_dpop_nonce")
    assert answer["WWW-Authenticate"].startswith('DPoP realm="api", error="use_dpop_nonce"')
    nonce = answer["DPoP-Nonce"]
    passed = site.ask(f"DPoP {site.bound}", site.good(nonce=nonce, iat=1))
    assert passed.status_code == 200, "iat does not count beside a nonce (RFC 9449 §11.1)"
    assert not passed.has_header("DPoP-Nonce"), "it is new enough"
    for text in ("\ud800", "é", "n" * 900):
        assert site.by_dpop(forged(claims={"nonce": text}, token=site.bound)) == (401, "use_dpop_nonce")
    forged_ = site.ask(f"DPoP {site.bound}", site.good(nonce="forged"))
    assert (forged_.status_code, forged_.json()["error"]) == (401, "use_dpop_nonce")
    bearer = site.ask(f"Bearer {site.plain}")
    assert (bearer.status_code, bearer.has_header("DPoP-Nonce")) == (200, False)
    monkeypatch.setattr(time, "time", lambda: at() + middle + 121)
    passed = site.ask(f"DPoP {site.bound}", site.good(nonce=nonce))
    assert passed.status_code == 200
    assert passed["DPoP-Nonce"] not in ("", nonce), "RFC 9449 §8.2 an old one is good, and a new one comes"
    monkeypatch.setattr(time, "time", lambda: at() + middle + 241)
    assert site.by_dpop(site.good(nonce=nonce)) == (401, "use_dpop_nonce")


def test_dp_07_nonces_are_those_of_the_go_package():
    """So a site of Django and one of Go may share a key (internal/dpop/nonces.go)."""
    nonces = dpop.Nonces("n" * 32, 120)
    key = hashlib.sha256(b"n" * 32).digest()
    number, stretch = 1_800_000_000 // 120, 120 * 10**9
    import hmac

    text = b"grantor/dpop-nonce/v1" + number.to_bytes(8, "big") + stretch.to_bytes(8, "big")
    assert nonces.current(1_800_000_000) == b64(hmac.new(key, text, "sha256").digest()[:24])


# Challenges

ALGS = 'algs="ES256 ES384 EdDSA Ed25519 PS256 RS256"'


def test_dp_06_challenges(site, config):
    def of(answer):
        return answer["WWW-Authenticate"]

    assert of(site.client.get("/protected")) == f'Bearer realm="api", DPoP realm="api", {ALGS}'
    bad = of(site.ask(f"DPoP {site.bound}"))
    assert bad.startswith(
        'DPoP realm="api", error="invalid_dpop_proof", error_description="the request has no'
    )
    assert bad.endswith(f'{ALGS}, Bearer realm="api"')
    assert of(site.ask(f"Bearer {site.bound}")).startswith('DPoP realm="api", error="invalid_token"')
    assert of(site.ask("DPoP gat_unknown")).startswith('DPoP realm="api", error="invalid_token"')
    assert of(site.ask("Bearer gat_unknown")).startswith('Bearer realm="api", error="invalid_token"')
    path = "/decorated-below"
    missing = site.ask(f"DPoP {site.bound}", site.good(path), path)
    assert missing.status_code == 403
    assert of(missing).startswith('DPoP realm="api", error="insufficient_scope"')
    assert "Bearer" not in of(missing)
    config(DPOP_REQUIRED=True)
    assert of(site.client.get("/protected")) == f'DPoP realm="api", {ALGS}'
    plain = site.ask(f"Bearer {site.plain}")
    assert plain.status_code == 401
    assert of(plain).startswith(
        'DPoP realm="api", error="invalid_token", error_description="this API takes only'
    )
    assert "Bearer" not in of(plain)
    assert site.by_dpop(site.good()) == (200, "ok")
    key = site.fake.api_key("orders:read")
    assert site.verdict(f"Bearer {key}") == REFUSED_TOKEN, "an API key is bound to nothing"


def test_dp_06_without_dpop_bound_tokens_are_refused(site, config):
    config(DPOP=False)
    assert site.verdict(f"Bearer {site.bound}") == REFUSED_TOKEN
    assert site.verdict(f"Bearer {site.bound}", site.good()) == REFUSED_TOKEN
    answer = site.ask(f"DPoP {site.bound}", site.good())
    assert answer.status_code == 401, "another scheme: no credentials"
    assert "DPoP" not in answer["WWW-Authenticate"]


def test_pr_01_the_metadata_says_what_is_taken(config):
    config(
        AUDIENCE=API,
        RESOURCE_METADATA=True,
        DPOP=True,
        DPOP_REQUIRED=True,
        CLIENT_CERT_HEADER="Client-Cert",
        TRUSTED_PROXIES=["unix"],
    )
    said = Client().get("/.well-known/oauth-protected-resource").json()
    assert said["dpop_signing_alg_values_supported"] == [
        "ES256",
        "ES384",
        "EdDSA",
        "Ed25519",
        "PS256",
        "RS256",
    ]
    assert said["dpop_bound_access_tokens_required"] is True
    assert said["tls_client_certificate_bound_access_tokens"] is True


# Whoever asks a verifier alone


def test_a_bound_token_is_refused_where_nobody_checks_who_sends_it(site):
    with pytest.raises(verifiers.InvalidToken):
        verifiers.current().verify(site.bound)
    with verifiers.holder_check():
        assert verifiers.current().verify(site.bound).key_thumbprint == KEY.thumbprint
    with pytest.raises(verifiers.InvalidToken):
        verifiers.current().verify(site.bound)
    answer = site.client.post("/api/token/verify/", {"token": site.bound}, format="json")
    assert answer.status_code == 401, "a token in a body, without its proof"


@pytest.mark.parametrize(
    "cnf",
    [
        {},
        [],
        None,
        "x",
        {"jwk": {}},
        {"jkt": ""},
        {"jkt": 7},
        {"jkt": "A" * 42},
        {"jkt": "A" * 42 + "B"},
        {"jkt": KEY.thumbprint, "kid": KEY.thumbprint},
        {"kid": KEY.thumbprint},
    ],
)
def test_rfc7800_3_1_a_binding_that_is_not_understood(cnf):
    with pytest.raises(UnknownBinding):
        from_claims({"sub": "m", "client_id": "m", "cnf": cnf})


def test_introspection_answers(stub, config, caplog):
    from servers import reply

    said = {}
    s = stub({"/introspect": lambda h: reply(h, 200, said)}, DPOP=True, CLIENT_SECRET="s")
    base = {"active": True, "sub": "m", "client_id": "m", "aud": API, "iss": s.url, "exp": time.time() + 60}
    client = APIClient(raise_request_exception=False)
    for more, want in [
        ({"token_type": "DPoP"}, 401),
        ({"token_type": "DPoP", "cnf": {"x5t#S256": KEY.thumbprint}}, 401),
        ({"token_type": "refresh_token"}, 401),
        ({"cnf": {"kid": "1"}}, 401),
        ({"cnf": {"jkt": OTHER.thumbprint}}, 401),
        ({"token_type": "DPoP", "cnf": {"jkt": KEY.thumbprint}}, 200),
        ({"cnf": {"jkt": KEY.thumbprint}}, 200),
    ]:
        said.clear()
        said.update({**base, **more})
        proof = KEY.proof("GET", API + "/protected", "t")
        assert client.get("/protected", HTTP_AUTHORIZATION="DPoP t", HTTP_DPOP=proof).status_code == want, (
            more
        )
        assert client.get("/protected", HTTP_AUTHORIZATION="Bearer t").status_code == 401, more


# Certificates


def certificate(days=1, name="billing"):
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.now(timezone.utc) + timedelta(days=days)
    made = x509.CertificateBuilder(subject, subject, private.public_key(), 1, end - timedelta(days=9), end)
    return made.sign(private, hashes.SHA256())


def der(c):
    return c.public_bytes(serialization.Encoding.DER)


def x5t(c):
    return b64(hashlib.sha256(der(c)).digest())


GOOD, STRANGE, EXPIRED = certificate(), certificate(), certificate(days=-1)
RFC9440 = {"CLIENT_CERT_HEADER": "Client-Cert", "TRUSTED_PROXIES": ["127.0.0.1"]}


def rfc9440(c):
    return f":{base64.b64encode(der(c)).decode()}:"


def pem(c):
    return quote(c.public_bytes(serialization.Encoding.PEM).decode())


@pytest.fixture
def certified(config):
    config(**RFC9440)
    with FakeGrantor() as fake:
        yield Site(fake)


def test_mt_05_a_token_with_its_certificate(certified):
    token = certified.fake.machine_token("orders:read", certificate_thumbprint=x5t(GOOD))
    expired = certified.fake.machine_token("orders:read", certificate_thumbprint=x5t(EXPIRED))
    one = rfc9440(GOOD)
    odd = der(GOOD).replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020107"), 1)
    assert odd != der(GOOD)
    for name, text, headers, want in [
        ("its certificate", token, {"HTTP_CLIENT_CERT": one}, (200, "ok")),
        ("MT-05 none", token, {}, REFUSED_TOKEN),
        ("MT-05 another's", token, {"HTTP_CLIENT_CERT": rfc9440(STRANGE)}, REFUSED_TOKEN),
        ("MT-05 expired", expired, {"HTTP_CLIENT_CERT": rfc9440(EXPIRED)}, REFUSED_TOKEN),
        ("S-70 a header of nobody trusted", token, {"HTTP_CLIENT_CERT": one, "REMOTE_ADDR": "192.0.2.7"}, REFUSED_TOKEN),
        ("S-70 no peer", token, {"HTTP_CLIENT_CERT": one, "REMOTE_ADDR": ""}, REFUSED_TOKEN),
        ("S-70 a peer in a header", token, {"HTTP_CLIENT_CERT": one, "REMOTE_ADDR": "192.0.2.7", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, REFUSED_TOKEN),
        ("S-70 two values", token, {"HTTP_CLIENT_CERT": f"{one},{one}"}, REFUSED_TOKEN),
        ("S-70 two values, joined with a blank", token, {"HTTP_CLIENT_CERT": f"{rfc9440(STRANGE)}, {one}"}, REFUSED_TOKEN),
        ("RFC 9440 §2.2 without colons", token, {"HTTP_CLIENT_CERT": one.strip(":")}, REFUSED_TOKEN),
        ("nothing between the colons", token, {"HTTP_CLIENT_CERT": "::"}, REFUSED_TOKEN),
        ("PEM", token, {"HTTP_CLIENT_CERT": pem(GOOD)}, REFUSED_TOKEN),
        ("bytes behind the certificate", token, {"HTTP_CLIENT_CERT": f":{base64.b64encode(der(GOOD) + b'x').decode()}:"}, REFUSED_TOKEN),
        ("a certificate of a version that there is not", token, {"HTTP_CLIENT_CERT": f":{base64.b64encode(odd).decode()}:"}, REFUSED_TOKEN),
        ("12 kB", token, {"HTTP_CLIENT_CERT": ":" + "A" * 13000 + ":"}, REFUSED_TOKEN),
        ("another header", token, {"HTTP_X_CLIENT_CERT": one}, REFUSED_TOKEN),
        ("an unbound token beside any certificate", certified.plain, {"HTTP_CLIENT_CERT": "x"}, (200, "ok")),
    ]:  # fmt: skip
        assert certified.verdict(f"Bearer {text}", **headers) == want, name


def test_mt_05_without_the_setting_such_tokens_are_refused(certified, config):
    token = certified.fake.machine_token("orders:read", certificate_thumbprint=x5t(GOOD))
    config(CLIENT_CERT_HEADER="")
    assert certified.verdict(f"Bearer {token}", HTTP_CLIENT_CERT=rfc9440(GOOD)) == REFUSED_TOKEN


def test_mt_05_formats(certified, config):
    token = certified.fake.machine_token("orders:read", certificate_thumbprint=x5t(GOOD))
    plain = GOOD.public_bytes(serialization.Encoding.PEM).decode()
    config(CLIENT_CERT_HEADER="X-SSL-Cert", CLIENT_CERT_FORMAT="pem")
    for value, want in [
        (pem(GOOD), 200),
        (quote(plain, safe="+/="), 200),  # nginx's $ssl_client_escaped_cert
        (pem(GOOD) + pem(STRANGE), 401),
        (f"{pem(GOOD)},{pem(GOOD)}", 401),
        (plain.replace("\n", " "), 401),
        (quote(pem(GOOD)), 401),
        (pem(STRANGE), 401),
    ]:
        assert certified.verdict(f"Bearer {token}", HTTP_X_SSL_CERT=value)[0] == want, value[:40]
    config(CLIENT_CERT_FORMAT="der", TRUSTED_PROXIES=["unix"])
    value = base64.b64encode(der(GOOD)).decode()
    assert certified.verdict(f"Bearer {token}", HTTP_X_SSL_CERT=value, REMOTE_ADDR="")[0] == 200
    assert certified.verdict(f"Bearer {token}", HTTP_X_SSL_CERT=value, REMOTE_ADDR="127.0.0.1")[0] == 401


def test_both_bindings_must_be_shown(certified, config):
    config(DPOP=True)
    used._memory._begin()
    token = certified.fake.machine_token(
        "orders:read", certificate_thumbprint=x5t(GOOD), key_thumbprint=KEY.thumbprint
    )

    def proof():
        return KEY.proof("GET", API + "/protected", token)

    one = rfc9440(GOOD)
    assert certified.verdict(f"DPoP {token}", proof(), HTTP_CLIENT_CERT=one) == (200, "ok")
    assert certified.verdict(f"DPoP {token}", proof()) == REFUSED_TOKEN
    assert certified.verdict(f"DPoP {token}", None, HTTP_CLIENT_CERT=one) == REFUSED_PROOF
    assert certified.verdict(f"Bearer {token}", HTTP_CLIENT_CERT=one) == REFUSED_TOKEN


def test_a_proxy_at_a_unix_socket():
    meta = {"HTTP_X_FORWARDED_FOR": "203.0.113.9"}
    assert str(address_of(meta, ["unix"])) == "203.0.113.9"
    assert address_of(meta, ["127.0.0.1"]) is None
    assert str(address_of({**meta, "REMOTE_ADDR": "192.0.2.1"}, ["unix"])) == "192.0.2.1"
    assert address_of({}, ["unix"]) is None


# Settings


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"DPOP": True}, "DPOP needs one AUDIENCE that is a URL, or DPOP_URL"),
        ({"DPOP": True, "AUDIENCE": ["https://a.example.com", "https://b.example.com"]}, "DPOP needs one AUDIENCE"),
        ({"DPOP": True, "AUDIENCE": "urn:orders"}, "DPOP needs one AUDIENCE"),
        ({"DPOP_REQUIRED": True}, "need DPOP = True"),
        ({"DPOP_URL": API}, "need DPOP = True"),
        ({"DPOP": True, "DPOP_URL": "orders.example.com"}, "DPOP_URL must be a whole URL"),
        ({"DPOP": True, "DPOP_URL": API, "DPOP_WINDOW": 601}, "at most 600"),
        ({"DPOP": True, "DPOP_URL": API, "DPOP_NONCE_KEY": "short"}, "32 characters"),
        ({"DPOP": True, "DPOP_URL": API, "DPOP_NONCE_LIFETIME": 0}, "1 to 86400"),
        ({"CLIENT_CERT_FORMAT": "pem"}, "needs CLIENT_CERT_HEADER"),
        ({"CLIENT_CERT_HEADER": "Client-Cert"}, "believed from TRUSTED_PROXIES alone"),
        ({"CLIENT_CERT_HEADER": "X-Cert", "TRUSTED_PROXIES": ["unix"]}, "CLIENT_CERT_FORMAT must be"),
        ({"CLIENT_CERT_HEADER": "DPoP", "CLIENT_CERT_FORMAT": "der", "TRUSTED_PROXIES": ["unix"]}, "cannot be that"),
        ({"CLIENT_CERT_HEADER": "A_B", "CLIENT_CERT_FORMAT": "der", "TRUSTED_PROXIES": ["unix"]}, "cannot be that"),
        ({"TRUSTED_PROXIES": ["socket"]}, '"unix"'),
    ],
)  # fmt: skip
def test_mistakes(change, words):
    good = {"ISSUER": "https://auth.example.com", "CLIENT_ID": "api", "CLIENT_SECRET": "s"}
    assert words in "; ".join(read({**good, **change}, {})[1])


def test_the_nonce_key_from_a_file_is_shown_nowhere(folder):
    (folder / "key").write_text("k" * 40 + "\n")
    given = {"ISSUER": "https://a.example.com", "CLIENT_ID": "a", "CLIENT_SECRET": "s", "AUDIENCE": API}
    config, mistakes = read({**given, "DPOP": True, "DPOP_NONCE_KEY_FILE": folder / "key"}, {})
    assert (config.dpop_nonce_key, mistakes) == ("k" * 40, [])
    assert "kkkk" not in repr(config)


def test_manage_py_check(config, settings, monkeypatch):
    def found():
        return {m.id for m in run_checks() if m.id.startswith("django_grantor")}

    config(DPOP=True)
    assert found() == {"django_grantor.W004"}, "a cache of one process"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert found() == {"django_grantor.E007"}
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://x"}
    }
    assert found() == set()
    config(DPOP_CACHE="proofs")
    assert found() == {"django_grantor.E006"}
    config(DPOP_CACHE="default")
    monkeypatch.setitem(sys.modules, "jwt", None)
    monkeypatch.delitem(sys.modules, "django_grantor.dpop")
    import django_grantor

    monkeypatch.delattr(django_grantor, "dpop")
    assert found() == {"django_grantor.E005"}


# The real Grantor


def bound_token(grantor, client, key, **form):
    url = grantor.issuer + "/oauth2/token"
    body = urlencode({"grant_type": "client_credentials", **form}).encode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": verifiers.basic(client, grantor.secrets[client]),
        "DPoP": key.proof("POST", url, "", ath=None),
    }
    status, said = fetch(url, body, headers)
    assert (status, said["token_type"]) == (200, "DPoP"), said
    return said["access_token"]


@pytest.mark.parametrize(
    ("mode", "client"),
    [("introspection", "machine"), ("live", "machine"), ("either", "jwt-machine"), ("jwt", "jwt-machine")],
)
def test_real_tokens(asking, config, mode, client):
    config(DPOP=True, MODE=mode)
    used._memory._begin()
    token, api = bound_token(asking, client, KEY), APIClient(raise_request_exception=False)

    def ask(scheme, key):
        proof = key.proof("GET", API + "/protected", token)
        return api.get("/protected", HTTP_AUTHORIZATION=f"{scheme} {token}", HTTP_DPOP=proof).status_code

    for _ in range(2):  # from memory too
        assert ask("DPoP", KEY) == 200
        assert ask("DPoP", OTHER) == 401
        assert ask("Bearer", KEY) == 401
    asking.revoke(token, client)
    if mode in ("introspection", "live"):
        end = time.monotonic() + 10
        while ask("DPoP", KEY) != 401:
            assert time.monotonic() < end
    config(DPOP=False)
    assert ask("Bearer", KEY) == 401
    verifiers.forget()


def test_gunicorn_says_which_path_the_client_sent(grantor, folder):
    pytest.importorskip("gunicorn")
    port, here = free_port(), str(Path(__file__).parent)
    (folder / "bound_settings.py").write_text(
        "from project.settings import *\nGRANTOR = {**GRANTOR, 'DPOP': True}\n"
    )
    environ = {
        **os.environ,
        "KIT_TEST_ISSUER": grantor.issuer,
        "KIT_TEST_SECRET": grantor.secrets["orders-api"],
        "KIT_TEST_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "bound_settings",
    }
    command = ["--bind", f"127.0.0.1:{port}", "--pythonpath", f"{folder},{here}", "project.wsgi:application"]
    server = subprocess.Popen([sys.executable, "-m", "gunicorn", *command], env=environ, cwd=here)
    try:
        wait_for_port(port)
        token = bound_token(grantor, "machine", KEY)

        def ask(target, htu, *more):
            conn = HTTPConnection("127.0.0.1", port, timeout=10)
            conn.putrequest("GET", target)
            conn.putheader("Authorization", f"DPoP {token}")
            for proof in (KEY.proof("GET", htu, token), *more):
                conn.putheader("DPoP", proof)
            conn.endheaders()
            with conn.getresponse() as r:
                return r.status, json.loads(r.read()).get("error", "ok")

        assert ask("/protected?a=b", API + "/protected") == (200, "ok")
        assert ask("/%70rotected", API + "/protected") == (200, "ok")
        assert ask("/protected", API + "/other") == REFUSED_PROOF
        assert (
            ask("/protected", API + "/protected", KEY.proof("GET", API + "/protected", token))
            == REFUSED_PROOF
        )
    finally:
        server.terminate()
        server.wait(20)


def test_a_token_has_no_field_of_its_text():
    assert "gat_" not in repr(Token("m", "client", "m", frozenset(), key_thumbprint=KEY.thumbprint))
    assert get_config().dpop is False
