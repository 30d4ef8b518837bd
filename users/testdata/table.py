"""Makes and changes Django's own table of users in PostgreSQL.

table.py SOCKET-FOLDER create|password NAME NEW|deactivate NAME

create prints the names of the users that can log in, a line each.
"""
import sys

import django
from django.conf import settings

socket, command, args = sys.argv[1], sys.argv[2], sys.argv[3:]
hashers = ["PBKDF2", "PBKDF2SHA1", "Argon2", "BCryptSHA256", "BCrypt", "Scrypt"]
hashers = ["django.contrib.auth.hashers.%sPasswordHasher" % h for h in hashers]
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres", "HOST": socket}},
    PASSWORD_HASHERS=hashers[:1],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()
from django.contrib.auth.hashers import check_password  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.utils.module_loading import import_string  # noqa: E402

PASSWORD = "p\u00e4ssw\u00f6rd \u2603 e\u0301"


def create():
    call_command("migrate", verbosity=0)
    for path in hashers:
        try:
            hasher = import_string(path)()
            encoded = hasher.encode(PASSWORD, hasher.salt())
        except (ImportError, ValueError):
            continue  # an older Django, or its library is not installed
        User.objects.create(username=hasher.algorithm, password=encoded)
        print(hasher.algorithm)
    User.objects.create_user("\u00e9va", password=PASSWORD)
    User.objects.create_user("unusable")
    User.objects.create_user("inactive", password=PASSWORD, is_active=False)
    assert check_password(PASSWORD, User.objects.get(username="\u00e9va").password)


def password(name, new):
    user = User.objects.get(username=name)
    user.set_password(new)
    user.save()


def deactivate(name):
    User.objects.filter(username=name).update(is_active=False)


{"create": create, "password": password, "deactivate": deactivate}[command](*args)
