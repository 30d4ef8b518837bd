"""Settings where simplejwt checks Grantor's JWTs, without django-grantor's authentication."""

from mysite.settings import *  # noqa: F403

ISSUER = "http://127.0.0.1:8080"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["mysite.users_only.UsersOnly"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}

SIMPLE_JWT = {
    "ALGORITHM": "ES256",  # [tokens] signing_alg of Grantor
    "JWK_URL": f"{ISSUER}/oauth2/jwks",
    "ISSUER": ISSUER,
    "AUDIENCE": "https://api.example.com",
    "USER_ID_CLAIM": "sub",
    "TOKEN_TYPE_CLAIM": None,  # simplejwt's own claim, which Grantor's tokens do not have
}
