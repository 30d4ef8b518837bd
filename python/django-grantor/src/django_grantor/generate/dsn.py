"""The data source name of [users.sql], from DATABASES of a project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..conf import is_loopback
from .sql import CannotDescribe


@dataclass(frozen=True)
class DSN:
    """A data source name. text: as Grantor takes it. shown: with PASSWORD in the place of a password."""

    text: str
    shown: str

    @property
    def has_password(self) -> bool:
        """Whether text is a secret."""
        return self.text != self.shown


def dsn_of(dialect: str, settings: Mapping[str, Any]) -> DSN:
    """Return the data source name of a database of settings.DATABASES."""
    write = {"postgres": _postgres, "mysql": _mysql, "sqlite": _sqlite}[dialect]
    password = str(settings.get("PASSWORD") or "")
    return DSN(write(settings, password), write(settings, "PASSWORD" if password else ""))


def _postgres(s: Mapping[str, Any], password: str) -> str:
    options = s.get("OPTIONS") or {}
    if not s.get("NAME"):
        raise CannotDescribe("DATABASES names no NAME: write the connection string of PostgreSQL yourself")
    host = str(s.get("HOST") or "/var/run/postgresql")
    mode = options.get("sslmode") or ("disable" if host.startswith("/") or is_loopback(host) else "require")
    if mode == "prefer" or mode == "allow":  # Grantor's driver does not fall back to plain text
        mode = "require"
    pairs = {
        "host": host,
        "port": s.get("PORT"),
        "user": s.get("USER"),
        "password": password,
        "dbname": s["NAME"],
        "sslmode": mode,
        "sslrootcert": options.get("sslrootcert"),
    }
    return " ".join(f"{k}={_value(str(v))}" for k, v in pairs.items() if v)


def _value(text: str) -> str:
    if text and not re.search(r"[\s'\\]", text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _mysql(s: Mapping[str, Any], password: str) -> str:
    if not s.get("NAME"):
        raise CannotDescribe("DATABASES names no NAME: write the data source name of MySQL yourself")
    host = str(s.get("HOST") or "127.0.0.1")
    named = f"[{host}]" if ":" in host else host
    address = f"unix({host})" if host.startswith("/") else f"tcp({named}:{s.get('PORT') or 3306})"
    options = s.get("OPTIONS") or {}
    tls = "?tls=true" if options.get("ssl") or options.get("ssl_mode") else ""
    who = str(s.get("USER") or "") + (f":{password}" if password else "")
    return f"{who}@{address}/{quote(str(s['NAME']), safe='')}{tls}"


def _sqlite(s: Mapping[str, Any], password: str) -> str:
    name = str(s.get("NAME") or "")
    if not name or ":memory:" in name or "mode=memory" in name:
        raise CannotDescribe("the database is in this process's memory, where Grantor cannot read it")
    if name.startswith("file:"):
        return name
    return str(Path(name).resolve())
