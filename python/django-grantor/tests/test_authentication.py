"""GrantorAuthentication on the real server."""

import pytest
from django.contrib.auth import get_user_model

from servers import AUDIENCE, PASSWORD

pytestmark = pytest.mark.django_db

BAD = (
    'Bearer realm="api", error="invalid_token", error_description="the token is unknown, expired or revoked"'
)
UNKNOWN = 'Bearer realm="api", error="invalid_token", error_description="the token\'s user is not known here, or not active"'


def test_machine(asking, api):
    r = api("/protected", asking.token(scope="orders:read orders:write"))
    assert r.status_code == 200, r.content
    assert r.json() == {
        "user": "machine",
        "pk": "client:machine",
        "authenticated": True,
        "machine": True,
        "scope": ["orders:read", "orders:write"],
        "client": "machine",
    }


def test_user(asking, api, people):
    r = api("/protected", asking.login("ada")["access_token"])
    assert r.status_code == 200, r.content
    assert r.json() == {
        "user": "ada",
        "pk": "1001",
        "authenticated": True,
        "machine": False,
        "scope": ["orders:read"],
        "client": "app",
    }


def test_renamed_user_is_found_by_key(asking, api, people):
    token = asking.login("bob")["access_token"]
    get_user_model().objects.filter(pk=1002).update(username="robert")
    get_user_model().objects.create_user("bob")  # whoever gets the name gets nothing else
    assert api("/protected", token).json()["pk"] == "1002"


@pytest.mark.parametrize("name", ["eve", "nobody", "zero"])
def test_inactive_unknown_and_odd_subjects_are_refused_alike(asking, api, people, name):
    """zero has the sub 01001, which the database itself would read as ada's 1001."""
    r = api("/protected", asking.login(name)["access_token"])
    assert r.status_code == 401
    assert r["WWW-Authenticate"] == UNKNOWN
    assert r.json()["error"] == "invalid_token"


def test_deactivated_while_the_token_lives(asking, api, people):
    token = asking.login("ada")["access_token"]
    assert api("/protected", token).status_code == 200
    get_user_model().objects.filter(pk=1001).update(is_active=False)
    assert api("/protected", token).status_code == 401


def test_revoked(asking, api):
    token = asking.token()
    assert api("/protected", token).status_code == 200
    asking.revoke(token)
    r = api("/protected", token)
    assert (r.status_code, r["WWW-Authenticate"]) == (401, BAD)
    assert r.json() == {"detail": "the token is unknown, expired or revoked", "error": "invalid_token"}


def test_refresh_token_is_no_access_token(asking, api, people):
    assert api("/protected", asking.login("ada")["refresh_token"]).status_code == 401


def test_rfc6750_3_1_no_credentials_no_error(asking, api):
    for headers in ({}, {"HTTP_AUTHORIZATION": "Token abc"}, {"HTTP_AUTHORIZATION": "Basic YTpi"}):
        r = api("/protected", **headers)
        assert (r.status_code, r["WWW-Authenticate"]) == (401, 'Bearer realm="api"'), headers
        assert api("/open", **headers).status_code == 200
        assert api("/open", **headers).json()["scope"] is None


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "bearer \u00e4", "Bearer a=b", "Bearer " + 17000 * "a"],
)
def test_rfc6750_3_1_malformed_header_is_400(asking, api, value):
    r = api("/open", HTTP_AUTHORIZATION=value)
    assert r.status_code == 400
    assert r["WWW-Authenticate"].startswith(
        'Bearer realm="api", error="invalid_request", error_description="'
    )
    assert r.json()["error"] == "invalid_request"


def test_rfc6750_2_two_ways_at_once(asking, api):
    assert api("/open?access_token=x", asking.token()).status_code == 400
    assert api("/open?access_token=x").status_code == 200  # not read, and somebody else's perhaps


def test_scheme_is_case_insensitive(asking, api):
    assert api("/protected", HTTP_AUTHORIZATION="bEARER " + asking.token()).status_code == 200


def test_rfc9068_4_another_audience(asking, api):
    r = api("/protected", asking.token(scope="other:read"))
    assert r.status_code == 401
    assert 'error_description="the token is meant for another resource"' in r["WWW-Authenticate"]
    assert api("/another", asking.token()).status_code == 401


def test_audiences_may_be_many_or_none(asking, api, config):
    token = asking.token(scope="other:read")
    config(AUDIENCE=[AUDIENCE, "https://other.example.com"])
    assert api("/protected", token).status_code == 200
    config(AUDIENCE="")
    assert api("/protected", token).status_code == 200


def test_token_that_the_server_does_not_show_us(asking, api, config):
    token = asking.token()
    config(CLIENT_ID="own-api", CLIENT_SECRET=asking.secrets["own-api"])
    assert api("/protected", token).status_code == 401


def test_jwt_is_introspected_like_any_token(asking, api):
    token = asking.token("jwt-machine")
    assert api("/protected", token).json()["client"] == "jwt-machine"
    asking.revoke(token, "jwt-machine")
    assert api("/protected", token).status_code == 401


def test_user_field(asking, api, config, people):
    get_user_model().objects.filter(pk=1002).update(email="1001")
    config(USER_FIELD="email")
    assert api("/protected", asking.login("ada")["access_token"]).json()["user"] == "bob"


def test_times_of_the_answer_are_held(stub, api):
    import time

    said = {"active": True, "sub": "m", "client_id": "m", "sub_type": "client", "aud": AUDIENCE}
    s = stub({"/introspect": {**said, "exp": time.time() - 1}})
    assert api("/protected", "x").status_code == 401
    s.answers["/introspect"] = {**said, "nbf": time.time() + 120}
    assert api("/protected", "x").status_code == 401
    s.answers["/introspect"] = {**said, "iss": "https://evil.example.com"}
    assert api("/protected", "x").status_code == 401
    s.answers["/introspect"] = {**said, "token_type": "DPoP"}
    assert api("/protected", "x").status_code == 401
    for cnf in ({"jkt": "x"}, {"x5t#S256": "x"}, {}, None):  # DP-05, MT-05: bound, and nobody checks to whom
        s.answers["/introspect"] = {**said, "exp": time.time() + 60, "cnf": cnf}
        assert api("/protected", "x").status_code == 401
    s.answers["/introspect"] = {**said, "exp": time.time() + 60, "tenant": "acme"}
    assert api("/protected", "x").status_code == 200


def test_rfc9700_4_15_a_subject_of_another_issuer_is_no_user_of_this_site(stub, api, people):
    import time

    said = {"active": True, "sub": "1002", "client_id": "shop", "aud": AUDIENCE, "exp": time.time() + 60}
    s = stub({"/introspect": {**said, "sub_type": "user"}})
    assert api("/protected", "x").json()["user"] == "bob"
    s.answers["/introspect"] = {**said, "sub_type": "external"}
    r = api("/protected", "x")
    assert r.status_code == 401
    assert r.headers["WWW-Authenticate"] == UNKNOWN


def test_request_auth(asking, people, rf):
    from rest_framework.request import Request

    from django_grantor.authentication import GrantorAuthentication

    text = asking.login("ada", "orders:read orders:write")["access_token"]
    request = Request(rf.get("/", HTTP_AUTHORIZATION=f"Bearer {text}"))
    user, token = GrantorAuthentication().authenticate(request)
    assert user.pk == 1001
    assert token.subject == "1001"
    assert token.has_scope("orders:read", "orders:write")
    assert token.username == "ada"
    assert token.audience == (AUDIENCE,)
    assert token.issuer == asking.issuer
    assert token.expires_at > token.issued_at > 0
    assert text not in repr(token)
    assert text not in str(token)


@pytest.mark.parametrize(
    "token", ["abc", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2ln", "a.b.c", "\u00e9.b.c".encode().hex()]
)
def test_others_tokens_may_be_passed_on(asking, api, token):
    assert api("/mixed", token).json()["scope"] is None


def test_ours_are_not_passed_on(asking, api):
    assert api("/mixed", asking.token()).json()["client"] == "machine"
    assert api("/mixed", asking.token("jwt-machine")).json()["client"] == "jwt-machine"
    assert api("/mixed", "gat_" + 60 * "a").status_code == 401


def test_passthrough_views_in_the_shapes_of_simplejwt(asking, api, people, config, client):
    config(APP_CLIENT_ID="app")

    def post(path, **body):
        return client.post(path, body, content_type="application/json")

    r = post("/api/token/", username="ada", password=PASSWORD)
    assert r.status_code == 200
    assert set(r.json()) == {"access", "refresh"}
    assert api("/protected", r.json()["access"]).json()["user"] == "ada"
    assert post("/api/token/verify/", token=r.json()["access"]).status_code == 200
    again = post("/api/token/refresh/", refresh=r.json()["refresh"])
    assert set(again.json()) == {"access", "refresh"}
    assert post("/api/token/blacklist/", refresh=again.json()["refresh"]).json() == {}
    for path, body in (
        ("refresh", {"refresh": again.json()["refresh"]}),
        ("verify", {"token": again.json()["access"]}),
    ):
        r = post(f"/api/token/{path}/", **body)
        assert (r.status_code, r.json()["code"]) == (401, "token_not_valid")
    r = post("/api/token/", username="ada", password="wrong")
    assert (r.status_code, r.json()["code"]) == (401, "no_active_account")
    assert r["WWW-Authenticate"] == 'Bearer realm="api"'
    assert post("/api/token/", username="ada").status_code == 400
    config(ISSUER="http://127.0.0.1:1")
    assert post("/api/token/", username="ada", password=PASSWORD).status_code == 503
