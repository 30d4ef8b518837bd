"""What ``manage.py check`` tells about the settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured

from .conf import Config, get_config


@register()
def check_settings(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Tell the mistakes of GRANTOR, and what makes refusals wrong."""
    if not hasattr(settings, "GRANTOR"):
        return [
            checks.Warning(
                "django_grantor is installed, and settings have no GRANTOR",
                hint='GRANTOR = {"ISSUER": "https://auth.example.com", "CLIENT_ID": …, …}',
                id="django_grantor.W001",
            )
        ]
    try:
        config = get_config()
    except ImproperlyConfigured as e:
        return [Error(str(e), id="django_grantor.E001")]
    return [
        *_check_user_field(config),
        *_check_mode(config),
        *_check_bound(config),
        *_check_cache(config),
        *_check_order(),
    ]


def _check_user_field(config: Config) -> list[CheckMessage]:
    from django.contrib.auth import get_user_model

    if config.user_field == "pk":
        return []
    model = get_user_model()
    try:
        field = model._meta.get_field(config.user_field)
    except FieldDoesNotExist:
        return [
            Error(
                f"GRANTOR: USER_FIELD {config.user_field!r} is no field of {model.__name__}",
                id="django_grantor.E002",
            )
        ]
    if not getattr(field, "unique", False):
        return [Error(f"GRANTOR: USER_FIELD {config.user_field!r} is not unique", id="django_grantor.E003")]
    if config.user_field == getattr(model, "USERNAME_FIELD", ""):
        return [
            checks.Warning(
                f"GRANTOR: USER_FIELD {config.user_field!r} is what users log in with: whoever gets a"
                " name that became free gets its tokens too (RFC 9700 §4.15)",
                hint='Use "pk", or another field that never changes.',
                id="django_grantor.W003",
            )
        ]
    return []


def _check_mode(config: Config) -> list[CheckMessage]:
    if not config.checks_jwt:
        return []
    try:
        from . import jwt_verifier  # noqa: F401 (its import is the check)
    except ImproperlyConfigured as e:
        return [Error(str(e), id="django_grantor.E004")]
    return []


def _check_bound(config: Config) -> list[CheckMessage]:
    try:
        if config.dpop:
            from . import dpop  # noqa: F401 (its import is the check)
        if config.client_cert_header:
            from . import certificates  # noqa: F401 (likewise)
    except ImproperlyConfigured as e:
        return [Error(str(e), id="django_grantor.E005")]
    return []


def _check_cache(config: Config) -> list[CheckMessage]:
    """Look at what remembers used proofs (RFC 9449 §11.1)."""
    if not config.dpop:
        return []
    listed = getattr(settings, "CACHES", {})
    if config.dpop_cache not in listed:
        return [
            Error(f"GRANTOR: DPOP_CACHE {config.dpop_cache!r} is none of CACHES", id="django_grantor.E006")
        ]
    kind = str(listed[config.dpop_cache].get("BACKEND", "")).rpartition(".")[2]
    if kind == "DummyCache":
        return [
            Error(
                f"GRANTOR: the cache {config.dpop_cache!r} keeps nothing, so no proof could be known again",
                hint="Let DPOP_CACHE name a cache of Redis or Memcached.",
                id="django_grantor.E007",
            )
        ]
    if kind in ("LocMemCache", "FileBasedCache", "DatabaseCache"):
        return [
            checks.Warning(
                "GRANTOR: each process remembers the DPoP proofs that it saw: a copied proof is good once"
                " at each"
                if kind == "LocMemCache"
                else f"GRANTOR: {kind} forgets what is beyond MAX_ENTRIES: used DPoP proofs are good again",
                hint="Let DPOP_CACHE name a cache of Redis or Memcached, which all processes share.",
                id="django_grantor.W004",
            )
        ]
    return []


def _check_order() -> list[CheckMessage]:
    listed = list(getattr(settings, "REST_FRAMEWORK", {}).get("DEFAULT_AUTHENTICATION_CLASSES", []))
    ours = "django_grantor.authentication.GrantorAuthentication"
    if ours in listed and listed[0] != ours:
        return [
            checks.Warning(
                "GrantorAuthentication is not the first of DEFAULT_AUTHENTICATION_CLASSES: Django REST"
                " framework takes the challenge of a 401 from the first, and answers 403 where that has none",
                hint="Put GrantorAuthentication first: it leaves other requests to the next.",
                id="django_grantor.W002",
            )
        ]
    return []
