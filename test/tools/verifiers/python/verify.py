"""Gives JWTs of a running Grantor to the verifiers of others in Python, and writes a line of JSON for each.

python verify.py tokens.json
"""

import json
import ssl
import sys
import urllib.request
from importlib.metadata import version

import django
import jwt as pyjwt
from authlib.jose import JsonWebKey
from authlib.jose import JsonWebToken
from django.conf import settings
from jose import jwt as python_jose
from jwcrypto import jwk, jwt as jwcrypto_jwt

with open(sys.argv[1], encoding="utf-8") as f:
    given = json.load(f)
settings.configure(SECRET_KEY="of nothing", INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"])
django.setup()
with urllib.request.urlopen(given["jwks_uri"], context=ssl.create_default_context()) as answer:
    key_set = answer.read().decode()


def by_pyjwt(token, alg):
    key = pyjwt.PyJWKClient(given["jwks_uri"]).get_signing_key_from_jwt(token)
    pyjwt.decode(token, key, algorithms=[alg], audience=given["audience"], issuer=given["issuer"])


def by_python_jose(token, alg):
    kid = python_jose.get_unverified_header(token)["kid"]
    key = next(k for k in json.loads(key_set)["keys"] if k["kid"] == kid)  # of a mixed set it takes the first
    python_jose.decode(
        token, key, algorithms=[alg], audience=given["audience"], issuer=given["issuer"]
    )


def by_jwcrypto(token, alg):
    keys = jwk.JWKSet.from_json(key_set)
    jwcrypto_jwt.JWT(
        jwt=token, key=keys, algs=[alg], check_claims={"aud": given["audience"], "iss": given["issuer"]}
    )


def by_simplejwt(token, alg):
    from rest_framework_simplejwt.backends import TokenBackend

    TokenBackend(
        alg, audience=given["audience"], issuer=given["issuer"], jwk_url=given["jwks_uri"]
    ).decode(token)


def by_authlib(token, alg):
    claims = JsonWebToken([alg]).decode(
        token,
        JsonWebKey.import_key_set(json.loads(key_set)),
        claims_options={"iss": {"value": given["issuer"]}, "aud": {"value": given["audience"]}},
    )
    claims.validate()


VERIFIERS = {
    "PyJWT": by_pyjwt,
    "python-jose": by_python_jose,
    "jwcrypto": by_jwcrypto,
    "djangorestframework-simplejwt": by_simplejwt,
    "Authlib": by_authlib,
}

for name, verify in VERIFIERS.items():
    for t in given["tokens"]:
        try:
            verify(t["token"], t["alg"])
            error = ""
        except Exception as e:  # whatever a verifier says
            error = f"{type(e).__name__}: {e}"
        print(
            json.dumps(
                {"verifier": name, "version": version(name), "alg": t["alg"], "typ": t["typ"], "error": error}
            )
        )
