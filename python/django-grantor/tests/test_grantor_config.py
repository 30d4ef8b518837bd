"""What grantor_config prints, held against the real ``grantor config check`` and real databases."""

import io
import os
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import connection

from django_grantor.generate import sql
from django_grantor.generate.document import toml, toml_lines
from django_grantor.generate.dsn import dsn_of
from django_grantor.generate.secret import hash_secret, new_secret
from project.models import Employee, MailUser, PlainUser

ALL = {
    "group_scopes": {"Edi'tors": "orders:read orders:write", "A\\B": "orders:read"},
    "superuser_scope": "orders:admin",
}


class Connection:
    """What a connection of another database says of itself, without its driver."""

    def __init__(self, vendor, quote, native):
        self.vendor = vendor
        self.ops = type("ops", (), {"quote_name": staticmethod(lambda n: f"{quote}{n}{quote}")})
        self.features = type("features", (), {"has_native_uuid_field": native})


POSTGRES, MYSQL = Connection("postgresql", '"', True), Connection("mysql", "`", False)


def run(*args, **options):
    out, err = io.StringIO(), io.StringIO()
    call_command("grantor_config", *args, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def check(text):
    if not os.environ.get("GRANTOR_BINARY"):
        pytest.skip("GRANTOR_BINARY does not name a grantor program")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.toml")
        file.write_text(text)
        r = subprocess.run(
            [os.environ["GRANTOR_BINARY"], "config", "check", "--config", str(file)],
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"]},
            cwd=folder,
        )
    assert r.returncode == 0, r.stdout + r.stderr + text
    return r.stdout + r.stderr


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--jwt"],
        ["--scope", "a", "--scope", 'b:c=Says "b" \\ x', "--user-scope", "a"],
        ["--issuer", "https://auth.example.com", "--admin"],
        ["--redis-url", "redis://127.0.0.1:6379/3", "--name", "shop"],
        ["--issuer", "https://auth.example.com", "--jwt"],
        ["--issuer", "http://localhost:9000"],
        ["--issuer", "http://[::1]:9000"],
        [
            "--scope",
            "orders:read",
            "--group",
            "Editors=orders:read",
            "--superuser-scope",
            "orders:read",
            "--login-field",
            "email",
            "--ignore-case",
        ],
    ],
)
def test_grantor_config_check_finds_it_sound(options, folder):
    secrets = ["--secrets-dir", str(folder / "s")] if "--jwt" in options else []
    text, err = run(*options, *secrets)
    said = check(text)
    assert "is sound" in said
    assert "no client" not in said
    assert all(s not in text for s in err.split() if s.startswith("gcs_"))


def test_secrets_are_shown_once_or_kept_in_files(folder):
    text, err = run()
    secrets = [w for w in err.split() if w.startswith("gcs_")]
    assert len(secrets) == 2
    for s in secrets:
        assert hash_secret(s) in text
    out = folder / "config.toml"
    text, err = run("--output", str(out), "--secrets-dir", str(folder / "secrets"))
    assert text == ""
    assert "gcs_" not in err
    files = sorted((folder / "secrets").iterdir())
    assert [f.name for f in files] == ["project-api", "project-machine"]
    for f in files:
        assert f.stat().st_mode & 0o777 == 0o600
        assert hash_secret(f.read_text().strip()) in out.read_text()
    with pytest.raises(CommandError, match="exists and is left as it is"):
        run("--output", str(out))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scope", "a b"], "a scope token is"),
        (["--user-scope", "nope"], "--user-scope: there is no scope nope"),
        (["--group", "Editors"], "must be NAME=VALUE"),
        (["--group", "E=nope"], "--group: there is no scope"),
        (["--superuser-scope", "x"], "--superuser-scope: there is no scope x"),
        (["--login-field", "nick"], "User has no field 'nick'"),
        (["--login-field", "groups"], "is no column"),
        (["--issuer", "http://auth.example.com"], "--issuer must be https"),
        (["--issuer", "https://auth.example.com/"], "without a slash"),
    ],
)
def test_mistakes(options, words):
    with pytest.raises(CommandError, match=words):
        run(*options)


def test_email_that_is_not_unique_is_warned_of():
    assert "email is not unique" in run("--login-field", "email")[1]


def test_secret_has_the_form_of_grantor():
    assert len(new_secret()) == len("gcs_KllMi3OucHeJLuIdZQssi2Ah5MWOLWjTzI8AN7DLleFY0xZSu5")
    assert new_secret() != new_secret()


def test_toml_texts():
    assert toml_lines("a\nb") == "'''\na\nb'''"
    assert toml_lines("it ''' is") == "\"it ''' is\""
    assert toml('a"\\\n') == r'"a\"\\\n"'


def queries(model, to, **wanted):
    return sql.queries(model, to, sql.Wanted(**wanted))


def test_postgres():
    q = queries(User, POSTGRES)
    assert q.query == (
        'SELECT u."id" AS id, u."username" AS username, u."password" AS password\n'
        'FROM "auth_user" u\nWHERE u."username" = $1 AND u."is_active"'
    )
    assert q.recheck.endswith(f'WHERE u."id" = {sql._POSTGRES_INTEGER} AND u."is_active"')
    assert q.columns == {"auth_user": ("id", "is_active", "password", "username")}
    assert "::uuid" in queries(MailUser, POSTGRES).recheck


def test_mysql():
    q = queries(MailUser, MYSQL, **ALL)
    assert q.query.endswith("WHERE u.`mail` = ? AND u.`is_active`")
    assert "CONCAT_WS('-', SUBSTR(u.`id`, 1, 8)" in q.query
    assert "'A\\\\B'" in q.query
    assert q.recheck.endswith("WHERE u.`id` = REPLACE(?, '-', '') AND u.`is_active`")
    assert q.query.count("?") == q.recheck.count("?") == 1


def test_a_database_that_grantor_cannot_read():
    with pytest.raises(sql.CannotDescribe, match="not oracle"):
        queries(User, Connection("oracle", '"', False))


@pytest.mark.parametrize(
    ("dialect", "settings", "want"),
    [
        (
            "postgres",
            {
                "NAME": "app",
                "USER": "u",
                "PASSWORD": "p w'\\",
                "HOST": "db",
                "PORT": "5433",
                "OPTIONS": {"sslmode": "verify-full"},
            },
            r"host=db port=5433 user=u password='p w\'\\' dbname=app sslmode=verify-full",
        ),
        ("postgres", {"NAME": "app"}, "host=/var/run/postgresql dbname=app sslmode=disable"),
        (
            "postgres",
            {"NAME": "app", "HOST": "db", "OPTIONS": {"sslmode": "prefer"}},
            "host=db dbname=app sslmode=require",
        ),
        ("mysql", {"NAME": "a/b", "USER": "u", "PASSWORD": "p:@/w"}, "u:p:@/w@tcp(127.0.0.1:3306)/a%2Fb"),
        ("mysql", {"NAME": "app", "USER": "u", "HOST": "/run/m.sock"}, "u@unix(/run/m.sock)/app"),
        ("sqlite", {"NAME": "/x/db.sqlite3"}, "/x/db.sqlite3"),
    ],
)
def test_dsn(dialect, settings, want):
    d = dsn_of(dialect, settings)
    assert d.text == want
    assert d.has_password == ("PASSWORD" in settings)
    assert settings.get("PASSWORD", "\0") not in d.shown


@pytest.mark.parametrize(
    ("dialect", "settings"),
    [
        ("postgres", {}),
        ("mysql", {}),
        ("sqlite", {"NAME": ":memory:"}),
        ("sqlite", {"NAME": "file:x?mode=memory"}),
    ],
)
def test_no_dsn(dialect, settings):
    with pytest.raises(sql.CannotDescribe):
        dsn_of(dialect, settings)


def test_a_password_is_never_in_the_document(folder, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", "s3cr3t pass")
    monkeypatch.setattr(
        "django_grantor.management.commands.grantor_config.dsn_of",
        lambda dialect, s: dsn_of("postgres", {**s, "NAME": "app"}),
    )
    text, err = run()
    assert "s3cr3t" not in text + err
    assert 'dsn_file = "/run/secrets/grantor-dsn"' in text
    text, err = run("--secrets-dir", str(folder))
    assert "s3cr3t" not in text + err
    assert "'s3cr3t pass'" in (folder / "dsn").read_text()


def ask(query, value):
    """Run a query as Grantor does, with its one parameter."""
    q = (
        query.replace("$1", "%(v)s")
        if connection.vendor == "postgresql"
        else query.replace("%", "%%").replace("?", "%s")
    )
    with connection.cursor() as c:
        c.execute(q, {"v": value} if connection.vendor == "postgresql" else [value])
        names = [d[0] for d in c.description]
        return [dict(zip(names, (None if v is None else str(v) for v in row))) for row in c.fetchall()]


@pytest.mark.django_db
def test_the_database_answers_the_queries():
    ada = User.objects.create_user("ada", "ada@example.com", "x")
    User.objects.create_user("eve", "eve@example.com", is_active=False)
    root = User.objects.create_superuser("root")
    ada.groups.add(Group.objects.create(name="Edi'tors"))
    root.groups.add(Group.objects.create(name="A\\B"))
    q = queries(User, connection, **ALL)
    want = {
        "id": str(ada.pk),
        "username": "ada",
        "password": ada.password,
        "scope": "orders:read orders:write",
    }
    assert ask(q.query, "ada") == [want]
    assert ask(q.recheck, str(ada.pk)) == [want]
    assert ask(q.query, "root")[0]["scope"] == "orders:read orders:admin"
    for query, value in (
        *(
            [] if connection.vendor == "mysql" else [(q.query, "ADA")]
        ),  # whose collations ignore case, for Django too
        (q.query, "eve"),
        (q.query, "x' OR '1'='1"),
        (q.recheck, "abc"),
        (q.recheck, ""),
        (q.recheck, "9" * 30),
        (q.recheck, "-1"),
        (q.recheck, str(User.objects.get(username="eve").pk)),
    ):
        assert ask(query, value) == [], (query, value)
    bob = User.objects.create_user("bob")
    assert ask(q.query, "bob") == [
        {"id": str(bob.pk), "username": "bob", "password": bob.password, "scope": None}
    ]
    q = queries(User, connection, login_field="email", ignore_case=True)
    assert ask(q.query, "ADA@example.com")[0]["username"] == "ada@example.com"


@pytest.mark.django_db
def test_models_of_other_shapes():
    mail = MailUser.objects.create(email="m@example.com", password="h")
    q = queries(MailUser, connection)
    assert ask(q.query, "m@example.com") == [
        {"id": str(mail.pk), "username": "m@example.com", "password": "h"}
    ]
    assert ask(q.recheck, str(mail.pk))[0]["id"] == str(mail.pk)
    assert ask(q.recheck, str(uuid.uuid4())) == ask(q.recheck, "x") == []
    PlainUser.objects.create(code="p-1", login="plain", password="h")
    q = queries(PlainUser, connection)
    assert (
        ask(q.query, "plain")
        == ask(q.recheck, "p-1")
        == [{"id": "p-1", "username": "plain", "password": "h"}]
    )
    with pytest.raises(sql.CannotDescribe, match="has no groups"):
        queries(PlainUser, connection, **ALL)
    e = Employee.objects.create(username="emp", badge="b-7", is_superuser=True)
    q = queries(Employee, connection, login_field="badge", **ALL)
    assert (
        ask(q.query, "b-7")
        == ask(q.recheck, str(e.pk))
        == [{"id": str(e.pk), "username": "b-7", "password": "", "scope": "orders:admin"}]
    )
    assert get_user_model() is User
