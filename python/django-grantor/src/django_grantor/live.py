"""Asks about a token once, and knows of its end in time by the revocation feed."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from .conf import Config
from .feed import Follower, Mark, Stats
from .token import Token
from .transport import Answer
from .verifiers import Introspection, Metadata, from_holder


@dataclass(frozen=True)
class _Kept:
    token: Token
    mark: Mark
    until: float  # by the wall clock


class Live:
    """The verifier of MODE "live". While the feed is not fresh it asks about each token."""

    def __init__(self, config: Config, asking: Introspection, metadata: Metadata) -> None:
        self._config, self._asking = config, asking
        self._follower = Follower(config, metadata)
        self.hits = self.asks = 0  # about: threads may count at the same moment
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._kept: dict[bytes, _Kept] = {}

    def verify(self, token: str) -> Token:
        """Answer from memory, or ask."""
        if self._pid != os.getpid():
            self._begin()
        key = hashlib.sha256(token.encode()).digest()
        kept = self._kept.get(key)
        if kept is not None and self._is_good(kept):
            self.hits += 1
            return from_holder(kept.token)
        self.asks += 1
        return from_holder(self._ask_and_keep(key, token))

    def _is_good(self, kept: _Kept) -> bool:
        token = kept.token
        return time.time() < kept.until and self._follower.may_use(token.names, token.issued_at, kept.mark)

    def _ask_and_keep(self, key: bytes, text: str) -> Token:
        mark = self._follower.mark()
        self._follower.is_fresh()  # begins the polls
        try:
            token, said, answer = self._asking.ask(text, follow="true")
        except BaseException:
            self._drop(key)
            raise
        if self._may_keep(token, said, mark):
            self._keep(key, _Kept(token, mark, _until(token, answer)))
        else:
            self._drop(key)
        return token

    def _may_keep(self, token: Token, said: Mapping[str, Any], mark: Mark) -> bool:
        if token.issuer != self._config.issuer:
            return False
        if not isinstance(said.get("position"), str) or not said["position"]:
            return False  # the server does not know what follow means
        return self._follower.may_keep(token.names, token.issued_at, mark)

    def _keep(self, key: bytes, kept: _Kept) -> None:
        with self._lock:
            self._kept.pop(key, None)
            while self._kept and len(self._kept) >= self._config.max_kept:
                del self._kept[next(iter(self._kept))]
            if self._config.max_kept:
                self._kept[key] = kept

    def _drop(self, key: bytes) -> None:
        with self._lock:
            self._kept.pop(key, None)

    def stats(self) -> Stats:
        """Return the state of the follower."""
        return self._follower.stats()

    def close(self) -> None:
        """End the thread and close the kept connections."""
        self._follower.close()
        self._asking.close()


#: How long an answer is remembered at most, in seconds. An API key may live for years, and a name that
#: ended is remembered for a day.
_MAX_KEPT = 3600.0


def _until(token: Token, answer: Answer) -> float:
    """Return exp by this clock, or by the server's where this clock is late; an hour from now at most."""
    at = time.time()
    if not token.expires_at:
        return at + _MAX_KEPT
    try:
        date = parsedate_to_datetime(answer.header("date")).timestamp()
    except (TypeError, ValueError):
        date = at
    return min(at + _MAX_KEPT, token.expires_at, at + token.expires_at - date - 1)
