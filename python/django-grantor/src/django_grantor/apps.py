"""The Django application."""

from __future__ import annotations

from importlib.util import find_spec

from django.apps import AppConfig
from django.core.signals import setting_changed


class GrantorConfig(AppConfig):
    """Connects the receivers and the checks."""

    name = "django_grantor"
    verbose_name = "Grantor"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Runs once a process, before the first request."""
        from . import checks, conf, receivers  # noqa: F401 (registers the checks)

        setting_changed.connect(conf.forget_config, dispatch_uid="django_grantor")
        receivers.connect()
        if find_spec("drf_spectacular"):
            from . import spectacular  # noqa: F401 (registers the scheme)
