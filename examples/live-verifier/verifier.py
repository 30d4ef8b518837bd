"""Checks Grantor's access tokens in memory, and refuses a revoked one within the lease."""

import base64, hashlib, http.client, json, random, secrets, threading, time
from urllib import error, parse, request

RETENTION = 24 * 3600 + 120  # seconds: no access token is valid longer


class NoRedirects(request.HTTPRedirectHandler):
    def redirect_request(self, *unused):
        return None  # credentials and tokens go to the URL that the metadata names


OPENER = request.build_opener(NoRedirects)


class Verifier:
    def __init__(self, issuer, client_id, client_secret):
        credentials = ":".join(parse.quote_plus(text) for text in (client_id, client_secret))
        self.headers = {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}
        self.issuer, self.lock = issuer, threading.Lock()
        self.ended, self.kept = {}, {}  # name: when to forget it; token's hash: (answer, generation)
        self.generation, self.keep_from, self.not_before = 0, 0.0, 0
        self.fresh_until = (0.0, 0.0)  # by the wall clock and by the steady clock
        with request.urlopen(issuer + "/.well-known/oauth-authorization-server", timeout=5) as answer:
            self.metadata = json.load(answer)
        threading.Thread(target=self._follow, daemon=True).start()

    def check(self, token):
        """Returns the answer about an active token, or None. OSError, ValueError: not known, say 503."""
        key = hashlib.sha256(token.encode()).digest()
        with self.lock:
            kept = self.kept.get(key)
            if kept and self._fresh() and self._good(*kept):
                return kept[0]
            generation, asked = self.generation, time.monotonic()
        answer = self._post("introspection_endpoint", 3, token=token, follow="true")
        if not answer.get("active") or answer["token_type"] != "Bearer" or "cnf" in answer:  # no refresh or bound token
            return None
        answer["until"] = min(answer.get("exp", float("inf")), time.time() + 3600)  # an API key may have no exp
        with self.lock:
            if "position" in answer and asked >= self.keep_from and self._fresh() and self._good(answer, generation):
                if len(self.kept) >= 10_000:
                    self.kept.clear()
                self.kept[key] = answer, generation
        return answer

    def _fresh(self):
        return time.time() < self.fresh_until[0] and time.monotonic() < self.fresh_until[1]

    def _good(self, answer, generation):
        """Says whether an answer to a question of that generation may be used now."""
        if not answer.get("rev") or answer.get("sub_type") == "user" and not answer.get("sid"):
            return False  # nobody could end it
        names = [answer["jti"], answer.get("sid"), *answer["rev"]]
        return (generation == self.generation and not any(name in self.ended for name in names)
                and answer["iss"] == self.issuer and answer["iat"] >= self.not_before and time.time() < answer["until"])

    def _follow(self):
        position, lease = "", 1.0
        while True:
            sent, echo = (time.time(), time.monotonic()), secrets.token_urlsafe(16)
            try:
                answer = self._post("revocation_feed_endpoint", 10, after=position, echo=echo)
                if answer["echo"] != echo:
                    raise ValueError("the answer is to another poll")
                position, lease = self._apply(answer, sent)
            except Exception as failure:  # this thread must not end
                code = failure.code if isinstance(failure, error.HTTPError) else 0
                if code == 400:  # no position of this server: begin anew
                    position = ""
                    with self.lock:
                        self.generation, self.fresh_until = self.generation + 1, (0.0, 0.0)
                if code in (401, 403):
                    self.fresh_until = (0.0, 0.0)
                time.sleep(random.uniform(10, 20) if code in (401, 403) else random.uniform(0, lease / 4))

    def _apply(self, answer, sent):
        with self.lock:
            now, lease = time.monotonic(), answer["lease"]
            if answer.get("reset"):
                self.generation, self.fresh_until = self.generation + 1, (0.0, 0.0)
            for name in answer.get("ended") or []:
                if name in ("*", "?"):
                    self.generation += 1
                    self.keep_from = max(self.keep_from, now + lease + (10 if name == "?" else 0))
                self.ended.pop(name, None)
                self.ended[name] = now + RETENTION
            while self.ended and next(iter(self.ended.values())) < now:
                del self.ended[next(iter(self.ended))]
            self.not_before = answer.get("not_before", 0)
            if answer["complete"]:  # last: the lease rests on all of the above
                self.fresh_until = (sent[0] + lease, sent[1] + lease)
            return answer["position"], lease

    def _post(self, endpoint, timeout, **form):
        body = parse.urlencode(form).encode()
        try:
            with OPENER.open(request.Request(self.metadata[endpoint], body, self.headers), timeout=timeout) as answer:
                return json.load(answer)
        except http.client.HTTPException as failure:  # the answer breaks off
            raise OSError(f"{endpoint}: {type(failure).__name__}") from None
