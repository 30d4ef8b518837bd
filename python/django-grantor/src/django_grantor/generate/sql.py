"""The queries of [users.sql] for a project's user model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models

#: Grantor's name of a database, by Django's.
DIALECTS = {"postgresql": "postgres", "mysql": "mysql", "sqlite": "sqlite"}
_MARK = {"postgres": "$1", "mysql": "?", "sqlite": "?"}
_INTEGERS = [
    "AutoField",
    "BigAutoField",
    "SmallAutoField",
    "IntegerField",
    "BigIntegerField",
    "SmallIntegerField",
    "PositiveIntegerField",
    "PositiveBigIntegerField",
    "PositiveSmallIntegerField",
]

#: A text as a bigint, NULL where it is none or is beyond it.
_POSTGRES_INTEGER = (
    "CASE WHEN $1::text ~ '^-?[0-9]{1,19}$' THEN CASE WHEN $1::text::numeric"
    " BETWEEN -9223372036854775808 AND 9223372036854775807 THEN $1::text::bigint END END"
)


class CannotDescribe(Exception):
    """The user model, or its database, is none that [users.sql] can read."""


@dataclass(frozen=True)
class Wanted:
    """What the queries are to do.

    id_field: what becomes the token's sub. login_field: what users log in with.
    group_scopes: scopes of those who are in a group, by its name. superuser_scope: of superusers.
    """

    id_field: str = "pk"
    login_field: str = ""
    ignore_case: bool = False
    group_scopes: Mapping[str, str] = field(default_factory=dict)
    superuser_scope: str = ""


@dataclass(frozen=True)
class Queries:
    """The two queries, and what a role of the database must be able to read: columns by table."""

    dialect: str
    query: str
    recheck: str
    columns: Mapping[str, tuple[str, ...]]


def queries(model: Any, connection: Any, wanted: Wanted) -> Queries:
    """Return the queries for a user model in the database of a connection."""
    return _Writer(model, connection, wanted).write()


class _Writer:
    def __init__(self, model: Any, connection: Any, wanted: Wanted) -> None:
        if connection.vendor not in DIALECTS:
            raise CannotDescribe(
                f"[users.sql] reads PostgreSQL, MySQL, MariaDB and SQLite, not {connection.vendor}: let the"
                ' application answer for itself, by [users] source = "http"'
            )
        self.model, self.connection, self.wanted = model, connection, wanted
        self.dialect = DIALECTS[connection.vendor]
        self.mark = _MARK[self.dialect]
        self.aliases: dict[Any, str] = {model: "u"}
        self.joins: list[str] = []
        self.columns: dict[str, set[str]] = {}

    def write(self) -> Queries:
        login = self.field(self.wanted.login_field or self.model.USERNAME_FIELD)
        key = self.model._meta.pk if self.wanted.id_field == "pk" else self.field(self.wanted.id_field)
        key = self._root(key)
        selected = [
            f"{self.id_text(key)} AS id",
            f"{self.column(login)} AS username",
            f"{self.column(self.field('password'))} AS password",
        ]
        if scope := self.scope():
            selected.append(f"{scope} AS scope")
        active = self.active()
        by_name, by_id = self.same_name(login), self.same_id(key)
        head = f"SELECT {', '.join(selected)}\nFROM {self.table(self.model)} u{''.join(self.joins)}"
        return Queries(
            self.dialect,
            f"{head}\nWHERE {by_name}{active}",
            f"{head}\nWHERE {by_id}{active}",
            {t: tuple(sorted(c)) for t, c in self.columns.items()},
        )

    def field(self, name: str) -> Any:
        try:
            found = self.model._meta.get_field(name)
        except FieldDoesNotExist:
            raise CannotDescribe(f"{self.model.__name__} has no field {name!r}") from None
        if not getattr(found, "concrete", False) or found.many_to_many:
            raise CannotDescribe(f"{self.model.__name__}.{name} is no column")
        return found

    def _root(self, key: Any) -> Any:
        """Follow the link of a model that inherits a table to the key that it holds."""
        while key.remote_field is not None and isinstance(key, models.OneToOneField):
            key = key.remote_field.get_related_field()
        return key

    def quote(self, name: str) -> str:
        return str(self.connection.ops.quote_name(name))

    def table(self, model: Any) -> str:
        return self.quote(model._meta.db_table)

    def column(self, found: Any) -> str:
        """Return a column, and join the table of a parent that holds it."""
        owner = found.model._meta.concrete_model
        if owner not in self.aliases:
            self.join(owner)
        self.note(owner._meta.db_table, found.column)
        return f"{self.aliases[owner]}.{self.quote(found.column)}"

    def note(self, table: str, column: str) -> None:
        self.columns.setdefault(table, set()).add(column)

    def join(self, owner: Any) -> None:
        below = self.model
        for parent in self.model._meta.get_base_chain(owner):
            link = below._meta.get_ancestor_link(parent)
            if parent not in self.aliases:
                alias = self.aliases[parent] = f"p{len(self.aliases)}"
                on = f"{alias}.{self.quote(parent._meta.pk.column)} = {self.column(link)}"
                self.note(parent._meta.db_table, parent._meta.pk.column)
                self.joins.append(f"\nJOIN {self.table(parent)} {alias} ON {on}")
            below = parent

    def active(self) -> str:
        try:
            return f" AND {self.column(self.field('is_active'))}"
        except CannotDescribe:
            return ""

    def hexadecimal(self, key: Any) -> bool:
        """Say whether a UUID is kept as 32 digits."""
        native = self.connection.features.has_native_uuid_field
        return key.get_internal_type() == "UUIDField" and not native

    def id_text(self, key: Any) -> str:
        column = self.column(key)
        if not self.hexadecimal(key):
            return column
        parts = [
            f"SUBSTR({column}, {start}, {size})"
            for start, size in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        ]
        if self.dialect == "mysql":
            return f"CONCAT_WS('-', {', '.join(parts)})"
        return " || '-' || ".join(parts)

    def same_id(self, key: Any) -> str:
        """Compare so that an index serves, and a text that is no key of this type finds nobody."""
        column, kind = self.column(key), key.get_internal_type()
        if self.hexadecimal(key):
            return f"{column} = REPLACE({self.mark}, '-', '')"
        if self.dialect == "postgres" and kind in _INTEGERS:
            return f"{column} = {_POSTGRES_INTEGER}"
        if self.dialect == "postgres" and kind == "UUIDField":
            return f"{column} = CASE WHEN $1::text ~ '^[0-9a-f-]{{36}}$' THEN $1::text::uuid END"
        return f"{column} = {self.mark}"

    def same_name(self, login: Any) -> str:
        column = self.column(login)
        if self.wanted.ignore_case:
            return f"UPPER({column}) = UPPER({self.mark})"  # Django's iexact, for which an index can be made
        return f"{column} = {self.mark}"

    def scope(self) -> str:
        pieces = [self.group(name, scope) for name, scope in self.wanted.group_scopes.items()]
        if self.wanted.superuser_scope:
            flag = self.column(self.field("is_superuser"))
            pieces.append(f"CASE WHEN {flag} THEN {self.text(' ' + self.wanted.superuser_scope)} ELSE '' END")
        if not pieces:
            return ""
        joined = f"CONCAT({', '.join(pieces)})" if self.dialect == "mysql" else " || ".join(pieces)
        return f"NULLIF(TRIM({joined}), '')"

    def group(self, name: str, scope: str) -> str:
        try:
            groups = self.model._meta.get_field("groups")
        except FieldDoesNotExist:
            raise CannotDescribe(f"{self.model.__name__} has no groups") from None
        through, group = groups.m2m_db_table(), groups.remote_field.model
        mine, theirs = groups.m2m_column_name(), groups.m2m_reverse_name()
        named, key = group._meta.get_field("name").column, group._meta.pk
        for table, column in (
            (through, mine),
            (through, theirs),
            (group._meta.db_table, named),
            (group._meta.db_table, key.column),
        ):
            self.note(table, column)
        owner = groups.model._meta.concrete_model
        me = self.column(owner._meta.pk)
        q = self.quote
        return (
            f"CASE WHEN EXISTS (SELECT 1 FROM {q(through)} m JOIN {self.table(group)} g"
            f" ON g.{q(key.column)} = m.{q(theirs)}"
            f" WHERE m.{q(mine)} = {me} AND g.{q(named)} = {self.text(name)})"
            f" THEN {self.text(' ' + scope)} ELSE '' END"
        )

    def text(self, value: str) -> str:
        """Return a literal of SQL."""
        if self.dialect == "mysql":
            value = value.replace("\\", "\\\\")
        return "'" + value.replace("'", "''") + "'"
