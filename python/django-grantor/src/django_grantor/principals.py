"""Who asks: the user of a subject, or a machine."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import Value


class Machine:
    """A client without a user: ``request.user`` of its requests.

    It is authenticated, has no permission of Django's, and is no row of any table: a query for
    objects that belong to it fails. Decide by the scope of its token.
    """

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id

    @property
    def pk(self) -> str:
        """What throttles and logs tell it by. No primary key holds a colon and this word."""
        return f"client:{self.client_id}"

    id = pk  # not None: a query for that finds rows without an owner

    def resolve_expression(self, *args: Any, for_save: bool = False, **kwargs: Any) -> Value:
        """Refuse to be looked for: a key that is a text would be compared with the client id.

        Django's queries call this. A column that is written gets the client id.
        """
        if not for_save:
            raise TypeError(f"{self!r} is no user: decide by the scope of its token")
        return Value(self.client_id)

    @property
    def username(self) -> str:
        """The client id."""
        return self.client_id

    def get_username(self) -> str:
        """Return the client id."""
        return self.client_id

    def __str__(self) -> str:
        return self.client_id

    def __repr__(self) -> str:
        return f"Machine({self.client_id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Machine) and other.client_id == self.client_id

    def __hash__(self) -> int:
        return hash((Machine, self.client_id))

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Say no: scopes are a machine's permissions."""
        return False

    def has_perms(self, perm_list: Any, obj: Any = None) -> bool:
        """Say no: scopes are a machine's permissions."""
        return False

    def has_module_perms(self, app_label: str) -> bool:
        """Say no: scopes are a machine's permissions."""
        return False

    def get_all_permissions(self, obj: Any = None) -> set[str]:
        """Return none."""
        return set()

    get_user_permissions = get_group_permissions = get_all_permissions


def find_user(subject: str, field: str) -> Any | None:
    """Return the active user whose field is the subject, None without one.

    The value must be the subject's very text: a database that reads "1x" or " 1" as 1 finds nobody.
    Errors of the database are raised.
    """
    model: Any = get_user_model()
    try:
        user = model._default_manager.get(**{field: subject})
    except (
        model.DoesNotExist,
        model.MultipleObjectsReturned,
        ValueError,
        TypeError,
        ValidationError,
        OverflowError,
        DataError,
    ):
        return None
    if subject not in subjects(user, field) or not getattr(user, "is_active", True):
        return None
    return user


def subject_of(user: Any, field: str) -> str:
    """Return the subject of a user, as tokens name it."""
    return str(getattr(user, field))


def subjects(user: Any, field: str) -> tuple[str, ...]:
    """Return the texts that name a user: of a UUID also the form without dashes, as SQLite and MySQL
    keep it."""
    value = getattr(user, field)
    return (str(value), value.hex) if isinstance(value, uuid.UUID) else (str(value),)
