"""Ends sessions at Grantor when a user's password changes, or the user is deactivated or deleted.

A queryset's update() and bulk_update() send no signals: call ``django_grantor.sessions.end_sessions``
beside them. Without it Grantor sees the change at the session's next refresh.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_started
from django.db.models.signals import post_save, pre_delete, pre_save

from . import sessions
from .conf import get_config
from .principals import subject_of

_WATCHED = ("password", "is_active")
_MARK = "_grantor_sessions_end"


def connect() -> None:
    """Connect the receivers. Proxies of the user model send signals under their own name."""
    pre_save.connect(before_save, dispatch_uid="django_grantor.pre_save")
    post_save.connect(after_save, dispatch_uid="django_grantor.post_save")
    pre_delete.connect(before_delete, dispatch_uid="django_grantor.pre_delete")
    request_started.connect(look_for_others, dispatch_uid="django_grantor.request_started")


def switched_on() -> bool:
    """Say whether END_SESSIONS is set."""
    try:
        return get_config().end_sessions
    except ImproperlyConfigured:
        return False  # manage.py check tells it


def before_save(
    sender: Any, instance: Any, raw: bool = False, using: str = "", update_fields: Any = None, **kwargs: Any
) -> None:
    """Compare with the row that is there: a changed password hash, or is_active taken away."""
    if raw or instance._state.adding or not isinstance(instance, get_user_model()) or not switched_on():
        return
    saved = [
        f for f in _WATCHED if _has_column(instance, f) and (update_fields is None or f in update_fields)
    ]
    if not saved:
        return  # last_login of each login, above all
    before = type(instance)._base_manager.using(using).filter(pk=instance.pk).values(*saved).first()
    if before is None:
        return
    changed = "password" in before and before["password"] != instance.password
    deactivated = before.get("is_active", False) and not instance.is_active
    setattr(instance, _MARK, bool(changed or deactivated))


def after_save(sender: Any, instance: Any, using: str = "", **kwargs: Any) -> None:
    """Queue the end once the change is written."""
    if instance.__dict__.pop(_MARK, False):
        sessions.end_sessions(subject_of(instance, get_config().user_field), using=using)


def before_delete(sender: Any, instance: Any, using: str = "", **kwargs: Any) -> None:
    """Queue the end while the user still has a primary key."""
    if isinstance(instance, get_user_model()) and switched_on():
        sessions.end_sessions(subject_of(instance, get_config().user_field), using=using)


def look_for_others(**kwargs: Any) -> None:
    """Send, from time to time, what another process left behind."""
    if sessions.worker.is_due() and switched_on():
        sessions.worker.wake()


def _has_column(instance: Any, name: str) -> bool:
    return any(f.attname == name for f in instance._meta.concrete_fields)
