"""The API under load: one view, and the authentication that BENCH_WAY names."""

import os

import django
from django.conf import settings

WAY = os.environ["BENCH_WAY"]
ISSUER = os.environ["BENCH_ISSUER"]
AUDIENCE = "https://api.example.com"
CLASSES = {
    "none": [],
    "token": ["rest_framework.authentication.TokenAuthentication"],
    "simplejwt": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "dot": ["oauth2_provider.contrib.rest_framework.OAuth2Authentication"],
}
GRANTOR = {
    "ISSUER": ISSUER,
    "AUDIENCE": AUDIENCE,
    "CLIENT_ID": "bench-api",
    "CLIENT_SECRET": os.environ["BENCH_SECRET"],
    "MODE": WAY if WAY in ("introspection", "jwt", "live") else "introspection",
}

if not settings.configured:
    settings.configure(
        SECRET_KEY="a secret of this benchmark alone",  # noqa: S106
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="bench_urls",
        USE_TZ=True,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "rest_framework",
            "rest_framework.authtoken",
            "oauth2_provider",
            "django_grantor",
        ],
        MIDDLEWARE=[],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "postgres",
                "USER": "postgres",
                "HOST": os.environ["BENCH_POSTGRES"],
                "CONN_MAX_AGE": 600,
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": CLASSES.get(
                WAY, ["django_grantor.authentication.GrantorAuthentication"]
            ),
            "DEFAULT_PERMISSION_CLASSES": [
                f"rest_framework.permissions.{'AllowAny' if WAY == 'none' else 'IsAuthenticated'}"
            ],
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        },
        OAUTH2_PROVIDER={
            "RESOURCE_SERVER_INTROSPECTION_URL": ISSUER + "/oauth2/introspect",
            "RESOURCE_SERVER_INTROSPECTION_CREDENTIALS": ("bench-api", os.environ["BENCH_SECRET"]),
        },
        GRANTOR=GRANTOR,
    )
    django.setup()

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
