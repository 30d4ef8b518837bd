"""MODE "live": no request for a token that is known, and an end is known in time."""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from django_grantor import feed, verifiers
from servers import AUDIENCE, fetch, free_port, reply, wait_for_port

pytestmark = pytest.mark.django_db


def until(what, seconds=15.0):
    """Wait until something is so. Return after how many seconds it was."""
    start = time.monotonic()
    while not what():
        assert time.monotonic() - start < seconds, "it does not come to be so"
        time.sleep(0.005)
    return time.monotonic() - start


def fresh():
    verifier = verifiers.current()
    with contextlib.suppress(verifiers.InvalidToken, verifiers.Unavailable):
        verifier.verify("gat_begins_the_polls")
    until(lambda: verifier.stats().fresh)
    return verifier


@pytest.fixture
def live(asking, config):
    config(MODE="live")
    yield asking
    verifiers.forget()


def test_a_known_token_is_asked_about_once(live, api):
    verifier, token = fresh(), live.token()
    before = verifier.asks
    for _ in range(50):
        assert api("/protected", token).status_code == 200
    assert verifier.asks - before + verifier.hits == 50
    assert verifier.hits >= 40  # a stale moment of a busy machine may ask once more


def end_by_revocation(grantor, said):
    grantor.post("/oauth2/revoke", {"token": said["access_token"], "client_id": "app"})


def end_by_logout(grantor, said):
    grantor.post("/oauth2/revoke", {"token": said["refresh_token"], "client_id": "app"})


def end_by_admin(grantor, said):
    token = grantor.token("admin", "grantor:admin")
    import urllib.request

    r = urllib.request.Request(grantor.admin_url + "/admin/v1/users/1001/sessions", method="DELETE")
    r.add_header("Authorization", f"Bearer {token}")
    urllib.request.urlopen(r, timeout=5).close()


@pytest.mark.parametrize("end", [end_by_revocation, end_by_logout, end_by_admin])
def test_an_end_is_known_within_the_lease(live, api, people, end):
    fresh()
    said = live.login("ada")
    for _ in range(3):
        assert api("/protected", said["access_token"]).status_code == 200
    end(live, said)
    assert until(lambda: api("/protected", said["access_token"]).status_code == 401, 1.0) < 1.0


def test_the_promise_under_load(live):
    """No check that begins a lease after the 200 lets a token pass, in 8 threads and 40 revocations."""
    verifier, stop, broken, delays = fresh(), threading.Event(), [], []
    tokens = [live.token() for _ in range(40)]
    ended: dict[str, float] = {}

    def check():
        while not stop.is_set():
            for t in tokens:
                begins = time.monotonic()
                try:
                    verifier.verify(t)
                except verifiers.InvalidToken:
                    continue
                if t in ended and begins > ended[t]:
                    (broken if begins > ended[t] + 1.0 else delays).append(begins - ended[t])

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(check)
        time.sleep(0.3)
        for t in tokens:
            time.sleep(0.02)
            live.revoke(t)
            ended[t] = time.monotonic()
        time.sleep(1.5)
        stop.set()
    assert not broken, broken
    assert verifier.hits > 1000
    print("the longest that an end went unseen:", max(delays, default=0.0))


def test_stale_it_asks_and_where_it_cannot_ask_it_is_503(live, api):
    verifier, token = fresh(), live.token()
    assert api("/protected", token).status_code == 200
    live.pause()
    try:
        until(lambda: not verifier.stats().fresh)
        assert api("/protected", token).status_code == 503
    finally:
        live.go_on()
    until(lambda: api("/protected", token).status_code == 200, 10)
    until(lambda: verifier.stats().fresh, 10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_follows_for_itself(live):
    verifier, token = fresh(), live.token()
    verifier.verify(token)
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 9
        try:
            code = 1 if verifier.stats().fresh else 2
            verifier.verify(token)
            until(lambda: verifier.stats().fresh)
            verifier.verify(token)
            hits = verifier.hits
            verifier.verify(token)
            code = 3 if verifier.hits == hits else 4
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            deadline = time.monotonic() + 1.0
            while time.monotonic() < deadline:
                try:
                    verifier.verify(token)
                    time.sleep(0.01)
                except verifiers.InvalidToken:
                    code = 0
                    break
        finally:
            os._exit(code)
    os.read(ready[0], 1)
    live.revoke(token)
    os.write(go[1], b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert verifier.stats().fresh


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_gunicorn_preload(grantor, folder):
    """Every worker follows, whatever the master knew before the fork."""
    pytest.importorskip("gunicorn")
    port, here = free_port(), str(Path(__file__).parent)
    (folder / "live_settings.py").write_text(
        "from project.settings import *\nGRANTOR = {**GRANTOR, 'MODE': 'live'}\n"
    )
    (folder / "preloaded.py").write_text(
        "import time\nfrom project.wsgi import application\nfrom django_grantor import verifiers\n"
        "try:\n    verifiers.current().verify('gat_x')\nexcept verifiers.InvalidToken:\n    time.sleep(0.5)\n"
        "assert verifiers.current().stats().fresh\n"
    )
    environ = {
        **os.environ,
        "KIT_TEST_ISSUER": grantor.issuer,
        "KIT_TEST_SECRET": grantor.secrets["orders-api"],
        "KIT_TEST_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "live_settings",
    }
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "--preload",
            "--workers",
            "3",
            "--threads",
            "8",
            "--worker-class",
            "gthread",
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

        def statuses(n):
            with ThreadPoolExecutor(8) as pool:
                return {
                    s
                    for s, _ in pool.map(
                        lambda _: fetch(
                            f"http://127.0.0.1:{port}/protected", None, {"Authorization": f"Bearer {token}"}
                        ),
                        range(n),
                    )
                }

        for _ in range(4):
            assert statuses(60) == {200}
            time.sleep(0.3)
        grantor.revoke(token)
        time.sleep(1.0)
        assert statuses(60) == {401}
    finally:
        server.terminate()
        server.wait(20)


class FakeFeed:
    """A server whose feed says what a test wants."""

    def __init__(self, stub) -> None:
        self.names, self.change, self.status, self.polls, self.asked = [], {}, 200, [], []
        self.about = {}
        self.stub = stub({"/feed": self.poll, "/introspect": self.introspect}, MODE="live")
        self.stub.answers["/.well-known/oauth-authorization-server"]["revocation_feed_endpoint"] = (
            self.stub.url + "/feed"
        )

    def poll(self, h):
        form = parse_qs(h.body.decode(), keep_blank_values=True)
        after = form["after"][0]
        self.polls.append(after)
        if self.status != 200:
            return reply(h, self.status, {})
        time.sleep(0.02)
        start = int(after or 0)
        said = {
            "echo": form["echo"][0],
            "position": str(len(self.names)),
            "lease": 0.4,
            "complete": True,
            "ended": self.names[start:],
        }
        return reply(h, 200, {**said, **self.change})

    def introspect(self, h):
        form = {k: v[0] for k, v in parse_qs(h.body.decode()).items()}
        self.asked.append(form)
        text, now = form["token"], int(time.time())
        said = {
            "active": True,
            "sub": "m",
            "client_id": "m",
            "sub_type": "client",
            "aud": AUDIENCE,
            "iss": self.stub.url,
            "iat": now,
            "exp": now + 60,
            "jti": "jti-" + text,
            "rev": ["rev-" + text],
            "position": "1",
        }
        said.update(self.about.get(text, {}))
        reply(h, 200, {k: v for k, v in said.items() if v is not None})

    def keeps(self, text):
        """Check a token until it is answered from memory: on a busy machine a lease may run out."""
        until(lambda: self.asks(text, 1) == 0, 15)
        return True

    def asks(self, text, times=2):
        """Check a token some times. Return how many questions that took."""
        before = len(self.asked)
        for _ in range(times):
            verifiers.current().verify(text)
        return len(self.asked) - before


@pytest.fixture
def server(stub):
    yield FakeFeed(stub)
    verifiers.forget()


def test_questions_say_follow(server):
    fresh()
    assert server.keeps("a")
    assert server.asked[-1]["follow"] == "true"


@pytest.mark.parametrize("name", ["jti-a", "rev-a"])
def test_a_name_that_ended_is_asked_about_for_ever(server, name):
    fresh()
    assert server.keeps("a")
    server.names.append(name)
    until(lambda: verifiers.current().stats().ended == 1)
    assert server.asks("a", 5) == 5
    assert server.keeps("b")


def test_the_session_of_a_user_is_a_name(server, people):
    server.about["u"] = {"sub_type": "user", "sub": "1001", "sid": "sid-u"}
    fresh()
    assert server.keeps("u")
    server.names.append("sid-u")
    until(lambda: verifiers.current().stats().ended == 1)
    assert server.asks("u", 5) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"jti": None},
        {"rev": None},
        {"rev": []},
        {"rev": "x"},
        {"rev": [1]},
        {"rev": ["x"] * 17},
        {"iss": None},
        {"position": None},
        {"position": ""},
        {"position": 7},
        {"sub_type": "user"},
        {"sub_type": "user", "sid": 7},
        {"sub_type": None, "sub": "x"},
    ],
    ids=str,
)
def test_answers_that_say_too_little_are_used_once(server, change):
    server.about["a"] = change
    fresh()
    assert server.asks("a", 3) == 3


def test_a_key_without_an_end_is_kept(server):
    server.about["a"] = {"exp": None}
    fresh()
    assert server.keeps("a")


def test_exp_ends_what_is_kept(server):
    server.about["a"] = {"exp": int(time.time()) + 3}
    fresh()
    assert server.keeps("a")
    until(lambda: server.asks("a", 1) == 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"echo": "another"}, "another poll"),
        ({"lease": 0}, "no position or no lease"),
        ({"lease": None}, "no position"),
        ({"lease": "1"}, "no position"),
        ({"position": ""}, "no position"),
        ({"position": 1}, "no position"),
        ({"ended": "x"}, "wrong type"),
        ({"ended": [1]}, "wrong type"),
        ({"not_before": "x"}, "wrong type"),
        ({"complete": False, "position": "0"}, "leads no further"),
    ],
)
def test_an_answer_that_is_none_renews_nothing(server, change, words):
    fresh()
    assert server.keeps("a")
    server.change = change
    until(lambda: words in verifiers.current().stats().error and not verifiers.current().stats().fresh)
    assert server.asks("a", 3) == 3
    server.change = {}
    assert server.keeps("a")


def test_an_incomplete_page_renews_no_lease(server):
    verifier = fresh()
    positions = iter(range(1, 10_000))
    stop = threading.Event()

    def poll(h):
        form = parse_qs(h.body.decode(), keep_blank_values=True)
        time.sleep(0.02)
        complete = stop.is_set()
        reply(
            h,
            200,
            {
                "echo": form["echo"][0],
                "position": f"p{next(positions)}",
                "lease": 0.4,
                "complete": complete,
                "ended": [],
            },
        )

    server.stub.answers["/feed"] = poll
    until(lambda: not verifier.stats().fresh)
    assert verifier.stats().error == ""
    stop.set()
    until(lambda: verifier.stats().fresh)


def test_a_reset_drops_what_is_kept(server):
    verifier = fresh()
    assert server.keeps("a")
    server.change = {"reset": True}
    until(lambda: verifier.stats().resets >= 1)
    server.change = {}
    assert server.asks("a", 1) == 1
    assert server.keeps("a")


@pytest.mark.parametrize(("name", "delay"), [(feed.OTHER_RULES, 0.4), (feed.NAMELESS, 10.4)])
def test_ends_without_a_name_drop_what_is_kept_and_what_is_asked_too_soon(server, name, delay):
    verifier = fresh()
    assert server.keeps("a")
    server.names.append(name)
    until(lambda: verifier.stats().resets == 1)
    heard = time.monotonic()
    assert server.asks("a", 1) == 1
    assert heard + delay - 1.0 < verifier._follower._keep_from <= heard + delay
    assert verifier.stats().ended == 0
    verifier._follower._keep_from = 0.0
    assert server.keeps("a")


def test_an_end_or_reset_during_a_question_the_answer_is_not_kept(server):
    verifier = fresh()
    for what in ({"reset": True}, {"ended": ["rev-a"], "position": "e"}):
        slow, good = threading.Event(), server.introspect
        server.stub.answers["/introspect"] = lambda h, slow=slow, good=good: (slow.wait(3), good(h))
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(verifier.verify, "a")
            time.sleep(0.05)
            before = verifier.stats()
            server.change = what
            until(
                lambda before=before: (
                    (verifier.stats().resets, verifier.stats().ended) != (before.resets, before.ended)
                )
            )
            server.change = {}
            until(lambda: verifier.stats().fresh)
            slow.set()
            assert asked.result().subject == "m"
        server.stub.answers["/introspect"] = server.introspect
        assert server.asks("a", 1) == 1


def test_not_before_ends_what_was_issued_before(server):
    fresh()
    assert server.keeps("a")
    server.change = {"not_before": int(time.time()) + 5}
    until(lambda: server.asks("a", 1) == 1)
    assert server.asks("a", 3) == 3


@pytest.mark.parametrize("status", [401, 403])
def test_who_must_not_know_any_more_is_stale_at_once(server, status):
    verifier = fresh()
    server.status = status
    until(lambda: verifier.stats().error != "")
    assert not verifier.stats().fresh
    until(lambda: verifier.stats().failures == 1)
    polls = len(server.polls)
    time.sleep(0.6)
    assert len(server.polls) == polls  # asked again slowly


def test_503_is_asked_again_soon_and_400_begins_anew(server, caplog):
    caplog.set_level(logging.WARNING, "django_grantor")
    verifier = fresh()
    server.names.append("x")
    until(lambda: server.polls[-1] == "1")
    server.status = 503
    until(lambda: not verifier.stats().fresh)
    assert caplog.text.count("the revocation feed cannot be read: the server answers 503") == 1
    server.status = 400
    until(lambda: server.polls[-1] == "")
    server.status = 200
    until(lambda: verifier.stats().fresh, 10)
    assert verifier.stats().resets >= 1


def test_a_server_without_a_feed_is_asked_each_time(server):
    del server.stub.answers["/.well-known/oauth-authorization-server"]["revocation_feed_endpoint"]
    assert server.asks("a", 3) == 3
    until(lambda: "revocation_feed_endpoint" in verifiers.current().stats().error)
    assert server.polls == []


def test_the_lease_counts_from_the_sending_by_both_clocks(server, monkeypatch):
    verifier = fresh()
    wall, steady = [0.0], [0.0]
    monkeypatch.setattr(feed, "now", lambda: feed.Moment(time.time() + wall[0], time.monotonic() + steady[0]))
    wall[0] = 3600.0
    assert not verifier._follower.is_fresh()
    wall[0], steady[0] = -3600.0, 3600.0
    assert not verifier._follower.is_fresh()
    wall[0] = steady[0] = 0.0
    server.stub.answers["/feed"] = lambda h: (time.sleep(0.19), server.poll(h))
    time.sleep(1.0)
    assert verifier.stats().age >= 0.15  # whenever the answer came


def test_a_lease_may_be_shorter(server, config):
    config(MAX_LEASE=0.05)
    verifier = verifiers.current()
    server.asks("a", 1)
    until(lambda: verifier.stats().polls > 3)
    sent, end = verifier._follower._lease
    assert end.steady - sent.steady == pytest.approx(0.05)


def test_too_many_names_are_never_forgotten_in_silence(server, monkeypatch):
    monkeypatch.setattr(feed, "MAX_ENDED", 80)
    verifier = fresh()
    assert server.keeps("a")
    server.names += [f"n{i}" for i in range(100)]
    until(lambda: verifier.stats().resets >= 1)
    assert verifier.stats().ended <= 80
    assert verifier._follower.has_ended(["n99"], 0)
    assert server.asks("a", 3) == 3


def test_old_names_are_forgotten(server, monkeypatch):
    verifier = fresh()
    server.names.append("old")
    until(lambda: verifier.stats().ended == 1)
    monkeypatch.setattr(feed, "RETENTION", 0.2)
    time.sleep(0.25)
    server.names.append("new")
    until(lambda: not verifier._follower.has_ended(["old"], 0))
    assert verifier.stats().resets == 0


def test_what_is_kept_is_bounded(server, config):
    config(MAX_KEPT=5)
    verifier = fresh()
    for i in range(20):
        assert server.asks(f"gat_{i}", 1) == 1
    assert len(verifier._kept) == 5
    assert server.keeps("gat_19")
    assert server.asks("gat_0", 1) == 1


def test_what_is_kept_holds_no_token(live):
    verifier, token = fresh(), live.token()
    verifier.verify(token)
    assert verifier._kept
    assert token not in repr(verifier._kept)
