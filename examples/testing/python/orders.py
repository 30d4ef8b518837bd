"""An API protected by Grantor, with Python's standard library alone: it introspects each token."""

import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Unavailable(Exception):
    """Grantor did not say whether a token is active."""


class Introspection:
    """Asks Grantor about access tokens (RFC 7662)."""

    def __init__(self, issuer, client_id, client_secret):
        self.url = issuer + "/oauth2/introspect"
        pair = urllib.parse.quote(client_id, "") + ":" + urllib.parse.quote(client_secret, "")
        self.authorization = "Basic " + base64.b64encode(pair.encode()).decode()

    def __call__(self, token):
        """Returns what Grantor says of a token. Its member `active` is always there."""
        body = urllib.parse.urlencode({"token": token}).encode()
        request = urllib.request.Request(self.url, body, {"Authorization": self.authorization})
        try:
            with urllib.request.urlopen(request, timeout=2) as response:
                return json.load(response)
        except (OSError, ValueError) as error:  # HTTPError and URLError are OSErrors
            raise Unavailable(str(error)) from error


class Orders(BaseHTTPRequestHandler):
    """GET /orders, for tokens with the scope orders:read."""

    introspect = None  # an Introspection

    def do_GET(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return self.answer(401, challenge="Bearer")
        try:
            about = self.introspect(token)
        except Unavailable:
            return self.answer(503)  # not 401: the token may be good
        if not about["active"]:
            return self.answer(401, challenge='Bearer error="invalid_token"')
        if "orders:read" not in about["scope"].split():
            return self.answer(403, challenge='Bearer error="insufficient_scope", scope="orders:read"')
        return self.answer(200, {"for": about["sub"], "orders": ["apples", "pears"]})

    def answer(self, status, body=None, challenge=None):
        text = json.dumps(body or {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """The tests read no log."""


def serve(introspect, port=0):
    """Returns a server that is not running yet."""
    handler = type("Handler", (Orders,), {"introspect": staticmethod(introspect)})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


if __name__ == "__main__":
    client = os.environ["GRANTOR_CLIENT_ID"], os.environ["GRANTOR_CLIENT_SECRET"]
    serve(Introspection(os.environ["ISSUER"], *client), 8081).serve_forever()
