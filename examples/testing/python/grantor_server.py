"""Starts `grantor serve --trial --test` for the tests of an API, and tells it what to do."""

import json
import os
import subprocess
import urllib.error
import urllib.request


class TestServer:
    """A Grantor in memory, on a free port. `api` holds the credentials of the API under test."""

    __test__ = False  # for pytest: this class is no test

    def __init__(self, program=os.environ.get("GRANTOR", "grantor")):
        self.process = subprocess.Popen(
            [program, "serve", "--trial", "--test", "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        first = self.process.stdout.readline()  # Grantor listens on http://127.0.0.1:41234, issuer …
        if not first:
            raise RuntimeError(f"{program} did not start: run it by hand to see why")
        self.url = first.split()[3].rstrip(",")
        about = self.ask("GET", "")
        self.issuer, self.api, self.app = about["issuer"], about["api"], about["app"]

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, method, path, **body):
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(
            self.url + "/test" + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:  # the test asks for what cannot be
            raise AssertionError(json.load(error)["error_description"]) from None

    def token(self, scope, **more):  # sub, client_id, expires_in, aud, format
        return self.ask("POST", "/tokens", scope=scope, **more)["access_token"]

    def revoke(self, token):
        self.ask("POST", "/revoke", token=token)

    def expire(self, token):
        self.ask("POST", "/expire", token=token)

    def fail(self, status=503, requests=0):
        self.ask("POST", "/fail", status=status, requests=requests)

    def recover(self):
        self.ask("DELETE", "/fail")

    def advance(self, duration):
        self.ask("POST", "/clock", advance=duration)
