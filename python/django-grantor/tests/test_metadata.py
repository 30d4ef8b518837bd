"""The metadata of the API (RFC 9728), and where challenges name it."""

import pytest
from django.test import Client

from django_grantor.conf import read
from django_grantor.metadata import location

GOOD = {
    "ISSUER": "https://auth.example.com",
    "CLIENT_ID": "api",
    "CLIENT_SECRET": "s",
    "RESOURCE_METADATA": True,
}
WELL_KNOWN = "/.well-known/oauth-protected-resource"


@pytest.fixture
def described(config):
    config(
        ISSUER="https://auth.example.com",
        AUDIENCE="https://orders.example.com/v1",
        RESOURCE_METADATA=True,
        SCOPES_SUPPORTED=["orders:read", "orders:write"],
        RESOURCE_NAME="Orders",
        RESOURCE_DOCUMENTATION="https://docs.example.com",
    )


def test_the_document(described):
    """PR-01 PR-02 PR-03: the path of the resource comes last, and every member is as the settings say."""
    answer = Client().get(WELL_KNOWN + "/v1")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer.json() == {
        "resource": "https://orders.example.com/v1",
        "authorization_servers": ["https://auth.example.com"],
        "scopes_supported": ["orders:read", "orders:write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Orders",
        "resource_documentation": "https://docs.example.com",
    }


def test_no_empty_list(described, config):
    """PR-05: a list without elements is left out."""
    config(SCOPES_SUPPORTED=[], RESOURCE_NAME="", RESOURCE_DOCUMENTATION="")
    assert set(Client().get(WELL_KNOWN + "/v1").json()) == {
        "resource",
        "authorization_servers",
        "bearer_methods_supported",
    }


@pytest.mark.parametrize("path", ["", "/", "/v1/", "/v2"])
def test_another_resource(described, path):
    assert Client().get(WELL_KNOWN + path).status_code == 404


def test_off():
    assert Client().get(WELL_KNOWN).status_code == 404


def test_methods(described):
    assert Client().post(WELL_KNOWN + "/v1").status_code == 405
    preflight = Client().options(WELL_KNOWN + "/v1")
    assert (preflight.status_code, preflight["Access-Control-Allow-Headers"]) == (204, "*")


def test_challenge(described, api):
    """PR-04: the challenge of a 401 names the metadata."""
    answer = api("/protected")
    assert answer.status_code == 401
    assert f'resource_metadata="https://orders.example.com{WELL_KNOWN}/v1"' in answer["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        ("https://a.example", f"https://a.example{WELL_KNOWN}"),
        ("https://a.example/", f"https://a.example{WELL_KNOWN}"),
        ("https://a.example:8443/mcp", f"https://a.example:8443{WELL_KNOWN}/mcp"),
        ("https://a.example/?tenant=1", f"https://a.example{WELL_KNOWN}?tenant=1"),
    ],
)
def test_location(resource, url):
    assert location(resource) == url


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "RESOURCE_METADATA needs one AUDIENCE"),
        ({"AUDIENCE": ["https://a.example", "https://b.example"]}, "RESOURCE_METADATA needs one AUDIENCE"),
        ({"AUDIENCE": "orders"}, "RESOURCE_METADATA needs one AUDIENCE"),
        ({"AUDIENCE": "http://a.example"}, "RESOURCE_METADATA needs one AUDIENCE"),
        ({"AUDIENCE": 'https://a.example/"x'}, "RESOURCE_METADATA needs one AUDIENCE"),
        ({"AUDIENCE": "https://a.example/#x"}, "RESOURCE_METADATA needs one AUDIENCE"),
        ({"AUDIENCE": "https://a.example", "SCOPES_SUPPORTED": ["a b"]}, "is no scope"),
        (
            {"AUDIENCE": "https://a.example", "RESOURCE_DOCUMENTATION": "javascript:x"},
            "RESOURCE_DOCUMENTATION must",
        ),
        ({"RESOURCE_METADATA": False, "RESOURCE_NAME": "x"}, "need RESOURCE_METADATA = True"),
    ],
)
def test_mistakes(change, words):
    assert words in "; ".join(read({**GOOD, **change}, {})[1])
