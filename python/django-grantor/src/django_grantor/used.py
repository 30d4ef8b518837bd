"""Which DPoP proofs were used (RFC 9449 §11.1)."""

from __future__ import annotations

import math
import os
import threading
import time

from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache

#: How many proofs a process remembers where the cache is one of the process.
MAX_REMEMBERED = 200_000


class Forgetful(Exception):
    """The cache cannot say whether a proof was used."""


class Memory:
    """Remembers proofs in this process. A proof that may be among the forgotten ones counts as used."""

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[str, float] = {}
        self._forgotten = 0.0  # what ends until then may have been forgotten

    def add(self, name: str, keep: float) -> bool:
        """Return whether this is the first use."""
        now = time.time()
        end = now + keep
        with self._lock:
            while self._ends:
                first = next(iter(self._ends))
                if self._ends[first] > now and len(self._ends) < self._most:
                    break
                self._forgotten = max(self._forgotten, self._ends.pop(first))
            if name in self._ends or end <= self._forgotten:
                return False
            self._ends[name] = end
            return True


_memory = Memory()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_memory._begin)


def once(alias: str, name: str, keep: float) -> bool:
    """Return whether a proof is used for the first time. Raise Forgetful where that is not known."""
    cache = caches[alias]
    if isinstance(cache, DummyCache):
        raise Forgetful(f"the cache {alias!r} keeps nothing: DPOP_CACHE must name another")
    if isinstance(cache, LocMemCache):  # it drops what it likes beyond 300 entries
        return _memory.add(name, keep)
    try:
        return bool(cache.add(f"grantor.dpop.{name}", 1, timeout=math.ceil(keep)))
    except Exception as e:  # noqa: BLE001 (each backend has errors of its own)
        raise Forgetful(f"the cache {alias!r} could not be asked: {type(e).__name__}") from None
