"""Connections: reused, bounded, each thread's and each process's own."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from django_grantor import verifiers
from django_grantor.conf import get_config
from django_grantor.transport import Transport, TransportError
from servers import Stub, fetch, free_port, reply, sockets_of, wait_for_port

ACTIVE = {"active": True, "sub": "m", "client_id": "m", "aud": "https://orders.example.com"}


@pytest.fixture
def echo():
    connections = set()

    def answer(h):
        connections.add(h.client_address)
        reply(h, 200, {"port": h.client_address[1], "body": h.body.decode()})

    s = Stub({"/": answer, "/close": lambda h: (reply(h, 200, {}), setattr(h, "close_connection", True))})
    s.connections = connections
    yield s
    s.stop()


def test_one_connection_for_one_thread(echo):
    t = Transport()
    for i in range(20):
        assert t.request("POST", echo.url + "/", body=str(i).encode()).status == 200
    assert len(echo.connections) == 1
    t.close()


def test_a_connection_that_the_server_closed_is_not_used(echo):
    t = Transport()
    for _ in range(5):
        t.request("GET", echo.url + "/close")
        time.sleep(0.02)
        assert t.request("POST", echo.url + "/", repeatable=False).status == 200
    t.close()


def test_a_request_is_repeated_once_on_a_fresh_connection():
    asked = []

    def answer(h):
        asked.append(h.client_address)
        if len(asked) == 2:  # the second one on the kept connection: closed without an answer
            h.connection.shutdown(2)
            return
        reply(h, 200, {})

    s = Stub({"/": answer})
    t = Transport()
    assert t.request("GET", s.url + "/").status == 200
    assert t.request("GET", s.url + "/").status == 200
    assert len(asked) == 3
    asked[:] = asked[:1]
    with pytest.raises(TransportError):
        t.request("POST", s.url + "/", repeatable=False)
    assert len(asked) == 2
    t.close()
    s.stop()


def test_idle_connections_are_bounded(echo):
    t = Transport(max_idle=3)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: t.request("GET", echo.url + "/"), range(200)))
    assert t.idle_count() <= 3
    t.close()
    assert t.idle_count() == 0


def test_no_connection_leaks_in_10000_requests(asking):
    """16 threads, with a failure in every hundredth request."""
    token, verifier = asking.token(), verifiers.current()
    verifier.verify(token)
    before, bad = sockets_of(), "gat_" + 60 * "x"

    def ask(i):
        try:
            verifier.verify(bad if i % 100 == 0 else token)
        except verifiers.InvalidToken:
            return 1
        return 0

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(ask, range(10_000))) == 100
    after = sockets_of()
    assert after - before <= 16
    verifier._transport.close()
    assert sockets_of() <= before


def test_failures_leak_no_connection(stub):
    s = stub({"/introspect": lambda h: h.connection.shutdown(2)}, CLIENT_SECRET="x")
    verifier, before = verifiers.build(get_config()), sockets_of()
    for _ in range(100):
        with pytest.raises(verifiers.Unavailable):
            verifier.verify("x")
    s.stop()
    time.sleep(0.2)
    assert sockets_of() - before <= 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_has_connections_of_its_own(echo):
    t = Transport()
    mine = t.request("GET", echo.url + "/").body
    stop, lock_holder = (
        threading.Event(),
        threading.Thread(target=lambda: (t._lock.acquire(), stop.wait(5), t._lock.release())),
    )
    lock_holder.start()  # a lock that a thread holds at the fork is never released in the child
    time.sleep(0.05)
    pid = os.fork()
    if pid == 0:
        try:
            ok = t.idle_count() == 0 and t.request("GET", echo.url + "/").body != mine
            os._exit(0 if ok else 1)
        except BaseException:
            os._exit(2)
    stop.set()
    lock_holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert t.request("GET", echo.url + "/").body == mine  # the parent's connection is as it was
    t.close()


def descendants(pid):
    """Return the worker processes of a gunicorn."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_gunicorn_with_16_threads_and_fork(grantor, folder):
    pytest.importorskip("gunicorn")
    port = free_port()
    environ = {
        **os.environ,
        "KIT_TEST_ISSUER": grantor.issuer,
        "KIT_TEST_SECRET": grantor.secrets["orders-api"],
        "KIT_TEST_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "project.settings",
    }
    warm = "import verify_before_fork\nverify_before_fork.ask()\nfrom project.wsgi import application\n"
    (folder / "preloaded.py").write_text(warm)
    (folder / "verify_before_fork.py").write_text(
        "import django\nfrom django_grantor import verifiers\n"
        "def ask():\n    django.setup()\n    try:\n        verifiers.current().verify('gat_x')\n"
        "    except verifiers.InvalidToken:\n        pass\n"
        "    assert verifiers.current()._transport.idle_count() == 1\n"
    )
    here = str(Path(__file__).parent)
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "--preload",
            "--workers",
            "2",
            "--threads",
            "16",
            "--worker-class",
            "gthread",
            "--keep-alive",
            "5",
            "--bind",
            f"127.0.0.1:{port}",
            "--pythonpath",
            f"{folder},{here}",
            "preloaded:application",
        ],
        env=environ,
        cwd=here,
    )
    try:
        wait_for_port(port)
        token = grantor.token()
        with ThreadPoolExecutor(32) as pool:
            answers = list(
                pool.map(
                    lambda _: fetch(
                        f"http://127.0.0.1:{port}/protected", None, {"Authorization": f"Bearer {token}"}
                    ),
                    range(2000),
                )
            )
        assert {status for status, _ in answers} == {200}
        assert {said["client"] for _, said in answers} == {"machine"}
        workers = descendants(server.pid)
        assert len(workers) == 2
        for pid in workers:
            assert sockets_of(pid) <= 16 + 8  # a connection for a thread at most, and gunicorn's own
    finally:
        server.terminate()
        server.wait(20)
