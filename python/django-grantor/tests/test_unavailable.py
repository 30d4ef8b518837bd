"""What is not known is 503, never 401, and the log says why."""

import logging
import subprocess
import time

import pytest
from django.db import OperationalError

from servers import AUDIENCE, free_port, reply

pytestmark = pytest.mark.django_db


@pytest.fixture
def why(caplog):
    """Holds a response against what it must be, and returns what the log says."""
    caplog.set_level(logging.ERROR, "django_grantor")

    def check(r):
        assert r.status_code == 503, (r.status_code, r.content)
        assert 1 <= int(r["Retry-After"]) <= 4
        assert "WWW-Authenticate" not in r
        assert r.json() == {
            "detail": "tokens cannot be verified at the moment; try again",
            "error": "temporarily_unavailable",
        }
        text = "\n".join(x.getMessage() for x in caplog.records if x.name == "django_grantor")
        caplog.clear()
        assert "gat_secret" not in text
        return text

    return check


TOKEN = "gat_secret"


def test_server_away(api, config, why):
    config(ISSUER=f"http://127.0.0.1:{free_port()}")
    assert "discovery: 127.0.0.1 cannot be asked: ConnectionRefusedError" in why(api("/protected", TOKEN))


def test_server_stops_and_comes_back(asking, api, why):
    token = asking.token()
    assert api("/protected", token).status_code == 200
    asking.stop()
    assert "ConnectionRefusedError" in why(api("/protected", token))
    asking.start()
    assert api("/protected", token).status_code == 200


def test_server_hangs(asking, api, config, why):
    token = asking.token()
    config(TIMEOUT=1.0)
    assert api("/protected", token).status_code == 200
    asking.pause()
    try:
        start = time.monotonic()
        assert "did not answer within 1 seconds" in why(api("/protected", token))
        assert time.monotonic() - start < 2.5
    finally:
        asking.go_on()
    assert api("/protected", token).status_code == 200


@pytest.mark.parametrize("where", ["head", "body"])
def test_server_drips(stub, api, why, where):
    def drip(h):
        h.wfile.write(
            b"HTTP/1.1 200 OK\r\n"
            + (
                b"Content-Type: application/json\r\nContent-Length: 400\r\n\r\n"
                if where == "body"
                else b"X-A: "
            )
        )
        for _ in range(60):
            try:
                h.wfile.write(b"a")
                h.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    stub({"/introspect": drip})
    start = time.monotonic()
    assert "did not answer within 0.5 seconds" in why(api("/protected", TOKEN))
    assert time.monotonic() - start < 1.2


def certificate(folder, name="localhost"):
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "1",
            "-subj",
            f"/CN={name}",
            "-addext",
            f"subjectAltName={name}",
            "-keyout",
            str(key),
            "-out",
            str(cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def test_wrong_tls(stub, api, why, folder, config):
    active = {"active": True, "sub": "m", "client_id": "m", "aud": AUDIENCE}
    pair = certificate(folder, "IP:127.0.0.1")
    s = stub({"/introspect": active}, certificate=pair)
    assert "the certificate is not trusted: self-signed" in why(api("/protected", TOKEN)).replace(
        "self signed", "self-signed"
    )
    assert s.requests == []
    config(CA_FILE=str(pair[0]))
    assert api("/protected", TOKEN).status_code == 200


def test_certificate_of_another_name(stub, api, why, folder):
    pair = certificate(folder, "DNS:another.example.com")
    s = stub({}, certificate=pair, CA_FILE=str(pair[0]))
    assert "the certificate is not trusted: IP address mismatch" in why(api("/protected", TOKEN))
    assert s.requests == []


def test_plain_http_where_tls_is_said(asking, api, why, config):
    config(ISSUER=asking.issuer.replace("http:", "https:"))
    assert "TLS failed" in why(api("/protected", TOKEN))


def test_revoked_credentials(asking, api, config, why):
    token = asking.token()
    config(CLIENT_SECRET="gcs_wrong")
    text = why(api("/protected", token))
    assert "refuses this resource server's own credentials (401): look at CLIENT_ID and CLIENT_SECRET" in text
    assert "gcs_wrong" not in text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda h: reply(h, 500, {}), "answers 500"),
        (lambda h: reply(h, 503, {}), "answers 503"),
        (lambda h: reply(h, 403, {}), "answers 403"),
        (lambda h: reply(h, 404, {}), "answers 404"),
        (lambda h: reply(h, 302, {}), "answers 302"),
        (lambda h: reply(h, 200, b"<html>", "text/html"), "'text/html', not application/json"),
        (lambda h: reply(h, 200, b"{"), "JSON cannot be read"),
        (lambda h: reply(h, 200, []), "JSON that is no object"),
        (lambda h: reply(h, 200, {}), "no active member"),
        (lambda h: reply(h, 200, {"active": "true"}), "no active member"),
        (lambda h: reply(h, 200, {"active": True}), "sub is missing"),
        (lambda h: reply(h, 200, {"active": True, "sub": 1}), "sub is no text"),
        (lambda h: reply(h, 200, {"active": True, "sub": "a", "scope": ["a"]}), "scope is no text"),
        (lambda h: reply(h, 200, {"active": True, "sub": "a", "scope": "a  b"}), "a scope token is"),
        (lambda h: reply(h, 200, {"active": True, "sub": "a", "exp": "1"}), "exp is no time"),
        (lambda h: reply(h, 200, {"active": True, "sub": "a", "exp": True}), "exp is no time"),
        (lambda h: reply(h, 200, {"active": True, "sub": "a", "aud": 1}), "aud is neither"),
        (lambda h: reply(h, 200, {"active": True, "sub": "a", "sub_type": "robot"}), "sub_type is neither"),
        (lambda h: reply(h, 200, b" " * (300 << 10)), "longer than"),
        (
            lambda h: (
                h.wfile.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{}"
                )
                and h.connection.shutdown(2)
            ),
            "cannot be asked",
        ),
        (lambda h: h.wfile.write(b"nonsense\r\n\r\n") and h.connection.shutdown(2), "cannot be asked"),
        (lambda h: h.connection.shutdown(2), "cannot be asked"),
    ],
)
def test_answers_that_are_none(stub, api, why, answer, words):
    stub({"/introspect": answer})
    assert words in why(api("/protected", TOKEN))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"issuer": "https://evil.example.com"}, "names the issuer 'https://evil.example.com'"),
        ({"introspection_endpoint": None}, "no introspection_endpoint"),
        ({"introspection_endpoint": "http://evil.example.com/x"}, "no introspection_endpoint"),
    ],
)
def test_rfc8414_3_3_metadata_that_cannot_be_used(stub, api, why, change, words):
    s = stub({})
    s.answers["/.well-known/oauth-authorization-server"].update(change)
    assert words in why(api("/protected", TOKEN))
    assert s.requests == ["GET /.well-known/oauth-authorization-server"]


def test_https_is_never_left(stub, folder, api, why):
    pair = certificate(folder, "IP:127.0.0.1")
    s = stub({}, certificate=pair, CA_FILE=str(pair[0]))
    s.answers["/.well-known/oauth-authorization-server"]["introspection_endpoint"] = "http://127.0.0.1:1/x"
    assert "leaves https" in why(api("/protected", TOKEN))


def test_metadata_is_asked_for_once_and_again_after_a_failure(stub, api, why):
    active = {"active": True, "sub": "m", "client_id": "m", "aud": AUDIENCE}
    s = stub({"/introspect": active})
    known = s.answers.pop("/.well-known/oauth-authorization-server")
    why(api("/protected", TOKEN))
    s.answers["/.well-known/oauth-authorization-server"] = known
    for _ in range(3):
        assert api("/protected", TOKEN).status_code == 200
    assert s.requests.count("GET /.well-known/oauth-authorization-server") == 2


def test_database_of_users_away(asking, api, why, people, monkeypatch):
    token = asking.login("ada")["access_token"]

    def away(*args):
        raise OperationalError("secret details")

    monkeypatch.setattr("django_grantor.authentication.find_user", away)
    text = why(api("/protected", token))
    assert "OperationalError" in text
    assert "secret details" not in text


def test_other_authenticators_are_not_asked(stub, api, why):
    """An open view answers 503 as well: somebody claims to be somebody, and that is not known."""
    stub({"/introspect": lambda h: reply(h, 500, {})})
    why(api("/open", TOKEN))
