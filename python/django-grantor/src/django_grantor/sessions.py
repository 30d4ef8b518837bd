"""Ends users' sessions by Grantor's admin API: queued, repeated, and off the request's path."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from datetime import timedelta
from functools import partial
from urllib.parse import quote, urlencode

from django.db import DatabaseError, close_old_connections, connections, router, transaction
from django.utils import timezone

from .conf import Config, get_config
from .transport import Transport, TransportError
from .verifiers import Metadata, Unavailable, basic, json_of

log = logging.getLogger("django_grantor")

#: Waiting times between tries, in seconds; the last one is repeated.
PAUSES = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
#: How often a process looks for what others left behind, in seconds.
LOOK_SECONDS = 60.0
#: No session lasts longer than this without a change of Grantor's configuration.
MAX_AGE = timedelta(days=90)
ADMIN_SCOPE = "grantor:admin"


def end_sessions(subject: str, *, using: str | None = None) -> None:
    """End every session of a subject, on every device, once the transaction is committed.

    subject: as tokens name the user, str(user.pk) by default. using: the database whose transaction
    counts; None: that of the queue. It returns at once: a thread of this process tells Grantor.
    """
    from .models import SessionEnd

    queue = router.db_for_write(SessionEnd)
    if using is not None and using != queue:
        # a row now could be sent before the change is there, and would outlast its rollback
        transaction.on_commit(partial(end_sessions, subject), using=using)
        return
    SessionEnd.objects.create(subject=subject)
    transaction.on_commit(worker.wake, using=queue)


class AdminAPI:
    """Grantor's admin API, with a token of the scope grantor:admin."""

    def __init__(self, config: Config, transport: Transport) -> None:
        self._config, self._transport = config, transport
        self._metadata = Metadata(config, transport)
        self._token, self._ends = "", 0.0

    def end_sessions(self, subject: str) -> None:
        """Log a user out everywhere. Raise Unavailable where that is not confirmed; repeating is safe."""
        url = f"{self._config.admin_url.rstrip('/')}/admin/v1/users/{quote(subject, safe='')}/sessions"
        for fresh in (False, True):
            try:
                token = self._access_token(fresh=fresh)
                answer = self._transport.request("DELETE", url, headers={"Authorization": f"Bearer {token}"})
            except TransportError as e:
                raise Unavailable(f"the admin API: {e}") from None
            if answer.status == 204:
                return
            if answer.status != 401:
                break
        raise Unavailable(f"the admin API answers {answer.status}{_hint(answer.status)}")

    def _access_token(self, *, fresh: bool) -> str:
        if self._token and not fresh and time.monotonic() < self._ends:
            return self._token
        body = urlencode({"grant_type": "client_credentials", "scope": ADMIN_SCOPE}).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": basic(self._config.admin_client_id, self._config.admin_client_secret),
        }
        url = self._metadata.endpoint("token_endpoint")
        answer = self._transport.request("POST", url, headers=headers, body=body)
        if answer.status in (400, 401):
            raise Unavailable(
                "no token with grantor:admin is given: look at ADMIN_CLIENT_ID, its secret and its scope"
            )
        said = json_of(answer)
        token, life = said.get("access_token"), said.get("expires_in", 60)
        if not isinstance(token, str) or not isinstance(life, (int, float)):
            raise Unavailable("the answer of the token endpoint has no token")
        self._token, self._ends = token, time.monotonic() + max(life - 30, life / 2)
        return token


def _hint(status: int) -> str:
    return {
        401: ": it does not know this token; is ADMIN_URL the admin listener of ISSUER?",
        403: ": the token has not the scope grantor:admin",
        404: ": ADMIN_URL is not Grantor's admin listener",
        421: ": [admin] url of Grantor must be ADMIN_URL",
    }.get(status, "")


class Worker:
    """One thread a process, which runs while there is something to send."""

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._woken = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._tried = threading.Event()
        self._pid = os.getpid()
        self._looked = float("-inf")

    def wake(self) -> None:
        """Send what is queued, now. It returns at once."""
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            self._looked = time.monotonic()
            self._woken.set()
            self._idle.clear()
            self._tried.clear()
            if self._thread is None or not self._thread.is_alive():
                self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="django-grantor-sessions", daemon=True)
        try:
            thread.start()
        except RuntimeError as e:  # the system has no more threads, or the interpreter ends
            log.error("session ends stay in the queue, the thread cannot be started: %s", e)
            self._looked -= LOOK_SECONDS - PAUSES[2]  # a request soon tries again
            self._tried.set()
            return
        self._thread = thread

    def is_due(self) -> bool:
        """Say whether it is time to look for what others left behind. It takes no lock."""
        return time.monotonic() - self._looked > LOOK_SECONDS

    def finish(self) -> None:
        """Wait until what is queued was sent, or tried once. A process that ends calls it."""
        if not self._idle.is_set():
            self._tried.wait(10)

    def join(self, timeout: float) -> bool:
        """Wait until everything is sent. Return whether it is."""
        return self._idle.wait(timeout)

    def _run(self) -> None:
        tries = 0
        try:
            while True:
                self._woken.clear()
                if _send_safely():
                    tries = 0
                    with self._lock:
                        if not self._woken.is_set():
                            self._thread = None
                            self._idle.set()
                            self._tried.set()
                            return
                    continue
                self._tried.set()
                self._woken.wait(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
        finally:
            connections.close_all()  # this thread's own


def _send_safely() -> bool:
    try:
        close_old_connections()
        return send_queued()
    except DatabaseError as e:
        log.error(
            "the queue of session ends cannot be read: %s; did you run manage.py migrate?", type(e).__name__
        )
        return False
    except Exception:
        log.exception("session ends cannot be sent")
        return False


worker = Worker()
atexit.register(worker.finish)


def send_queued() -> bool:
    """Tell Grantor of every subject in the queue, once. Return whether the queue is empty now.

    Two processes may send the same end: to repeat it is safe.
    """
    from .models import SessionEnd

    config = get_config()
    SessionEnd.objects.filter(created_at__lt=timezone.now() - MAX_AGE).delete()
    latest: dict[str, int] = dict(SessionEnd.objects.order_by("pk").values_list("subject", "pk"))
    if not latest:
        return True
    transport = Transport(timeout=config.timeout, ca_file=config.ca_file, max_idle=1)
    api, failed = AdminAPI(config, transport), 0
    try:
        for subject, pk in latest.items():
            failed += not _send_one(partial(api.end_sessions, subject), subject, pk)
    finally:
        transport.close()
    return not failed


def _send_one(send: partial[None], subject: str, pk: int) -> bool:
    from .models import SessionEnd

    try:
        send()
    except Unavailable as e:
        log.error("sessions of a user could not be ended; Grantor is asked again: %s", e)
        return False
    SessionEnd.objects.filter(subject=subject, pk__lte=pk).delete()
    return True
