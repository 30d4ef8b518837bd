"""Tests of orders.py against a real Grantor: python3 -m unittest"""

import threading
import unittest
import urllib.error
import urllib.request

from grantor_server import TestServer
from orders import Introspection, serve


class OrdersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.grantor = TestServer()
        cls.addClassCleanup(cls.grantor.close)
        introspect = Introspection(cls.grantor.issuer, **cls.grantor.api)
        api = serve(introspect)
        threading.Thread(target=api.serve_forever, daemon=True).start()
        cls.addClassCleanup(api.server_close)
        cls.addClassCleanup(api.shutdown)
        cls.orders = f"http://127.0.0.1:{api.server_port}/orders"

    def get(self, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with urllib.request.urlopen(urllib.request.Request(self.orders, headers=headers)) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get("WWW-Authenticate")

    def test_scope(self):
        self.assertEqual(self.get(self.grantor.token("orders:read"))[0], 200)
        status, challenge = self.get(self.grantor.token("orders:write"))
        self.assertEqual(status, 403)
        self.assertIn('scope="orders:read"', challenge)
        self.assertEqual(self.get(), (401, "Bearer"))

    def test_user(self):
        self.assertIn('"for": "u-1"', self.get(self.grantor.token("orders:read", sub="u-1"))[1])

    def test_revoked_and_expired(self):
        for end in self.grantor.revoke, self.grantor.expire:
            token = self.grantor.token("orders:read")
            self.assertEqual(self.get(token)[0], 200)
            end(token)
            self.assertEqual(self.get(token)[0], 401)

    def test_lifetime(self):
        token = self.grantor.token("orders:read", expires_in=60)
        self.grantor.advance("61s")
        self.assertEqual(self.get(token)[0], 401)

    def test_grantor_fails(self):
        token = self.grantor.token("orders:read")
        self.grantor.fail(requests=1)
        self.assertEqual(self.get(token)[0], 503)
        self.assertEqual(self.get(token)[0], 200)
