"""An API that takes Grantor's tokens: opaque ones, or with TOKENS=jwt its JWTs."""

import os

import requests
from authlib.integrations.flask_oauth2 import current_token
from flask import Flask, jsonify

from validators import Introspection, JWTs, Protector

issuer = os.environ["ISSUER"]
require_oauth = Protector()
if os.environ.get("TOKENS") == "jwt":
    audience = os.environ.get("AUDIENCE", "https://orders.example.com")
    require_oauth.register_token_validator(JWTs(issuer, audience))
else:
    client = os.environ["GRANTOR_CLIENT_ID"], os.environ["GRANTOR_CLIENT_SECRET"]
    require_oauth.register_token_validator(Introspection(issuer, *client))

app = Flask(__name__)


@app.get("/orders")
@require_oauth("orders:read")
def list_orders():
    return {"for": current_token["sub"], "orders": ["apples", "pears"]}


@app.post("/orders")
@require_oauth("orders:write")
def create_order():
    return {"created": True}, 201


@app.errorhandler(requests.RequestException)
def unavailable(error):
    app.logger.error("Grantor cannot be asked: %s", type(error).__name__)
    return jsonify(error="temporarily_unavailable"), 503, {"Retry-After": "1"}  # not 401: the token may be good


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "8081")))
