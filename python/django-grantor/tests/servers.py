"""Starts a Grantor and a Redis for the tests, and stand-ins that misbehave."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from base64 import b64encode
from hashlib import pbkdf2_hmac
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote_plus, urlencode
from urllib.request import Request, urlopen

from django_grantor.generate.secret import hash_secret, new_secret

PASSWORD = "correct horse battery staple"
AUDIENCE = "https://orders.example.com"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def hash_password(password: str) -> str:
    digest = pbkdf2_hmac("sha256", password.encode(), b"saltsalt", 1000)
    return f"pbkdf2_sha256$1000$saltsalt${b64encode(digest).decode()}"


class Redis:
    """A redis-server of our own."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        assert program, "redis-server is not on PATH"
        self.port = free_port()
        self._process = subprocess.Popen(
            [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
            stdout=subprocess.DEVNULL,
        )
        wait_for_port(self.port)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def wait_for_port(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port}")


class Grantor:
    """The real server, with clients and users of every kind."""

    def __init__(self, folder: Path, redis: Redis, *, prefix: str = "kit:") -> None:
        self.binary = os.environ["GRANTOR_BINARY"]
        self.port, self.admin_port = free_port(), free_port()
        self.issuer, self.admin_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.admin_port}"
        names = ("orders-api", "machine", "jwt-machine", "admin", "weak-admin", "own-api")
        self.secrets = {name: new_secret() for name in names}
        self.config, self.log = folder / "config.toml", folder / "grantor.log"
        self.config.write_text(self._text(redis, prefix))
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def _text(self, redis: Redis, prefix: str) -> str:
        h = {name: f'secrets = [{{ hash = "{hash_secret(s)}" }}]' for name, s in self.secrets.items()}
        users = "".join(
            f'[[users.config]]\nid = "{sub}"\nusername = "{name}"\npassword_hash = "{hash_password(PASSWORD)}"\n'
            for sub, name in (
                ("1001", "ada"),
                ("1002", "bob"),
                ("1003", "eve"),
                ("9999", "nobody"),
                ("01001", "zero"),
            )
        )
        return f"""
issuer = "{self.issuer}"
listen = "127.0.0.1:{self.port}"
store = "redis"
[redis]
url = "redis://127.0.0.1:{redis.port}"
prefix = "{prefix}"
[server]
shutdown_delay = "0s"
[admin]
listen = "127.0.0.1:{self.admin_port}"
[keys]
encryption_key = "0123456789abcdef0123456789abcdef"
[grants]
password = true
[limits]
client_failures = -1
[log]
level = "debug"
format = "json"
[audit]
output = ""
[users]
source = "config"
scope = "orders:read orders:write"
{users}
[scopes]
"orders:read" = {{ resource = "{AUDIENCE}" }}
"orders:write" = {{ resource = "{AUDIENCE}" }}
"other:read" = {{ resource = "https://other.example.com" }}
[[clients]]
client_id = "orders-api"
introspect = "any"
{h["orders-api"]}
[[clients]]
client_id = "own-api"
introspect = "own"
{h["own-api"]}
[[clients]]
client_id = "machine"
grant_types = ["client_credentials"]
scope = "orders:read orders:write other:read"
default_scope = "orders:read"
{h["machine"]}
[[clients]]
client_id = "jwt-machine"
grant_types = ["client_credentials"]
scope = "orders:read other:read"
default_scope = "orders:read"
access_token_format = "jwt"
{h["jwt-machine"]}
[[clients]]
client_id = "admin"
grant_types = ["client_credentials"]
scope = "grantor:admin"
{h["admin"]}
[[clients]]
client_id = "weak-admin"
grant_types = ["client_credentials"]
scope = "grantor:clients"
{h["weak-admin"]}
[[clients]]
client_id = "app"
token_endpoint_auth_method = "none"
grant_types = ["password", "refresh_token"]
scope = "orders:read orders:write"
default_scope = "orders:read"
"""

    def _environ(self) -> dict[str, str]:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.config.parent)}
        if off := os.environ.get("GRANTOR_TEST_HTTP1"):  # "false": net/http alone reads the requests
            environ["GRANTOR_SERVER__HTTP1"] = off
        return environ

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binary, "serve", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                env=self._environ(),
            )
        wait_for_port(self.port)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def pause(self) -> None:
        """Stop every thread, and wait until they have stopped."""
        self._process.send_signal(signal.SIGSTOP)
        tasks, end = Path(f"/proc/{self._process.pid}/task"), time.monotonic() + 10
        while tasks.exists() and time.monotonic() < end:
            if {(t / "stat").read_text().rpartition(")")[2].split()[0] for t in tasks.iterdir()} == {"T"}:
                return
            time.sleep(0.005)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def post(self, path: str, form: dict[str, str], client: str = "") -> tuple[int, dict]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if client:
            pair = f"{quote_plus(client)}:{quote_plus(self.secrets[client])}"
            headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
        return fetch(self.issuer + path, urlencode(form).encode(), headers)

    def token(self, client: str = "machine", scope: str = "") -> str:
        form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
        status, said = self.post("/oauth2/token", form, client)
        assert status == 200, said
        return said["access_token"]

    def api_key(self, *more: str) -> str:
        """Make an API key of the machine by the command line."""
        made = subprocess.run(
            [
                self.binary,
                "key",
                "create",
                "machine",
                "--name",
                "test",
                "--scope",
                "orders:read",
                "--expires",
                "1h",
                "--json",
                "--config",
                str(self.config),
                *more,
            ],
            check=True,
            capture_output=True,
            env=self._environ(),
        )
        return str(json.loads(made.stdout)["api_key"])

    def login(self, username: str, scope: str = "", password: str = PASSWORD) -> dict:
        form = {"grant_type": "password", "client_id": "app", "username": username, "password": password}
        status, said = self.post("/oauth2/token", {**form, **({"scope": scope} if scope else {})})
        assert status == 200, said
        return said

    def revoke(self, token: str, client: str = "machine") -> None:
        status, said = self.post("/oauth2/revoke", {"token": token}, client)
        assert status == 200, said

    def is_active(self, token: str) -> bool:
        return self.post("/oauth2/introspect", {"token": token}, "orders-api")[1]["active"]


def fetch(url: str, body: bytes | None = None, headers: dict | None = None) -> tuple[int, dict]:
    from urllib.error import HTTPError

    try:
        with urlopen(Request(url, body, headers or {}), timeout=10) as r:
            return r.status, json.loads(r.read() or b"{}")
    except HTTPError as e:
        with e:
            text = e.read()
        return e.code, json.loads(text) if text.startswith(b"{") else {"text": text.decode()}


class Stub:
    """A stand-in for an authorization server. answers: by path, a function of the handler."""

    def __init__(self, answers: dict, *, certificate: tuple[Path, Path] | None = None) -> None:
        stub = self
        self.requests: list[str] = []
        self.answers = answers

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(length)
                stub.requests.append(f"{self.command} {self.path}")
                answer = stub.answers.get(self.path)
                if answer is None:
                    return reply(self, 404, {})
                return answer(self) if callable(answer) else reply(self, 200, answer)

            do_POST = do_DELETE = do_GET

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *args: object) -> None:
                pass  # a client that went away is what some tests are about

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.url = self.url.replace("http:", "https:")
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def reply(
    handler: BaseHTTPRequestHandler, status: int, said: object, media: str = "application/json"
) -> None:
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", media)
    handler.send_header("Content-Length", str(len(text)))
    handler.end_headers()
    handler.wfile.write(text)


def sockets_of(pid: int | str = "self") -> int:
    """Count the open sockets of a process."""
    count = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            count += os.readlink(fd).startswith("socket:")
        except OSError:
            continue
    return count


def secrets_in(log: Path, secrets: list[str]) -> list[str]:
    text = log.read_text(errors="replace")
    return [s for s in secrets if s in text or re.escape(s) in text]
