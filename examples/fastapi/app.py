"""An API that takes Grantor's tokens: opaque ones, or with TOKENS=jwt its JWTs."""

import os
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Security

from introspection import Introspection
from jwks import KeySet

issuer = os.environ["ISSUER"]
if os.environ.get("TOKENS") == "jwt":
    token = KeySet(issuer, os.environ.get("AUDIENCE", "https://orders.example.com"))
else:
    token = Introspection(issuer, os.environ["GRANTOR_CLIENT_ID"], os.environ["GRANTOR_CLIENT_SECRET"])

app = FastAPI()


@app.get("/orders")
def list_orders(about: Annotated[dict, Security(token, scopes=["orders:read"])]):
    return {"for": about["sub"], "orders": ["apples", "pears"]}


@app.post("/orders", status_code=201, dependencies=[Security(token, scopes=["orders:write"])])
def create_order():
    return {"created": True}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8081")))
