"""The settings: every mistake is told, and how to mend it."""

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from django_grantor.conf import get_config, is_secure, read

GOOD = {"ISSUER": "https://auth.example.com", "CLIENT_ID": "api", "CLIENT_SECRET": "s"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ISSUER": ""}, "ISSUER is missing"),
        ({"ISSUER": "https://a.example.com/"}, "must not end in a slash"),
        ({"ISSUER": "http://auth.example.com"}, "must be a whole URL, and begin with https://"),
        ({"ISSUER": "auth.example.com"}, "must be a whole URL"),
        ({"ISSUER": 7}, "ISSUER must be str, not int"),
        ({"INTROSPECTION_URL": "http://a.example.com/x"}, "INTROSPECTION_URL must be"),
        ({"CLIENT_SECRET": ""}, "variables GRANTOR_CLIENT_ID and GRANTOR_CLIENT_SECRET"),
        ({"CLIENT_SECRET_FILE": "/dev/null"}, "either CLIENT_SECRET or CLIENT_SECRET_FILE"),
        (
            {"CLIENT_SECRET": None, "CLIENT_SECRET_FILE": "/no/such"},
            "CLIENT_SECRET_FILE cannot be read: FileNotFoundError /no/such",
        ),
        ({"AUDIANCE": "x"}, "'AUDIANCE' is no key, did you mean AUDIENCE"),
        ({"AUDIENCE": [1]}, "AUDIENCE must be a text or a list of texts"),
        ({"AUDIENCE": 1}, "AUDIENCE"),
        ({"MODE": "jwks"}, 'MODE must be "introspection"'),
        ({"MODE": "jwt"}, "AUDIENCE is needed"),
        ({"ALGORITHMS": ["HS256"]}, "neither none nor HMAC"),
        ({"ALGORITHMS": []}, "ALGORITHMS must be"),
        ({"TIMEOUT": "3"}, "TIMEOUT must be float, not str"),
        ({"TIMEOUT": True}, "TIMEOUT must be"),
        ({"TIMEOUT": 0}, "TIMEOUT is seconds"),
        ({"REALM": 'a"b'}, "REALM holds"),
        ({"ALLOW_INSECURE_HTTP": "no"}, "ALLOW_INSECURE_HTTP must be bool"),
        ({"END_SESSIONS": True}, "END_SESSIONS needs ADMIN_URL"),
        ({"ADMIN_URL": "https://a.example.com"}, "END_SESSIONS needs ADMIN_URL"),
        ({"KEEP_KEYS": -1}, "must not be negative"),
    ],
)
def test_mistakes(change, words):
    given = {k: v for k, v in {**GOOD, **change}.items() if v is not None}
    _, mistakes = read(given, {})
    assert words in "; ".join(mistakes)


def test_all_mistakes_at_once():
    assert len(read({"NONE": 1, "MODE": "x", "TIMEOUT": 99}, {})[1]) >= 4


def test_environment_and_files(folder):
    bare = {"ISSUER": GOOD["ISSUER"]}
    config, mistakes = read(bare, {"GRANTOR_CLIENT_ID": "e", "GRANTOR_CLIENT_SECRET": "f"})
    assert (config.client_id, config.client_secret, mistakes) == ("e", "f", [])
    (folder / "s").write_text("from file\r\n")
    config, mistakes = read(
        {**bare, "CLIENT_ID": "x", "CLIENT_SECRET_FILE": folder / "s"}, {"GRANTOR_CLIENT_SECRET": "f"}
    )
    assert (config.client_id, config.client_secret, mistakes) == ("x", "from file", [])
    assert "from file" not in repr(config)


def test_insecure_http_is_said():
    assert read({**GOOD, "ISSUER": "http://grantor:8080", "ALLOW_INSECURE_HTTP": True}, {})[1] == []
    assert read({**GOOD, "ISSUER": "http://127.0.0.1:8080"}, {})[1] == []


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://a.example.com", True),
        ("http://localhost:1", True),
        ("http://127.9.9.9/x", True),
        ("http://[::1]:1", True),
        ("http://[::ffff:127.0.0.1]", True),
        ("http://0.0.0.0", False),
        ("http://127.1", False),
        ("http://localhost.evil.example.com", False),
        ("http://localhost@evil.example.com", False),
        ("ftp://localhost", False),
        ("//localhost", False),
        ("", False),
        ("https://", False),
        ("https://a.example.com:port", False),
        ("https://a.example.com?x", False),
        ("http://2130706433", False),
    ],
)
def test_rfc7662_4_secure(url, good):
    assert is_secure(url) is good


def messages(ids="django_grantor"):
    return {m.id: m.msg for m in run_checks() if m.id.startswith(ids)}


def test_manage_py_check(settings):
    assert messages() == {}
    settings.GRANTOR = {"ISSUER": "x"}
    assert "whole URL" in messages()["django_grantor.E001"]
    with pytest.raises(ImproperlyConfigured, match="whole URL"):
        get_config()
    settings.GRANTOR = {**GOOD, "USER_FIELD": "nickname"}
    assert "no field of User" in messages()["django_grantor.E002"]
    settings.GRANTOR = {**GOOD, "USER_FIELD": "email"}
    assert "not unique" in messages()["django_grantor.E003"]
    settings.GRANTOR = {**GOOD, "USER_FIELD": "username"}
    assert "RFC 9700" in messages()["django_grantor.W003"]
    settings.GRANTOR = GOOD
    settings.REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework.authentication.SessionAuthentication",
            "django_grantor.authentication.GrantorAuthentication",
        ]
    }
    assert "not the first" in messages()["django_grantor.W002"]
    del settings.GRANTOR
    assert "no GRANTOR" in messages()["django_grantor.W001"]
    get_config.cache_clear()
    with pytest.raises(ImproperlyConfigured, match="no GRANTOR dictionary"):
        get_config()


def test_jwt_without_pyjwt(settings, monkeypatch):
    import sys

    monkeypatch.delattr("django_grantor.jwt_verifier", raising=False)
    monkeypatch.setitem(sys.modules, "jwt", None)
    monkeypatch.delitem(sys.modules, "django_grantor.jwt_verifier", raising=False)
    settings.GRANTOR = {**GOOD, "MODE": "jwt", "AUDIENCE": "https://a.example.com"}
    assert 'pip install "django-grantor[jwt]"' in messages()["django_grantor.E004"]
