"""API keys: headers, networks, and how long a verifier remembers them."""

import time
from types import SimpleNamespace

import pytest

from django_grantor import verifiers
from django_grantor.live import _until
from django_grantor.network import address_of
from django_grantor.testing import FakeGrantor
from django_grantor.token import Malformed, from_claims

pytestmark = pytest.mark.django_db


@pytest.fixture
def fake():
    with FakeGrantor() as fake:
        yield fake


#: An API key of djangorestframework-api-key, as "grantor import" brings it.
IMPORTED = "axSugJ0Y.4oPq9ZtLw2VbNc7XmRk1JhGf5SdAeUi8"


def test_a_key_is_taken_as_a_bearer_token(fake, api):
    key = fake.api_key("orders:read")
    assert key.startswith("gak_")
    assert api("/protected", key).json()["client"] == "test-machine"
    fake.revoke(key)
    assert api("/protected", key).status_code == 401


@pytest.mark.parametrize(
    ("headers", "on", "off"),
    [
        ({"HTTP_X_API_KEY": "KEY"}, 200, 401),
        ({"HTTP_AUTHORIZATION": "Api-Key KEY"}, 200, 401),
        ({"HTTP_AUTHORIZATION": "aPI-kEy KEY"}, 200, 401),
        ({"HTTP_AUTHORIZATION": "Bearer KEY"}, 200, 200),
        ({"HTTP_AUTHORIZATION": "Api-Key IMPORTED"}, 200, 401),
        ({"HTTP_X_API_KEY": "IMPORTED"}, 200, 401),
        ({"HTTP_X_API_KEY": "gak_unknown"}, 401, 401),
        ({"HTTP_X_API_KEY": "TOKEN"}, 401, 401),
        ({"HTTP_AUTHORIZATION": "Api-Key TOKEN"}, 401, 401),
        ({"HTTP_X_API_KEY": "KEY", "HTTP_AUTHORIZATION": "Bearer TOKEN"}, 400, 200),
        ({"HTTP_X_API_KEY": "KEY,KEY"}, 400, 401),
        ({"HTTP_X_API_KEY": ""}, 400, 401),
        ({"HTTP_AUTHORIZATION": "Api-Key"}, 400, 401),
        ({}, 401, 401),
    ],
)
def test_headers(api, config, headers, on, off):
    for switch, status in ((False, off), (True, on)):
        config(API_KEY_HEADERS=switch)
        with FakeGrantor() as fake:
            names = {"KEY": fake.api_key("orders:read"), "TOKEN": fake.machine_token("orders:read")}
            fake._tokens[IMPORTED] = fake._tokens[names["KEY"]]
            sent = {
                k: v.replace("KEY", names["KEY"])
                .replace("TOKEN", names["TOKEN"])
                .replace("IMPORTED", IMPORTED)
                for k, v in headers.items()
            }
            r = api("/protected", **sent)
            assert r.status_code == status
            assert status != 401 or r["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "status"),
    [
        ([], "203.0.113.9", None, 200),
        ([], "::ffff:203.0.113.9", None, 200),
        ([], "198.51.100.1", None, 401),
        ([], "198.51.100.1", "203.0.113.9", 401),
        ([], "", None, 401),
        (["10.0.0.5"], "10.0.0.5", "203.0.113.9", 200),
        (["10.0.0.5"], "10.0.0.5", "203.0.113.9, 198.51.100.1", 401),
        (["10.0.0.0/8"], "10.0.0.5", "198.51.100.1, 203.0.113.9, 10.0.0.7", 200),
        (["10.0.0.5"], "10.0.0.5", "203.0.113.9, unknown", 401),
        (["10.0.0.5"], "10.0.0.5", None, 401),
    ],
)
def test_networks(api, config, trusted, peer, forwarded, status):
    config(TRUSTED_PROXIES=trusted)
    more = {"REMOTE_ADDR": peer, **({} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded})}
    with FakeGrantor() as fake:
        key = fake.api_key("orders:read", allowed_networks=("203.0.113.0/24",))
        assert api("/protected", key, **more).status_code == status
        assert api("/protected", fake.api_key("orders:read"), **more).status_code == 200


def test_without_a_request_such_a_key_is_refused(fake):
    from django_grantor.authentication import GrantorAuthentication
    from django_grantor.exceptions import InvalidTokenError

    with pytest.raises(InvalidTokenError):
        GrantorAuthentication().verify(fake.api_key(allowed_networks=("0.0.0.0/0",)))


@pytest.mark.parametrize("value", ["203.0.113.0/24", [7], ["the office"], {}])
def test_a_list_that_cannot_be_read_is_no_answer(value):
    with pytest.raises(Malformed):
        from_claims({"sub": "m", "client_id": "m", "allowed_networks": value})


def test_a_wrong_proxy_is_a_mistake_of_the_settings(config):
    from django.core.exceptions import ImproperlyConfigured

    from django_grantor.conf import get_config

    config(TRUSTED_PROXIES=["the proxy"])
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES: 'the proxy'"):
        get_config()


def test_the_client_is_read_from_the_right():
    meta = {"REMOTE_ADDR": "10.0.0.5", "HTTP_X_FORWARDED_FOR": "1.1.1.1, [2001:db8::1], 10.0.0.6"}
    assert str(address_of(meta, ["10.0.0.0/8"])) == "2001:db8::1"


@pytest.mark.parametrize("header", ["HTTP_X_REAL_IP", "HTTP_FORWARDED"])
def test_whom_a_trusted_proxy_does_not_name_is_nobody_and_not_the_proxy(header):
    """RFC 7239 section 6.3."""
    meta = {"REMOTE_ADDR": "10.0.0.5", header: "198.51.100.1"}
    assert address_of(meta, ["10.0.0.5"]) is None
    assert str(address_of(meta, [])) == "10.0.0.5"
    assert str(address_of({"REMOTE_ADDR": "10.0.0.5"}, ["10.0.0.5"])) == "10.0.0.5"


def test_an_answer_is_remembered_for_an_hour_at_most():
    answer = SimpleNamespace(header=lambda name: "")
    for exp in (0, time.time() + 1e9):
        token = from_claims({"sub": "m", "client_id": "m", "exp": exp})
        assert 3590 < _until(token, answer) - time.time() <= 3600


def test_the_real_server(asking, api, config):
    """A key that the command line makes; one for other networks is refused."""
    key, elsewhere = asking.api_key(), asking.api_key("--allowed-network", "203.0.113.0/24")
    assert api("/protected", key).json()["client"] == "machine"
    assert api("/protected", elsewhere).status_code == 401
    assert api("/protected", elsewhere, REMOTE_ADDR="203.0.113.9").status_code == 200
    config(API_KEY_HEADERS=True)
    assert api("/protected", HTTP_X_API_KEY=key).status_code == 200
    with pytest.raises(verifiers.InvalidToken):
        verifiers.current().verify("gak_" + "0" * 63)
    asking.revoke(key)
    assert api("/protected", key).status_code == 401
