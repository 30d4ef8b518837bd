"""Has django-oauth-toolkit and djangorestframework-api-key make clients and keys, and prints the dumps and the secrets."""

import io
import json

import django
from django.conf import settings

HASHERS = ["pbkdf2_sha256", "pbkdf2_sha1", "argon2", "bcrypt_sha256", "bcrypt", "scrypt"]

settings.configure(
    SECRET_KEY="of a test",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "oauth2_provider",
        "rest_framework_api_key",
    ],
    PASSWORD_HASHERS=[
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
        "django.contrib.auth.hashers.Argon2PasswordHasher",
        "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
        "django.contrib.auth.hashers.BCryptPasswordHasher",
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ],
    OAUTH2_PROVIDER={"OAUTH2_BACKEND_CLASS": "oauth2_provider.oauth2_backends.OAuthLibCore"},
    ROOT_URLCONF="__main__",
    USE_TZ=True,
)
django.setup()

from datetime import timedelta  # noqa: E402

from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402
from oauth2_provider.generators import generate_client_secret  # noqa: E402
from oauth2_provider.models import Application  # noqa: E402
from oauth2_provider.settings import oauth2_settings  # noqa: E402
from rest_framework_api_key.models import APIKey  # noqa: E402

urlpatterns = []
call_command("migrate", verbosity=0)
secrets = {}


def application(name, hasher=None, **fields):
    secret = fields.pop("secret", None) or generate_client_secret()
    if hasher == "bcrypt":
        secret = secret[:72]  # bcrypt looks at no more, and its newest release refuses more
    oauth2_settings.CLIENT_SECRET_HASHER = hasher or "default"
    kind = {"client_type": "confidential", "authorization_grant_type": "client-credentials"} | fields
    app = Application(client_id=name, name=f"The {name}", client_secret=secret, **kind)
    app.save()
    secrets[name] = secret


for hasher in HASHERS:
    application(hasher.replace("_", "-"), hasher)
application("chosen", "pbkdf2_sha256", secret="sunshine")
application("clear", hash_client_secret=False)
application("clear-chosen", hash_client_secret=False, secret="moonlight")
application("md5", "md5")
application("site", authorization_grant_type="authorization-code", redirect_uris="https://shop.example.com/cb")
application("app", client_type="public", authorization_grant_type="password", redirect_uris="https://shop.example.com/cb")

keys = {}
for name, fields in {
    "partner": {},
    "partner that ends": {"expiry_date": timezone.now() + timedelta(days=30)},
    "revoked": {"revoked": True},
    "expired": {"expiry_date": timezone.now() - timedelta(days=1)},
}.items():
    key, text = APIKey.objects.create_key(name=name, **fields)
    keys[name] = text


def dump(model):
    out = io.StringIO()
    call_command("dumpdata", model, format="json", stdout=out)
    return out.getvalue()


print(
    json.dumps(
        {
            "applications": dump("oauth2_provider.application"),
            "keys": dump("rest_framework_api_key.apikey"),
            "secrets": secrets,
            "texts": keys,
        }
    )
)
