"""An application that answers Grantor's questions about its users: POST /grantor."""

import hashlib, hmac, json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["SECRET"].encode()  # [users.http] secret: 32 bytes or more
SALT = os.urandom(16)


def hashed(password):
    return hashlib.scrypt(password.encode(), salt=SALT, n=2**14, r=8, p=1)


USERS = {"ada": {"sub": "u-1", "scope": "orders:read", "hash": hashed(os.environ["PASSWORD"])}}  # your table


def signed(header, body):
    """Says whether Grantor wrote the body, less than five minutes ago."""
    try:
        parts = dict(part.split("=", 1) for part in header.split(","))
        fresh = abs(time.time() - int(parts["t"])) < 300
        right = hmac.new(SECRET, parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        return fresh and hmac.compare_digest(right, parts["v1"])
    except (KeyError, ValueError, TypeError):
        return False


def answer(question):
    if "sub" in question:  # a refresh: is this user still welcome?
        name = next((name for name, user in USERS.items() if user["sub"] == question["sub"]), None)
        if name is None:
            return 401, {}
    else:
        name = question["username"].lower()
        user = USERS.get(name)
        given = hashed(question["password"])  # for unknown names too: both take the same time
        if user is None:
            return 401, {}
        if not hmac.compare_digest(given, user["hash"]):
            return 401, {"sub": user["sub"]}  # the failure counts for this user
    user = USERS[name]
    return 200, {"sub": user["sub"], "username": name, "scope": user["scope"], "credential": user["hash"].hex()}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 65536))
        if self.path != "/grantor" or not signed(self.headers.get("Grantor-Signature", ""), body):
            status, said = 403, {}  # neither yes nor no: Grantor answers its client 503
        else:
            status, said = answer(json.loads(body))
        text = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
