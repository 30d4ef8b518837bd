"""What a stranger, a strange server or a strange machine could do to the API."""

import base64
import json
import logging
import socket
import threading
import time
from types import SimpleNamespace

import pytest
from django.contrib.auth import get_user_model
from django.db import DataError, connection, transaction
from django.test import RequestFactory
from django.views.debug import get_exception_reporter_filter

from django_grantor import feed, sessions, verifiers
from django_grantor.conf import get_config
from django_grantor.models import SessionEnd
from django_grantor.principals import Machine, find_user
from django_grantor.testing import FakeGrantor, GrantorAPIClient
from django_grantor.transport import Answer, Transport, _Deadline, _Request
from project.models import PlainUser
from servers import reply

DEEP = base64.urlsafe_b64encode(b"[" * 12_000).decode().rstrip("=")


@pytest.fixture
def fake(db):
    with FakeGrantor() as grantor:
        yield grantor


# The token's text


@pytest.mark.parametrize("mode", ["jwt", "either"])
def test_a_jwt_header_that_is_nested_too_deeply_is_401(stub, api, db, mode):
    pytest.importorskip("jwt")
    stub({}, MODE=mode, CLIENT_SECRET="s")
    assert api("/protected", f"{DEEP}.e30.AAAA").status_code == 401


def test_a_header_that_is_nested_too_deeply_goes_to_the_next_class(stub, api, db):
    stub({})
    assert api("/mixed", f"{DEEP}.e30.AAAA").json()["authenticated"] is False


# Who asks


def test_a_subject_that_the_database_refuses_finds_nobody(monkeypatch, db):
    def refuse(*args, **kwargs):
        raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")

    monkeypatch.setattr(get_user_model()._default_manager, "get", refuse)
    assert find_user("1\x00", "pk") is None


@pytest.mark.parametrize(
    "subject", ["01", " 1", "1 ", "1.0", "+1", "-1", "٣", "1_0", "9" * 30, "9" * 5000, "", "1\x00"]
)  # fmt: skip
def test_another_spelling_of_a_key_finds_nobody(people, subject):
    for pk in (1, 3, 10):
        get_user_model().objects.create_user(f"u{pk}", pk=pk)
    assert find_user(subject, "pk") is None
    assert find_user("3", "pk").username == "u3"


def test_a_machine_is_not_the_user_whose_key_is_its_client_id(db, settings, monkeypatch):
    """§ a query for objects that belong to a machine fails, also where keys are texts."""
    PlainUser.objects.create(code="nightly", login="nightly")
    machine = Machine("nightly")
    with pytest.raises(TypeError):
        PlainUser.objects.filter(pk=machine).exists()
    with pytest.raises((TypeError, ValueError)):
        get_user_model().objects.filter(pk=machine).exists()
    # None would mean "rows without an owner"
    with pytest.raises((TypeError, ValueError)):
        get_user_model().objects.filter(pk=machine.id).exists()
    assert not PlainUser.objects.filter(pk=machine.id).exists()
    PlainUser.objects.all().delete()
    PlainUser.objects.create(code="x", login=machine)  # a name may be stored
    assert PlainUser.objects.get(code="x").login == "nightly"


# The views that pass through


@pytest.mark.parametrize("media", ["json", "multipart"])
def test_verify_takes_what_the_api_takes(fake, media):
    client = GrantorAPIClient(fake)
    ask = lambda token: client.post("/api/token/verify/", {"token": token}, format=media)  # noqa: E731
    ada = get_user_model().objects.create_user("ada")
    assert ask(fake.user_token(ada)).status_code == 200
    assert ask(fake.user_token(ada, audience=("https://other.example.com",))).status_code == 401
    ada.is_active = False
    ada.save()
    assert ask(fake.user_token(ada)).status_code == 401


def test_a_token_that_is_too_long_is_no_question(stub, api, db):
    """Else a stranger's text is 503, and a line in the log as if Grantor were away."""
    s = stub({"/introspect": lambda h: reply(h, 413, {})}, CLIENT_SECRET="s")
    for path in ("/api/token/verify/", "/protected"):
        if path == "/protected":
            status = api(path, "a" * 20_000).status_code
        else:
            status = GrantorAPIClient(None).post(path, {"token": "a" * 20_000}, format="json").status_code
        assert status in (400, 401), path
    assert "POST /introspect" not in s.requests


@pytest.mark.parametrize("path", ["/api/token/", "/api/token/refresh/", "/api/token/blacklist/"])
def test_what_grantor_calls_malformed_is_400(stub, db, caplog, path):
    said = {"error": "invalid_request", "error_description": "username is longer than 256 bytes"}
    stub(
        {"/token": lambda h: reply(h, 400, said), "/revoke": lambda h: reply(h, 400, said)},
        APP_CLIENT_ID="app",
    )
    body = {"username": "a" * 999, "password": "p", "refresh": "r"}
    answer = GrantorAPIClient(None).post(path, body, format="json")
    assert answer.status_code == 400
    assert "longer than 256 bytes" in answer.content.decode()
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


# Secrets in reports


def report(exc):
    """Return what Django's error report shows of the frames and of the form."""
    from django.views.debug import ExceptionReporter

    r = ExceptionReporter(exc.request, type(exc.value), exc.value, exc.value.__traceback__.tb_next)
    return r.get_traceback_html()


class _Boom(Exception):
    pass


def crash(*args, **kwargs):
    raise _Boom


@pytest.mark.parametrize("where", ["find_user", "verify"])
def test_an_error_report_does_not_show_the_token(fake, monkeypatch, where):
    from django_grantor import authentication

    ada = get_user_model().objects.create_user("ada")
    token = fake.user_token(ada)
    if where == "find_user":
        monkeypatch.setattr(authentication, "find_user", crash)
    else:
        monkeypatch.setattr(FakeGrantor, "verify", crash)
    from rest_framework.request import Request

    plain = RequestFactory().get("/protected", HTTP_AUTHORIZATION=f"Bearer {token}")
    with pytest.raises(_Boom) as caught:
        authentication.GrantorAuthentication().authenticate(Request(plain))
    plain.META["HTTP_AUTHORIZATION"] = ""  # Django's own part
    html = report(SimpleNamespace(request=plain, value=caught.value))
    frames = html[html.index("_Boom") :]
    assert "authentication.py" in frames
    assert token not in frames


def test_an_error_report_does_not_show_passwords(stub, db, monkeypatch):
    from django_grantor import views

    stub({}, APP_CLIENT_ID="app")
    monkeypatch.setattr(views.verifiers.Metadata, "endpoint", crash)
    request = RequestFactory().post("/api/token/", {"username": "ada", "password": "hunter2 hunter2"})
    with pytest.raises(_Boom) as caught:
        views.TokenObtainPairView.as_view()(request)
    assert "hunter2" not in json.dumps(get_exception_reporter_filter(request).get_post_parameters(request))
    html = report(SimpleNamespace(request=request, value=caught.value))
    assert "views.py" in html
    assert "hunter2" not in html
    assert "hunter2+hunter2" not in html


def test_no_repr_shows_a_secret():
    r = _Request("POST", "/", {"Authorization": "Basic c2VjcmV0"}, b"token=gat_1", _Deadline(1), True, 1)
    assert "c2VjcmV0" not in repr(r)
    assert "gat_1" not in repr(r)
    assert "grt_1" not in repr(Answer(200, {}, b'{"refresh_token":"grt_1"}'))


# Connections


def test_an_interim_answer_never_becomes_the_answer_to_another_question():
    """RFC 9110 §15.2: a 103 is followed by the answer; the connection is not free yet."""
    listener = socket.create_server(("127.0.0.1", 0))
    sockets = []

    def serve():
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            sockets.append(conn)
            threading.Thread(target=answer, args=(conn, len(sockets)), daemon=True).start()

    def answer(conn, number):
        conn.recv(65536)
        if number == 1:
            conn.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            conn.recv(65536)  # another question, if it comes
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + str(number).encode())

    threading.Thread(target=serve, daemon=True).start()
    url, t = f"http://127.0.0.1:{listener.getsockname()[1]}/", Transport(timeout=2)
    assert t.request("GET", url).status == 103
    assert t.idle_count() == 0
    assert t.request("GET", url).body == b"2"
    t.close()
    listener.close()


# Threads


def no_thread(*args, **kwargs):
    raise RuntimeError("can't start new thread")


def test_a_follower_without_a_thread_is_stale_and_tries_again(stub, monkeypatch):
    s = stub({}, MODE="live", CLIENT_SECRET="s")
    config = get_config()
    f = feed.Follower(config, verifiers.Metadata(config, Transport()))
    with monkeypatch.context() as m:
        m.setattr(threading.Thread, "start", no_thread)
        assert not f.is_fresh()
    assert not f.is_fresh()
    end = time.monotonic() + 5
    while not s.requests and time.monotonic() < end:
        time.sleep(0.01)
    assert s.requests, "the follower never began"
    f.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_follower_whose_thread_ended_begins_again(stub):
    stub({}, MODE="live", CLIENT_SECRET="s")
    config = get_config()
    f = feed.Follower(config, verifiers.Metadata(config, Transport()))
    f._turn = lambda closed: (_ for _ in ()).throw(SystemExit)
    f.is_fresh()
    first = f._thread
    first.join(5)
    f.is_fresh()
    assert f._thread is not first
    f.close()


@pytest.mark.django_db(transaction=True)
def test_a_worker_without_a_thread_does_not_break_the_request(monkeypatch, asking, config):
    config(ADMIN_URL=asking.admin_url, ADMIN_CLIENT_ID="admin", ADMIN_CLIENT_SECRET=asking.secrets["admin"])
    with monkeypatch.context() as m:
        m.setattr(threading.Thread, "start", no_thread)
        with transaction.atomic():
            sessions.end_sessions("1001")
    assert SessionEnd.objects.count() == 1
    sessions.worker.wake()
    assert sessions.worker.join(10)
    assert not SessionEnd.objects.exists()


def test_users_in_another_database_end_after_their_commit(monkeypatch, db):
    """A row that is written at once could be sent before the change is there, and outlasts a rollback."""
    waiting = []
    monkeypatch.setattr(sessions.transaction, "on_commit", lambda do, using=None: waiting.append((using, do)))
    sessions.end_sessions("1001", using="users")
    assert not SessionEnd.objects.exists()
    [(using, after)] = waiting
    assert using == "users"
    after()
    assert SessionEnd.objects.get().subject == "1001"
    assert [using for using, _ in waiting] == ["users", "default"]


# grantor_config


@pytest.mark.skipif(connection.vendor != "postgresql", reason="needs PostgreSQL")
@pytest.mark.parametrize(
    ("sub", "want"),
    [
        *((str(n), n) for n in (1, -5, 1_790_000_000_000_000_000, 2**63 - 1, -(2**63))),
        *((text, None) for text in ("9" * 19, str(2**63), "9" * 40, "x", "--1", "", "1.5", " 1")),
    ],
)
def test_every_key_is_found_again_at_a_refresh(db, sub, want):
    from django_grantor.generate.sql import _POSTGRES_INTEGER

    with connection.cursor() as c:
        c.execute(f"PREPARE again (text) AS SELECT {_POSTGRES_INTEGER}")
        c.execute(f"EXECUTE again ('{sub}')")
        assert c.fetchone()[0] == want
        c.execute("DEALLOCATE again")


def test_a_recheck_takes_keys_of_19_digits():
    """Snowflakes have 19 digits today; a recheck that finds nobody ends the session."""
    from unittest.mock import Mock

    from django_grantor.generate.sql import Wanted, queries

    postgres = Mock(vendor="postgresql")
    postgres.ops.quote_name = '"{}"'.format
    assert "{1,18}" not in queries(get_user_model(), postgres, Wanted()).recheck


def test_white_space_in_a_data_source_name_is_quoted():
    from django_grantor.generate.dsn import dsn_of

    settings = {"NAME": "app", "HOST": "db.example.com", "USER": "u", "PASSWORD": "a\tsslmode=disable"}
    assert "password='a\tsslmode=disable'" in dsn_of("postgres", settings).text
    assert "tcp([2001:db8::1]:3306)" in dsn_of("mysql", {**settings, "HOST": "2001:db8::1"}).text
