"""An agent that calls one tool of an MCP server. It knows the server's URL and its own credentials."""

import asyncio
import os
import sys

import httpx2
from mcp import Client
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.streamable_http import streamable_http_client


class Memory:
    """Keeps the token while the agent runs."""

    tokens = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return None

    async def set_client_info(self, client_info):
        pass


def credentials():
    """The agent's own: a secret, or with CLIENT_KEY a private key. issuer keeps them from every other server."""
    client_id, issuer = os.environ["CLIENT_ID"], os.environ["ISSUER"]
    common = {"server_url": os.environ["MCP_URL"], "storage": Memory(), "client_id": client_id, "issuer": issuer}
    if "CLIENT_KEY" not in os.environ:
        return ClientCredentialsOAuthProvider(client_secret=os.environ["CLIENT_SECRET"], **common)
    with open(os.environ["CLIENT_KEY"]) as file:
        key = file.read()
    signed = SignedJWTParameters(issuer=client_id, subject=client_id, signing_key=key, signing_algorithm="ES256")
    return PrivateKeyJWTOAuthProvider(assertion_provider=signed.create_assertion_provider(), **common)


async def call(tool, arguments):
    async with httpx2.AsyncClient(auth=credentials()) as http:
        async with Client(streamable_http_client(os.environ["MCP_URL"], http_client=http)) as client:
            result = await client.call_tool(tool, arguments)
            if result.is_error:
                raise SystemExit(result.content[0].text)
            print(result.content[0].text)


if len(sys.argv) > 1:
    asyncio.run(call("add_note", {"text": sys.argv[1]}))
else:
    asyncio.run(call("list_notes", {}))
