"""Settings for PostgreSQL, several workers, and sessions that end as soon as a user changes."""

import os

from mysite.settings import *  # noqa: F403
from mysite.settings import BASE_DIR, GRANTOR

DEBUG = False
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "127.0.0.1").split(",")
SECRET_KEY = os.environ["SECRET_KEY"]

if "PGHOST" in os.environ:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ.get("PGDATABASE", "postgres"),
            "USER": os.environ.get("PGUSER", "postgres"),
            "HOST": os.environ["PGHOST"],
        }
    }

GRANTOR = {
    **GRANTOR,
    "ISSUER": os.environ["ISSUER"],
    "ADMIN_URL": os.environ["ADMIN_URL"],
    "ADMIN_CLIENT_ID": "mysite-admin",
    "ADMIN_CLIENT_SECRET_FILE": BASE_DIR / "secrets" / "mysite-admin",
}
