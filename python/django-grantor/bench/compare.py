"""Compares ways to authenticate a request of Django REST framework, all in one run.

    GRANTOR_BINARY=../../../bin/grantor python compare.py --rounds 5 --seconds 2 --output results.md

It needs requirements.txt, starts PostgreSQL, Grantor and a gunicorn for each way, and puts load on one at a time, in turn.
Each request finds the same Django user in PostgreSQL, but for "none". Everything is on this machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from glob import glob
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE)]

from django_grantor.generate.secret import hash_secret, new_secret
from servers import fetch, free_port, hash_password, wait_for_port

WAYS = {
    "none": "no authentication",
    "token": "DRF TokenAuthentication",
    "simplejwt": "simplejwt, HS256",
    "dot": "django-oauth-toolkit as resource server of Grantor",
    "introspection": 'django-grantor, "introspection"',
    "jwt": 'django-grantor, "jwt" (ES256)',
    "live": 'django-grantor, "live"',
}
THREADS = 4


def start_postgres(folder: Path) -> subprocess.Popen[bytes]:
    bins = sorted(glob("/usr/lib/postgresql/*/bin")) or [str(Path(shutil.which("initdb") or "").parent)]
    as_user = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run(
        [
            *as_user,
            f"{bins[-1]}/initdb",
            "-D",
            f"{folder}/data",
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ],
        check=True,
        **quiet,
    )
    server = subprocess.Popen(
        [
            *as_user,
            f"{bins[-1]}/postgres",
            "-D",
            f"{folder}/data",
            "-k",
            str(folder),
            "-c",
            "listen_addresses=",
        ],
        **quiet,
    )
    end = time.monotonic() + 20
    while not (folder / ".s.PGSQL.5432").exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    return server


def grantor_config(port: int, secret: str, dot_port: int) -> str:
    return f"""
issuer = "http://127.0.0.1:{port}"
listen = "127.0.0.1:{port}"
store = "memory"
grants.password = true
audit.output = ""
[log]
level = "error"
[tokens]
access_ttl = "1h"
[scopes]
"api:read" = {{ resource = "https://api.example.com" }}
"dot:read" = {{ resource = "http://127.0.0.1:{dot_port}" }}
[[users.config]]
id = "1"
username = "ada"
password_hash = "{hash_password("a good password")}"
scope = "api:read dot:read"
[[clients]]
client_id = "bench-api"
introspect = "any"
secrets = [{{ hash = "{hash_secret(secret)}" }}]
[[clients]]
client_id = "opaque"
token_endpoint_auth_method = "none"
grant_types = ["password", "refresh_token"]
scope = "api:read"
default_scope = "api:read"
[[clients]]
client_id = "dot"
token_endpoint_auth_method = "none"
grant_types = ["password", "refresh_token"]
scope = "dot:read"
default_scope = "dot:read"
[[clients]]
client_id = "jwt"
token_endpoint_auth_method = "none"
grant_types = ["password", "refresh_token"]
scope = "api:read"
default_scope = "api:read"
access_token_format = "jwt"
"""


PREPARE = """
import bench_site
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
from rest_framework_simplejwt.tokens import AccessToken
from datetime import timedelta
ada = User.objects.create_user("ada", pk=1)
print(Token.objects.create(user=ada).key)
access = AccessToken.for_user(ada)
access.set_exp(lifetime=timedelta(hours=1))
print(access)
"""


class Load:
    """Sends one request again and again over kept connections."""

    def __init__(self, port: int, authorization: str) -> None:
        self._port = port
        header = f"Authorization: {authorization}\r\n" if authorization else ""
        self._request = f"GET /x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{header}\r\n".encode()

    def run(self, seconds: float) -> int:
        """Return how many requests were answered 200. Any other answer is an error."""
        counts, errors, end = [], [], time.monotonic() + seconds

        def one() -> None:
            n = 0
            try:
                with socket.create_connection(("127.0.0.1", self._port), 10) as s:
                    while time.monotonic() < end:
                        s.sendall(self._request)
                        text = s.recv(65536)
                        while not text.endswith(b"\r\n0\r\n\r\n"):  # the last chunk
                            more = s.recv(65536)
                            if not more:
                                raise ValueError(text[:200])
                            text += more
                        if not text.startswith(b"HTTP/1.1 200"):
                            raise ValueError(text[:200])
                        n += 1
            except (OSError, ValueError) as e:
                errors.append(e)
            counts.append(n)

        threads = [threading.Thread(target=one) for _ in range(THREADS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if errors:
            raise SystemExit(f"under load: {errors[0]!r}")
        return sum(counts)


def cpu_seconds(pids: list[int]) -> float:
    """Return the user and system time of processes and their children."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat.parent.name) in pids or int(fields[1]) in pids:
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, []

    def start(self) -> None:
        """Start everything. stop ends what was started, whatever happens meanwhile."""
        folder = self.folder
        socket_folder = Path(tempfile.mkdtemp(prefix="bench-pg"))
        self.postgres = self.keep(start_postgres(socket_folder))
        secret, port = new_secret(), free_port()
        self.ports = {way: free_port() for way in WAYS}  # django-oauth-toolkit compares aud with its own URL
        (folder / "config.toml").write_text(grantor_config(port, secret, self.ports["dot"]))
        binary = os.environ["GRANTOR_BINARY"]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GRANTOR_")}
        command = [binary, "serve", "--config", str(folder / "config.toml")]
        self.grantor = self.keep(subprocess.Popen(command, stdout=subprocess.DEVNULL, env=clean))
        wait_for_port(port)
        self.issuer = f"http://127.0.0.1:{port}"
        self.environ = {
            **os.environ,
            "BENCH_ISSUER": self.issuer,
            "BENCH_SECRET": secret,
            "BENCH_POSTGRES": str(socket_folder),
            "PYTHONPATH": f"{HERE}:{HERE.parent / 'src'}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        key, access = subprocess.run(
            [sys.executable, "-c", PREPARE],
            env={**self.environ, "BENCH_WAY": "none"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        opaque, jwt = self.login("opaque"), self.login("jwt")
        self.tokens = {
            "none": "",
            "token": f"Token {key}",
            "simplejwt": f"Bearer {access}",
            "dot": f"Bearer {self.login('dot')}",
            "introspection": f"Bearer {opaque}",
            "jwt": f"Bearer {jwt}",
            "live": f"Bearer {opaque}",
        }
        self.servers = {way: self.serve(way) for way in WAYS}

    def keep(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        self.processes.append(process)
        return process

    def login(self, client: str) -> str:
        body = f"grant_type=password&client_id={client}&username=ada&password=a+good+password".encode()
        status, said = fetch(
            self.issuer + "/oauth2/token", body, {"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert status == 200, said
        return said["access_token"]

    def serve(self, way: str) -> tuple[int, int]:
        port = self.ports[way]
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--worker-class",
            "gthread",
            "--threads",
            str(THREADS),
            "--log-level",
            "error",
            "--bind",
            f"127.0.0.1:{port}",
            "--keep-alive",
            "600",
            "bench_site:application",
        ]
        p = self.keep(subprocess.Popen(command, env={**self.environ, "BENCH_WAY": way}, cwd=HERE))
        wait_for_port(port)
        Load(port, self.tokens[way]).run(1.0)
        return port, p.pid

    def measure(self, way: str, seconds: float) -> tuple[float, float, float]:
        """Return requests a second, and microseconds of CPU for each: the API's, and those of all."""
        port, pid = self.servers[way]
        api, rest = [pid], [self.grantor.pid, self.postgres.pid, *children(self.postgres.pid)]
        before, others, start = cpu_seconds(api), cpu_seconds(rest), time.monotonic()
        n = Load(port, self.tokens[way]).run(seconds)
        took = time.monotonic() - start
        own, more = cpu_seconds(api) - before, cpu_seconds(rest) - others
        return n / took, own / n * 1e6, (own + more) / n * 1e6

    def stop(self) -> None:
        for p in reversed(self.processes):
            p.terminate()
        for p in self.processes:
            p.wait(20)


def children(pid: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True
    ).stdout.split()
    return [int(x) for x in found]


def table(results: dict[str, list[tuple[float, float, float]]]) -> str:
    middle = {way: [statistics.median(column) for column in zip(*rows)] for way, rows in results.items()}
    base = middle["none"]
    lines = [
        "| authentication | requests a second | to none | API, CPU a request | all, CPU a request | to none |",
        "|---|---|---|---|---|---|",
    ]
    for way, (rps, own, every) in middle.items():
        lines.append(
            f"| {WAYS[way]} | {rps:,.0f} | {rps / base[0]:.2f} | {own:,.0f} µs | {every:,.0f} µs | {every / base[2]:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--output", type=Path)
    o = parser.parse_args()
    results: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            bench.start()
            for _ in range(o.rounds):
                for way in WAYS:
                    results[way].append(bench.measure(way, o.seconds))
        finally:
            bench.stop()
    names = (
        "Django",
        "djangorestframework",
        "djangorestframework-simplejwt",
        "django-oauth-toolkit",
        "gunicorn",
    )
    about = f"Python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in names)
    text = (
        f"One run of `compare.py`: {o.rounds} rounds of {o.seconds:g} s for each way, in turn; medians. One worker of gunicorn with {THREADS}"
        f" threads, {THREADS} connections, PostgreSQL, {os.cpu_count()} cores for everything. {about}.\n\n{table(results)}\n"
    )
    print(text)
    if o.output:
        o.output.write_text(text)


if __name__ == "__main__":
    main()
