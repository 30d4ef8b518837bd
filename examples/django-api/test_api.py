"""Tests of the API without a server: pytest finds the fixtures of django-grantor by itself."""

import pytest


@pytest.fixture
def ada(django_user_model):
    return django_user_model.objects.create_user("ada")


@pytest.mark.django_db
def test_protected_view(grantor_client, ada):
    assert grantor_client.get("/protected/").status_code == 401
    grantor_client.as_user(ada, "api:read")
    assert grantor_client.get("/protected/").json() == {"message": "Hello, ada!"}


@pytest.mark.django_db
def test_change_needs_its_scope(grantor_client, ada):
    grantor_client.as_user(ada, "api:read")
    assert grantor_client.post("/change/").status_code == 403
    grantor_client.as_machine("api:write", client_id="nightly")
    assert grantor_client.post("/change/").json() == {"changed by": "nightly", "client": "nightly"}


@pytest.mark.django_db
def test_503_while_the_token_server_cannot_be_asked(grantor_client, ada):
    grantor_client.as_user(ada, "api:read")
    grantor_client.grantor.fail()
    assert grantor_client.get("/protected/").status_code == 503
