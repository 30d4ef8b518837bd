"""The project that the tests protect."""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

BASE_DIR = Path(os.environ.get("KIT_TEST_DIR") or tempfile.mkdtemp(prefix="django-grantor-"))
SECRET_KEY = "only for tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "project.urls"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework",
    "django_grantor",
    "project",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "db.sqlite3",
        "TEST": {"NAME": BASE_DIR / "test.sqlite3"},
        "OPTIONS": {"timeout": 20},
    }
}
if folder := os.environ.get("KIT_TEST_POSTGRES"):  # the folder of its socket
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": folder,
    }
if socket := os.environ.get("KIT_TEST_MARIADB"):
    import pymysql

    pymysql.version_info = (2, 2, 8, "final", 0)  # what Django wants of mysqlclient, which needs a compiler
    pymysql.install_as_MySQLdb()
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.mysql",
        "NAME": "app",
        "USER": "root",
        "HOST": socket,
        "TEST": {"CHARSET": "utf8mb4"},
    }
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REST_FRAMEWORK = {
    **(
        {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"} if find_spec("drf_spectacular") else {}
    ),
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "django_grantor.authentication.GrantorAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_RATES": {"client": "3/min"},
}
GRANTOR = {
    "ISSUER": os.environ.get("KIT_TEST_ISSUER", "http://127.0.0.1:1"),
    "CLIENT_ID": "orders-api",
    "CLIENT_SECRET": os.environ.get("KIT_TEST_SECRET", "gcs_none"),
    "AUDIENCE": "https://orders.example.com",
}
