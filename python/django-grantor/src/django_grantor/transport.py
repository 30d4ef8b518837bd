"""HTTP/1.1 to the authorization server, over kept connections.

One Transport serves all threads of a process. A connection belongs to one thread while it is in
use. A process that forks begins with no connections of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import select
import socket
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from . import __version__

#: The most that is read of an answer, in bytes.
MAX_ANSWER = 256 << 10
#: How long an idle connection is kept, in seconds: shorter than servers keep theirs.
IDLE_SECONDS = 50.0

Origin = tuple[str, str, int]


class TransportError(Exception):
    """No whole answer came. The text holds nothing of what was sent."""


class TransportTimeout(TransportError):
    """No whole answer came within the time that the request had."""


@dataclass(frozen=True)
class Answer:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def header(self, name: str) -> str:
        """Return a header's value, "" without one."""
        return self.headers.get(name.lower(), "")

    @property
    def media_type(self) -> str:
        """The media type without its parameters, in lower case."""
        return self.header("content-type").partition(";")[0].strip().lower()


class _Deadline:
    """A moment on the monotonic clock until which the whole exchange may last."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left. Raise TimeoutError when none are."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        return left


@dataclass(frozen=True)
class _Request:
    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    deadline: _Deadline
    repeatable: bool
    max_answer: int


class _TimedReader(io.RawIOBase):
    """Reads a socket and never beyond the deadline, however slowly bytes drip in."""

    def __init__(self, raw: Any, sock: socket.socket, deadline: _Deadline) -> None:
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        self._sock.settimeout(self._deadline.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that is read until the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, deadline: _Deadline, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReader(sock.makefile("rb", buffering=0), sock, deadline))


class _Connection:
    """One connection, with the moment since which it is idle."""

    def __init__(self, conn: http.client.HTTPConnection) -> None:
        self.conn = conn
        self.idle_since = 0.0
        self.used = False

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.conn.close()

    def usable(self, now: float) -> bool:
        """Say whether an idle connection may be used again: what is readable was closed."""
        sock = self.conn.sock
        return sock is not None and now - self.idle_since < IDLE_SECONDS and not _readable(sock)


def _readable(sock: socket.socket) -> bool:
    try:
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(sock, select.POLLIN | select.POLLPRI)
            return bool(poll.poll(0))
        return bool(select.select([sock], [], [], 0)[0])
    except (OSError, ValueError):
        return True


class Transport:
    """Sends requests. Any number of threads may call request at once."""

    def __init__(self, *, timeout: float = 3.0, ca_file: str = "", max_idle: int = 64) -> None:
        self._timeout, self._ca_file, self._max_idle = timeout, ca_file, max_idle
        self._context: ssl.SSLContext | None = None
        self._begin()
        _transports.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._idle: dict[Origin, deque[_Connection]] = {}

    def forget(self) -> None:
        """Begin anew in a process that was forked: the connections are its parent's."""
        mine, self._idle = self._idle, {}
        self._begin()
        for kept in mine.values():
            for c in kept:
                c.close()  # this process's copy alone: nothing is sent

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            kept, self._idle = self._idle, {}
        for q in kept.values():
            for c in q:
                c.close()

    def idle_count(self) -> int:
        """Return the number of idle connections."""
        with self._lock:
            return sum(len(q) for q in self._idle.values())

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        repeatable: bool = True,
        timeout: float | None = None,
        max_answer: int = MAX_ANSWER,
    ) -> Answer:
        """Send one request and read the answer. Redirects are answers.

        repeatable: the request may be sent again where a kept connection turns out to be closed.
        timeout: seconds for the whole, in the place of the Transport's. max_answer: bytes.
        Raise TransportError where no whole answer comes in time.
        """
        parts = urlsplit(url)
        origin = (parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        target = parts.path or "/"
        if parts.query:
            target += "?" + parts.query
        sent = {
            "User-Agent": f"django-grantor/{__version__}",
            "Accept": "application/json",
            **(headers or {}),
        }
        seconds = self._timeout if timeout is None else timeout
        deadline = _Deadline(seconds)
        try:
            return self._send(origin, _Request(method, target, sent, body, deadline, repeatable, max_answer))
        except ssl.SSLCertVerificationError as e:
            raise TransportError(f"{origin[1]}: the certificate is not trusted: {e.verify_message}") from None
        except ssl.SSLError as e:
            raise TransportError(f"{origin[1]}: TLS failed: {e.reason}") from None
        except socket.timeout:
            raise TransportTimeout(f"{origin[1]} did not answer within {seconds:g} seconds") from None
        except (OSError, http.client.HTTPException) as e:
            raise TransportError(f"{origin[1]} cannot be asked: {type(e).__name__}") from None

    def _send(self, origin: Origin, r: _Request) -> Answer:
        while True:
            c = self._take(origin, r.deadline)
            try:
                answer = _exchange(c, r)
            except (ConnectionError, http.client.BadStatusLine):
                c.close()
                if c.used and r.repeatable:
                    continue  # the server closed it while it was idle; a fresh one ends this loop
                raise
            except BaseException:
                c.close()
                raise
            if answer.status < http.client.OK:
                c.close()  # RFC 9110 §15.2: the answer itself is still to come
            self._give(origin, c)
            return answer

    def _take(self, origin: Origin, deadline: _Deadline) -> _Connection:
        """Return an idle connection that is still open, else a new one that is not yet connected."""
        if self._pid != os.getpid():
            self.forget()
        now = time.monotonic()
        while True:
            with self._lock:
                kept = self._idle.get(origin)
                c = kept.pop() if kept else None
            if c is None:
                return _Connection(self._new(origin, deadline.left()))
            if c.usable(now):
                c.used = True
                return c
            c.close()

    def _new(self, origin: Origin, timeout: float) -> http.client.HTTPConnection:
        scheme, host, port = origin
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls())
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context(cafile=self._ca_file or None)
        return self._context

    def _give(self, origin: Origin, c: _Connection) -> None:
        """Keep a connection whose answer was read, unless it is closed or enough are kept."""
        if c.conn.sock is None:
            return
        c.idle_since = time.monotonic()
        with self._lock:
            kept = self._idle.setdefault(origin, deque())
            if len(kept) < self._max_idle and self._pid == os.getpid():
                kept.append(c)
                return
        c.close()


def _exchange(c: _Connection, r: _Request) -> Answer:
    """Send a request over a connection and read the answer."""
    c.conn.timeout = r.deadline.left()
    if c.conn.sock is None:
        c.conn.connect()
    c.conn.sock.settimeout(r.deadline.left())
    c.conn.response_class = partial(_Response, deadline=r.deadline)  # type: ignore[assignment]
    c.conn.request(r.method, r.target, r.body, dict(r.headers))
    response = c.conn.getresponse()
    try:
        text = _read(response, r.max_answer)
    finally:
        response.close()
    return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, text)


def _read(response: http.client.HTTPResponse, most: int) -> bytes:
    """Read an answer to its end, so that the connection can be used again."""
    if (response.length or 0) > most:
        raise TransportError(f"the answer is longer than {most} bytes")
    if response.length is not None:
        return response.read()
    text = bytearray()
    while piece := response.read(16 << 10):
        text += piece
        if len(text) > most:
            raise TransportError(f"the answer is longer than {most} bytes")
    return bytes(text)


_transports: weakref.WeakSet[Transport] = weakref.WeakSet()


def _after_fork() -> None:
    for t in list(_transports):
        t.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
