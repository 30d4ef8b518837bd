"""A client that gets tokens by its id and secret (RFC 6749 §4.4), and calls an API with them."""

import base64, json, os, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from urllib import error, parse, request


class NoRedirects(request.HTTPRedirectHandler):
    def redirect_request(self, *unused):
        return None  # secrets and tokens go to the URL that you wrote, and to no other


OPENER = request.build_opener(NoRedirects)


class Refused(Exception):
    """Grantor refuses the client or its request. To repeat the request does not help."""


class Tokens:
    """Keeps one token for all threads, and gets the next one shortly before it expires."""

    def __init__(self, issuer, client_id, client_secret, scope):
        pair = f"{parse.quote_plus(client_id)}:{parse.quote_plus(client_secret)}"  # RFC 6749 §2.3.1
        self.url = issuer + "/oauth2/token"
        self.headers = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        self.form = parse.urlencode({"grant_type": "client_credentials", "scope": scope}).encode()
        self.lock = threading.Lock()
        self.token, self.renew_at = None, 0.0

    def get(self, refused=None):
        """Returns a token. refused is a token that an API answered with 401."""
        with self.lock:  # the first caller asks, the others wait for its answer
            if self.token in (None, refused) or time.monotonic() >= self.renew_at:
                asked = time.monotonic()
                answer = self._ask()
                lifetime = answer["expires_in"]  # seconds
                self.token = answer["access_token"]
                self.renew_at = asked + lifetime - min(30, lifetime / 4)
            return self.token

    def _ask(self):
        for attempt in range(4):
            try:
                with OPENER.open(request.Request(self.url, self.form, self.headers), timeout=10) as answer:
                    return json.load(answer)
            except error.HTTPError as failure:
                text = failure.read().decode(errors="replace")
                wait = int(failure.headers.get("Retry-After") or 2**attempt)
                if failure.code not in (429, 500, 502, 503, 504) or attempt == 3 or wait > 60:
                    raise Refused(f"{failure.code} {text}") from None
            except OSError:  # no answer at all
                if attempt == 3:
                    raise
                wait = 2**attempt
            time.sleep(wait)


def call(tokens, url):
    """Asks the API, and once more with another token if the API refuses the first one."""
    token = tokens.get()
    for last in (False, True):
        try:
            with OPENER.open(request.Request(url, headers={"Authorization": f"Bearer {token}"}), timeout=10) as answer:
                return answer.status
        except error.HTTPError as failure:
            if failure.code != 401 or last:
                return failure.code
            token = tokens.get(refused=token)


if __name__ == "__main__":
    tokens = Tokens(os.environ["ISSUER"], os.environ["GRANTOR_CLIENT_ID"], os.environ["GRANTOR_CLIENT_SECRET"], "orders:read")
    try:
        with ThreadPoolExecutor() as pool:
            print(*pool.map(lambda _: call(tokens, os.environ["ORDERS"]), range(3)))
    except (Refused, OSError) as failure:
        sys.exit(f"no token: {failure}")
