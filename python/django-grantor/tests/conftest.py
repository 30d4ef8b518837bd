"""Fixtures: the real Grantor, and a Django that asks it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

from servers import Grantor, Redis, Stub, secrets_in


@pytest.fixture(scope="session")
def grantor(tmp_path_factory):
    """The server. GRANTOR_BINARY names the program."""
    if not os.environ.get("GRANTOR_BINARY"):
        pytest.skip("GRANTOR_BINARY does not name a grantor program")
    folder = tmp_path_factory.mktemp("grantor")
    redis = Redis(folder)
    server = Grantor(folder, redis)
    yield server
    server.stop()
    redis.stop()
    assert not secrets_in(server.log, list(server.secrets.values()))


@pytest.fixture
def config(settings):
    """Sets keys of GRANTOR."""

    def set_keys(**keys):
        settings.GRANTOR = {**settings.GRANTOR, **keys}

    return set_keys


@pytest.fixture
def asking(grantor, config):
    """Lets this process ask the real server."""
    config(ISSUER=grantor.issuer, CLIENT_SECRET=grantor.secrets["orders-api"])
    return grantor


@pytest.fixture
def people(db):
    """Users with the keys that the server knows: ada, bob, and eve who is not active."""
    model = get_user_model()
    return {
        "ada": model.objects.create_user("ada", pk=1001, is_staff=True),
        "bob": model.objects.create_user("bob", pk=1002),
        "eve": model.objects.create_user("eve", pk=1003, is_active=False),
    }


@pytest.fixture
def api():
    """Sends a token. Returns DRF's response."""
    client = APIClient(raise_request_exception=False)

    def ask(path, token="", method="get", **headers):
        if token:
            headers["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return getattr(client, method)(path, **headers)

    return ask


@pytest.fixture
def stub(config):
    """Makes stand-ins and points GRANTOR at them."""
    made = []

    def make(answers, *, certificate=None, **keys):
        s = Stub(answers, certificate=certificate)
        made.append(s)
        s.answers.setdefault(
            "/.well-known/oauth-authorization-server",
            {
                "issuer": s.url,
                "introspection_endpoint": s.url + "/introspect",
                "jwks_uri": s.url + "/jwks",
                "token_endpoint": s.url + "/token",
                "revocation_endpoint": s.url + "/revoke",
            },
        )
        config(ISSUER=s.url, TIMEOUT=0.5, **keys)
        return s

    yield make
    for s in made:
        s.stop()


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path
