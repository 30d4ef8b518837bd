"""A change of a user in Django ends the user's sessions at Grantor, at once."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from django_grantor import sessions
from django_grantor.models import SessionEnd

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ending(asking, config):
    config(ADMIN_URL=asking.admin_url, ADMIN_CLIENT_ID="admin", ADMIN_CLIENT_SECRET=asking.secrets["admin"])
    yield asking
    assert sessions.worker.join(10)


@pytest.fixture
def ada(db):
    return get_user_model().objects.create_user("ada", "ada@example.com", "one password", pk=1001)


def over(grantor, token):
    assert sessions.worker.join(10)
    assert not SessionEnd.objects.exists()
    return not grantor.is_active(token)


def deactivate(user):
    user.is_active = False
    user.save()


def deactivate_one_field(user):
    user.is_active = False
    user.save(update_fields=["is_active"])


def new_password(user):
    user.set_password("another password")
    user.save()


@pytest.mark.parametrize(
    "change",
    [
        new_password,
        deactivate,
        deactivate_one_field,
        lambda u: u.delete(),
        lambda u: get_user_model().objects.filter(pk=u.pk).delete(),
        lambda u: sessions.end_sessions("1001"),
    ],
    ids=["password", "deactivated", "deactivated alone", "deleted", "deleted by a query", "by hand"],
)
def test_the_sessions_end(ending, ada, change):
    said, other = ending.login("ada"), ending.login("bob")
    change(ada)
    assert over(ending, said["access_token"])
    form = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": said["refresh_token"]}
    assert ending.post("/oauth2/token", form)[1]["error"] == "invalid_grant"
    assert ending.is_active(other["access_token"])


def rename(user):
    user.username = "lovelace"
    user.save()


@pytest.mark.parametrize(
    "change",
    [
        rename,
        lambda u: u.save(),
        lambda u: u.save(update_fields=["last_login"]),
        lambda u: get_user_model().objects.create_user("new", password="x"),
    ],
    ids=["renamed", "saved", "logged in", "another made"],
)
def test_no_other_change_ends_them(ending, ada, change):
    token = ending.login("ada")["access_token"]
    change(ada)
    assert not over(ending, token)


def test_a_login_in_django_costs_no_query(ending, ada, django_assert_num_queries):
    with django_assert_num_queries(1):
        ada.save(update_fields=["last_login"])


def test_a_change_that_is_rolled_back_ends_nothing(ending, ada):
    token = ending.login("ada")["access_token"]
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        new_password(ada)
        raise ZeroDivisionError
    assert not over(ending, token)


def test_a_change_is_sent_once_it_is_committed(ending, ada):
    token = ending.login("ada")["access_token"]
    with transaction.atomic():
        new_password(ada)
        time.sleep(0.2)
        assert ending.is_active(token)
    assert over(ending, token)


def test_a_new_user_costs_no_query(ending, django_assert_num_queries):
    with django_assert_num_queries(1):
        get_user_model().objects.create_user("new", password="x")


def test_a_proxy_of_the_user_model_counts(ending, ada):
    class Staff(get_user_model()):
        class Meta:
            proxy = True
            app_label = "project"

    token = ending.login("ada")["access_token"]
    deactivate(Staff.objects.get(pk=1001))
    assert over(ending, token)


def test_switched_off(asking, ada, config):
    config(
        ADMIN_URL=asking.admin_url,
        ADMIN_CLIENT_ID="admin",
        ADMIN_CLIENT_SECRET=asking.secrets["admin"],
        END_SESSIONS=False,
    )
    token = asking.login("ada")["access_token"]
    new_password(ada)
    assert not over(asking, token)


def test_the_request_does_not_wait_and_it_is_repeated(ending, ada, config, caplog):
    token = ending.login("ada")["access_token"]
    ending.stop()
    start = time.monotonic()
    new_password(ada)
    assert time.monotonic() - start < 0.3
    time.sleep(0.7)
    assert SessionEnd.objects.count() == 1
    assert "sessions of a user could not be ended; Grantor is asked again" in caplog.text
    ending.start()
    assert over(ending, token)


def test_what_an_earlier_process_left_is_sent(ending, ada):
    token = ending.login("ada")["access_token"]
    for _ in range(3):
        SessionEnd.objects.create(subject="1001")
    from django_grantor import receivers

    sessions.worker._looked = float("-inf")
    receivers.look_for_others()
    assert over(ending, token)
    SessionEnd.objects.create(subject="1001")
    receivers.look_for_others()  # not again within a minute
    assert SessionEnd.objects.count() == 1
    SessionEnd.objects.all().delete()


def test_a_process_that_ends_at_once_sends_it(ending, ada):
    """manage.py changepassword, or a shell."""
    token = ending.login("ada")["access_token"]
    code = (
        "from django.conf import settings\n"
        f"settings.GRANTOR = {settings.GRANTOR!r}\n"
        f"settings.DATABASES['default']['NAME'] = {str(connection.settings_dict['NAME'])!r}\n"
        "import django; django.setup()\n"
        "from django.contrib.auth import get_user_model\n"
        "u = get_user_model().objects.get(pk=1001); u.set_password('x'); u.save()\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=Path(__file__).parent,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings"},
    )
    assert over(ending, token)


def test_command(ending, ada, capsys, config):
    token = ending.login("ada")["access_token"]
    call_command("grantor_end_sessions", sub="1001")
    assert over(ending, token)
    SessionEnd.objects.create(subject="1001")
    config(ADMIN_CLIENT_SECRET="gcs_wrong")
    with pytest.raises(CommandError, match="could not be ended"):
        call_command("grantor_end_sessions")
    config(ADMIN_CLIENT_SECRET=ending.secrets["admin"])
    call_command("grantor_end_sessions")
    assert not SessionEnd.objects.exists()


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("weak-admin", "look at ADMIN_CLIENT_ID, its secret and its scope"),
        ("machine", "look at ADMIN_CLIENT_ID"),
    ],
)
def test_a_client_that_may_not_is_told(ending, config, client, words, caplog):
    caplog.set_level(logging.ERROR, "django_grantor")
    config(ADMIN_CLIENT_ID=client, ADMIN_CLIENT_SECRET=ending.secrets[client])
    SessionEnd.objects.create(subject="1001")
    assert not sessions.send_queued()
    assert words in caplog.text
    SessionEnd.objects.all().delete()


def test_a_wrong_admin_url_is_told(ending, config, caplog):
    caplog.set_level(logging.ERROR, "django_grantor")
    config(ADMIN_URL=ending.issuer)
    SessionEnd.objects.create(subject="1001")
    assert not sessions.send_queued()
    assert "404: ADMIN_URL is not Grantor's admin listener" in caplog.text
    SessionEnd.objects.all().delete()


def test_subjects_are_escaped_in_the_path(stub, config):
    s = stub(
        {"/token": {"access_token": "t", "expires_in": 60}}, ADMIN_CLIENT_ID="a", ADMIN_CLIENT_SECRET="b"
    )
    config(ADMIN_URL=s.url)
    SessionEnd.objects.create(subject="a/b?c#d %")
    sessions.send_queued()
    assert "DELETE /admin/v1/users/a%2Fb%3Fc%23d%20%25/sessions" in s.requests
    SessionEnd.objects.all().delete()
