"""Follows the revocation feed: a thread of each process learns which tokens have ended.

The promise: once Grantor answered 200 to a revocation, logout or another end, no check that begins
more than a lease later lets the token pass from memory. A follower that cannot keep the promise is
stale, and tokens are asked about. No clock need be right: a lease counts from the sending of a poll.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

from .conf import Config
from .transport import Transport, TransportError, TransportTimeout
from .verifiers import Metadata, Unavailable, basic, json_of

log = logging.getLogger("django_grantor")

#: Names of what has no name of its own. OTHER_RULES: answers may say less now, and no token ended.
#: NAMELESS: some tokens ended.
OTHER_RULES, NAMELESS = "*", "?"
#: How long an ended name is remembered, in seconds: as long as any access token may live, and two minutes.
RETENTION = 24 * 3600.0 + 120.0
#: How many ended names are remembered.
MAX_ENDED = 100_000
#: The most bytes of one answer of the feed.
MAX_ANSWER = 8 << 20

_DEFAULT_LEASE, _MAX_LEASE = 1.0, 60.0
_STALE_TIMEOUT, _MAX_TIMEOUT = 2.0, 20.0  # of a poll on whose answer no lease hangs
_MAX_BACK_OFF, _REFUSED_BACK_OFF = 4.0, 10.0
_END_DELAY = 10.0  # between the name of an end and the end, at most


class Moment(NamedTuple):
    """An instant by two clocks. The wall clock may be set; the steady one may not move in a sleep."""

    wall: float
    steady: float

    def plus(self, seconds: float) -> Moment:
        """Return the moment that is later by so much."""
        return Moment(self.wall + seconds, self.steady + seconds)

    def is_before(self, other: Moment) -> bool:
        """Say whether this comes first by both clocks."""
        return self.wall < other.wall and self.steady < other.steady


def now() -> Moment:
    """Return this moment."""
    return Moment(time.time(), time.monotonic())


class Mark(NamedTuple):
    """When a question was sent."""

    generation: int
    steady: float


@dataclass(frozen=True)
class Stats:
    """The state of a follower, for metrics. age: seconds since the poll was sent that the lease rests on."""

    fresh: bool
    age: float
    ended: int
    resets: int
    polls: int
    failures: int
    error: str


class RefusedError(Exception):
    """The feed answered with a status of 4xx."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the server answers {status}")
        self.status = status


class Follower:
    """Follows the feed of one issuer. Any number of threads may ask it; one thread writes."""

    def __init__(self, config: Config, metadata: Metadata) -> None:
        self._config, self._metadata = config, metadata
        self._headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": basic(config.client_id, config.client_secret),
        }
        self._transport = Transport(ca_file=config.ca_file, max_idle=1)
        self._begin()
        _followers.add(self)

    def _begin(self) -> None:
        """Know nothing, as at the start and after a fork."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._pid = os.getpid()
        # What checks read: the lease first, the generation last. The thread writes the lease last: who sees
        # a lease sees all that it rests on.
        self._lease: tuple[Moment, Moment] | None = None  # sent, until
        self.generation = (
            getattr(self, "generation", -1) + 1
        )  # answers that were asked for in another one are not used
        self._ended: dict[
            str, float
        ] = {}  # when each name was heard of last; who was heard of first is first
        self._not_before = 0.0
        self._keep_from = float("-inf")  # answers that were asked for before are not kept
        # The thread's own.
        self._position = ""
        self._server_lease = _DEFAULT_LEASE
        self._failing = self._resets = self._polls = self._failures = 0
        self._error = ""

    def after_fork(self) -> None:
        """Begin anew in a process that was forked: the thread is its parent's."""
        self._begin()

    def close(self) -> None:
        """End the thread. The follower is stale, until the next check begins it anew."""
        self._closed.set()
        self._lease = None
        self._transport.close()

    def is_fresh(self) -> bool:
        """Say whether the follower knows of every end. It comes first in each check."""
        if self._pid != os.getpid():
            self._begin()
        lease = self._lease
        if lease is not None and now().is_before(lease[1]):
            return True
        self._start()
        return False

    def mark(self) -> Mark:
        """Return what a question remembers of its sending."""
        return Mark(self.generation, time.monotonic())

    def may_use(self, names: Iterable[str], issued_at: float, mark: Mark) -> bool:
        """Say whether an answer to a question of mark is good now, without asking again."""
        if not self.is_fresh() or self.has_ended(names, issued_at):
            return False
        return mark.generation == self.generation  # last: it changes before names are forgotten

    def has_ended(self, names: Iterable[str], issued_at: float) -> bool:
        """Say whether a name has ended, or the token by not_before. A name never un-ends."""
        ended = self._ended
        return any(n in ended for n in names) or issued_at < self._not_before

    def may_keep(self, names: tuple[str, ...], issued_at: float, mark: Mark) -> bool:
        """Say whether an answer to a question of mark may be kept."""
        return bool(names) and mark.steady >= self._keep_from and self.may_use(names, issued_at, mark)

    def stats(self) -> Stats:
        """Return the state."""
        lease, at = self._lease, now()
        age = max(at.wall - lease[0].wall, at.steady - lease[0].steady) if lease else 0.0
        fresh = lease is not None and at.is_before(lease[1])
        return Stats(fresh, age, len(self._ended), self._resets, self._polls, self._failures, self._error)

    def _start(self) -> None:
        if self._runs():
            return
        with self._lock:
            if self._runs():
                return
            closed = threading.Event()
            thread = threading.Thread(
                target=self._follow, args=(closed,), name="django-grantor-feed", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as e:  # the system has no more threads, or the interpreter ends
                self._error = f"the thread cannot be started: {e}"
                return
            self._closed, self._thread = closed, thread

    def _runs(self) -> bool:
        return self._thread is not None and self._thread.is_alive() and not self._closed.is_set()

    def _follow(self, closed: threading.Event) -> None:
        while not closed.is_set():
            try:
                pause = self._turn(closed)
            except Exception:
                log.exception("the revocation feed: a poll failed for a reason of its own")
                pause = _MAX_BACK_OFF
            closed.wait(pause)

    def _turn(self, closed: threading.Event) -> float:
        """Poll once. Return how long to wait."""
        self._polls += 1
        try:
            pause = self._poll(closed)
        except (TransportError, Unavailable, RefusedError) as e:
            self._failing += 1
            self._failures += 1
            if not self._error:
                log.warning("the revocation feed cannot be read: %s", e)
            self._error = str(e)
            return self._back_off(e)
        if self._error:
            log.info("the revocation feed is read again")
        self._failing, self._error = 0, ""
        return pause

    def _poll(self, closed: threading.Event) -> float:
        url = self._metadata.endpoint("revocation_feed_endpoint")
        echo = secrets.token_urlsafe(16)
        body = urlencode({"after": self._position, "echo": echo}).encode()
        sent = now()
        answer = self._transport.request(
            "POST", url, headers=self._headers, body=body, timeout=self._timeout(sent), max_answer=MAX_ANSWER
        )
        if 400 <= answer.status < 500:
            self._refused(answer.status)
            raise RefusedError(answer.status)
        said = _PollAnswer.read(json_of(answer), echo, self._position)
        if closed.is_set():
            return 0.0
        moved = said.position != self._position
        self._apply(said, sent)
        return self._pause(said, moved, time.monotonic() - sent.steady)

    def _timeout(self, at: Moment) -> float:
        """While a lease runs, half of it: a poll that hangs is given up while there is time for another."""
        lease = self._lease
        if lease is not None and at.is_before(lease[1]):
            return self._server_lease / 2
        longer = max(self._server_lease, _STALE_TIMEOUT) * float(2 ** min(self._failing, 4))
        return min(longer, _MAX_TIMEOUT)

    def _apply(self, said: _PollAnswer, sent: Moment) -> None:
        """Take an answer. The lease comes last."""
        steady = time.monotonic()
        self._server_lease = min(said.lease, _MAX_LEASE)
        if said.reset:
            self._lease = None
            self._drop_answers()
        for name in said.ended:
            if name in (OTHER_RULES, NAMELESS):
                self._ask_anew(steady, _END_DELAY if name == NAMELESS else 0.0)
            else:
                self._ended[name] = steady
        self._trim(steady)
        self._not_before = said.not_before
        self._position = said.position
        if said.complete:
            length = min(self._server_lease, self._config.max_lease or self._server_lease)
            self._lease = (sent, sent.plus(length))

    def _trim(self, steady: float) -> None:
        """Forget names that no living token can have, and, where there are too many, the oldest."""
        over = len(self._ended) - MAX_ENDED
        if over > 0:
            self._ask_anew(steady, _END_DELAY)
            over += MAX_ENDED // 8
        while self._ended:
            oldest = next(iter(self._ended))
            if over <= 0 and steady - self._ended[oldest] < RETENTION:
                return
            del self._ended[oldest]
            over -= 1

    def _drop_answers(self) -> None:
        """End the use of all answers that are kept or being asked for."""
        self.generation += 1
        self._resets += 1

    def _ask_anew(self, steady: float, delay: float) -> None:
        """Drop every answer. Keep another only if the question came so late that the node that answers
        knew: a lease later, and delay, in which an end may come after its name."""
        self._keep_from = max(self._keep_from, steady + self._server_lease + delay)
        self._drop_answers()

    def _refused(self, status: int) -> None:
        if status in (401, 403):  # this client must not know any more
            self._lease = None
        if status == 400 and self._position:  # it is no position of this server: begin anew
            self._position = ""
            self._lease = None
            self._drop_answers()

    def _pause(self, said: _PollAnswer, moved: bool, took: float) -> float:
        """The server holds a poll until there is something to tell. Those that it held spread out."""
        jitter = random.uniform(0, self._server_lease / 32)  # noqa: S311
        if not said.complete or moved:
            return 0.0
        return jitter + (self._server_lease / 8 if took < self._server_lease / 8 else 0.0)

    def _back_off(self, error: Exception) -> float:
        """How long to wait after a failure: not at all when a poll hung the first time."""
        lasting = isinstance(error, RefusedError) and error.status not in (400, 429)
        if lasting or "revocation_feed_endpoint" in str(error):
            return _REFUSED_BACK_OFF * random.uniform(1, 2)  # noqa: S311
        if isinstance(error, TransportTimeout) and self._failing == 1:
            return 0.0
        limit = min(self._server_lease / 4 * 2 ** min(self._failing - 1, 10), _MAX_BACK_OFF)
        return random.uniform(0, limit)  # noqa: S311


@dataclass(frozen=True)
class _PollAnswer:
    position: str
    lease: float
    complete: bool
    reset: bool
    not_before: float
    ended: list[str]

    @classmethod
    def read(cls, said: Mapping[str, Any], echo: str, before: str) -> _PollAnswer:
        """Read an answer. Raise Unavailable where it is not to this poll, or says nothing."""
        position, lease, ended = said.get("position"), _number(said.get("lease")), said.get("ended") or []
        complete, reset = said.get("complete") is True, said.get("reset") is True
        not_before = _number(said.get("not_before") or 0)
        if said.get("echo") != echo:
            raise Unavailable("the answer is to another poll: something on the way repeats or caches answers")
        if not isinstance(position, str) or not position or lease is None or lease <= 0:
            raise Unavailable("the answer has no position or no lease")
        if not isinstance(ended, list) or not all(isinstance(n, str) for n in ended) or not_before is None:
            raise Unavailable("the answer has members of a wrong type")
        if not complete and position == before:
            raise Unavailable("the answer is not complete and leads no further")
        return cls(position, lease, complete, reset, not_before, ended)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


_followers: weakref.WeakSet[Follower] = weakref.WeakSet()


def _after_fork() -> None:
    for f in list(_followers):
        f.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
