"""Scopes, without a server."""

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from rest_framework.decorators import api_view
from rest_framework.test import APIClient

from django_grantor.permissions import HasScope, has_scope
from django_grantor.testing import FakeGrantor, GrantorAPIClient

pytestmark = pytest.mark.django_db

READ, WRITE = "orders:read", "orders:write"


def needs(scope):
    text = f', scope="{scope}"' if scope else ""
    return (
        'Bearer realm="api", error="insufficient_scope", error_description="the token has not the scope that this needs"'
        + text
    )


@pytest.mark.parametrize(
    ("path", "scope", "method", "status"),
    [
        ("/decorated", READ, "get", 200),
        ("/orders", READ, "head", 200),
        ("/decorated", READ, "post", WRITE),
        ("/decorated", WRITE, "post", 200),
        ("/decorated", WRITE, "get", READ),
        ("/decorated", READ, "options", 200),
        ("/decorated-below", READ, "get", WRITE),
        ("/decorated-above", READ, "get", WRITE),
        ("/decorated-below", WRITE, "get", 200),
        ("/decorated-above", WRITE, "get", 200),
        ("/orders", READ, "get", 200),
        ("/orders", READ, "post", WRITE),
        ("/orders", WRITE, "post", 200),
        ("/orders", f"{READ} {WRITE}", "delete", ""),
        ("/orders", "", "get", READ),
        ("/orders", READ, "options", 200),
        ("/dynamic", READ, "get", WRITE),
        ("/dynamic", WRITE, "get", 200),
        ("/orders", "orders:*", "get", READ),
        ("/orders", "orders:reader", "get", READ),
        ("/orders", "ORDERS:READ", "get", READ),
    ],
)
def test_rfc6750_3_1_insufficient_scope_is_403(grantor_client, path, scope, method, status):
    grantor_client.as_machine(scope)
    r = getattr(grantor_client, method)(path)
    if status == 200:
        assert r.status_code == 200, r.content
        return
    assert r.status_code == 403
    assert r["WWW-Authenticate"] == needs(status)
    assert r.json() == {
        "detail": "the token has not the scope that this needs",
        "error": "insufficient_scope",
        "scope": status,
    }


@pytest.mark.parametrize(
    "path", ["/decorated", "/decorated-below", "/decorated-above", "/orders", "/dynamic", "/either"]
)
def test_without_a_token_it_is_401(client, path):
    r = client.get(path)
    assert (r.status_code, r["WWW-Authenticate"]) == (401, 'Bearer realm="api"')


@pytest.mark.parametrize(
    "path", ["/decorated", "/decorated-below", "/decorated-above", "/orders", "/dynamic"]
)
def test_a_session_has_no_scope(path):
    c = APIClient()
    c.force_login(get_user_model().objects.create_user("ada"))
    assert c.get("/protected").status_code == 200
    assert c.get(path).status_code in (401, 403)


@pytest.mark.parametrize("path", ["/either", "/either-back", "/both"])
def test_permissions_combine(grantor_client, path):
    staff = get_user_model().objects.create_user("root", is_staff=True)
    grantor_client.as_user(staff, READ)
    assert grantor_client.get(path).status_code == 200
    grantor_client.as_machine(WRITE)
    assert grantor_client.get(path).status_code == 200
    grantor_client.as_machine(READ)
    assert grantor_client.get(path).status_code == 403


def test_mistakes_of_the_program_are_told_at_start():
    for wrong in (
        lambda: HasScope(),
        lambda: HasScope("a b"),
        lambda: HasScope(""),
        lambda: HasScope(GETS="a"),
        lambda: HasScope(read='"'),
    ):
        with pytest.raises(ImproperlyConfigured):
            wrong()
    with pytest.raises(ImproperlyConfigured, match="below @api_view"):
        has_scope("a")(api_view(["GET"])(lambda request: None))
    with pytest.raises(ImproperlyConfigured, match="Django REST framework"):
        has_scope("a")(lambda request: None)(object())


def test_method_before_read_and_write():
    from django_grantor.permissions import Requirement

    for methods in ({"POST": "c", "write": "b"}, {"write": "b", "POST": "c"}):
        r = Requirement((), {"read": ("a", "x"), **methods})
        assert [r.of(m) for m in ("GET", "HEAD", "POST", "PUT", "LINK")] == [
            ("a", "x"),
            ("a", "x"),
            ("c",),
            ("b",),
            None,
        ]
    assert Requirement(("a",), {"POST": "b"}).of("POST") == ("a", "b")
    assert Requirement(("a",), {"POST": "b"}).of("PUT") == ("a",)


def test_throttle_by_client(grantor_client, fake_grantor):
    cache.clear()
    ada, bob = (get_user_model().objects.create_user(n) for n in ("ada", "bob"))

    def statuses(n):
        return [grantor_client.get("/throttled").status_code for _ in range(n)]

    grantor_client.as_machine("", client_id="one")
    assert statuses(4) == [200, 200, 200, 429]
    grantor_client.as_machine("", client_id="one")  # another token of the same client
    assert statuses(1) == [429]
    grantor_client.as_machine("", client_id="two")
    assert statuses(1) == [200]
    grantor_client.as_user(ada)
    assert statuses(4) == [200, 200, 200, 429]
    grantor_client.as_user(bob)
    assert statuses(1) == [200]


def test_fake_server(grantor_client, fake_grantor):
    ada = get_user_model().objects.create_user("ada")
    token = grantor_client.as_user(ada, READ)
    assert grantor_client.get("/protected").json()["user"] == "ada"
    fake_grantor.fail()
    assert grantor_client.get("/protected").status_code == 503
    fake_grantor.recover()
    fake_grantor.expire(token)
    assert grantor_client.get("/protected").status_code == 401
    token = grantor_client.as_machine(READ)
    fake_grantor.revoke(token)
    assert grantor_client.get("/protected").status_code == 401
    grantor_client.as_machine(READ, audience=("https://other.example.com",))
    assert grantor_client.get("/protected").status_code == 401
    ada.is_active = False
    ada.save()
    grantor_client.as_user(ada, READ)
    assert grantor_client.get("/protected").status_code == 401


def test_the_fake_server_needs_no_secrets(settings):
    from django_grantor.conf import get_config

    settings.GRANTOR = {
        "ISSUER": "https://auth.example.com",
        "CLIENT_SECRET_FILE": "/no/such",
        "ADMIN_URL": "https://admin.example.com",
        "ADMIN_CLIENT_SECRET_FILE": "/no/such",
    }
    with pytest.raises(ImproperlyConfigured):
        get_config()
    with FakeGrantor() as grantor:
        assert not get_config().end_sessions
        c = GrantorAPIClient(grantor)
        c.as_machine()
        assert c.get("/protected").status_code == 200
    with pytest.raises(ImproperlyConfigured):
        get_config()
    settings.GRANTOR = {"ISSUER": "x"}
    with FakeGrantor(), pytest.raises(ImproperlyConfigured):
        get_config()


def test_fake_servers_nest():
    with FakeGrantor() as outer:
        with FakeGrantor() as inner:
            c = GrantorAPIClient(inner)
            c.as_machine()
            assert c.get("/protected").status_code == 200
        c.with_token(outer.machine_token())
        assert c.get("/protected").status_code == 200


def test_spectacular():
    pytest.importorskip("drf_spectacular")
    from drf_spectacular.generators import SchemaGenerator

    schema = SchemaGenerator().get_schema(public=True)
    assert schema["components"]["securitySchemes"]["grantor"]["scheme"] == "bearer"
