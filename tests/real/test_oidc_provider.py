"""An identity provider on a real socket, and a door that trusts it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from door_fakes import FakeEngine, fake_services, serving
from gemstead.access.key_ring import KeyRing
from gemstead.access.key_store import KeyStore
from gemstead.access.lock import Lock
from gemstead.access.signing_keys import MAX_DOCUMENT_BYTES, SigningKeys, fetch
from gemstead.access.tokens import TokenRules, Tokens
from gemstead.store.database import Database, open_database


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_database(tmp_path / "gemstead.db")


class Provider:
    def __init__(self) -> None:
        self.url = ""
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.kid = "first"
        self.num_asked = 0

    async def discover(self, _request: web.Request) -> web.Response:
        self.num_asked += 1
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})

    async def keys(self, _request: web.Request) -> web.Response:
        made = jwt.get_algorithm_by_name("ES256").to_jwk(self.key.public_key(), as_dict=True)  # type: ignore[call-overload]
        return web.json_response({"keys": [{**made, "kid": self.kid, "use": "sig"}]})

    async def huge(self, _request: web.Request) -> web.Response:
        return web.Response(body=b"x" * (MAX_DOCUMENT_BYTES + 1))

    async def elsewhere(self, _request: web.Request) -> web.Response:
        raise web.HTTPFound(f"{self.url}/keys")

    def token(self, **claims: Any) -> str:
        now_s = int(time.time())
        given = {"iss": self.url, "aud": "gemstead", "sub": "u-17", "exp": now_s + 300} | claims
        return jwt.encode(given, self.key, algorithm="ES256", headers={"kid": self.kid})


@asynccontextmanager
async def running(provider: Provider, port: int = 0) -> AsyncIterator[Provider]:
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider.discover)
    app.router.add_get("/keys", provider.keys)
    app.router.add_get("/huge", provider.huge)
    app.router.add_get("/elsewhere", provider.elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()


@asynccontextmanager
async def door(database: Database, provider: Provider, clock: list[float]) -> AsyncIterator[aiohttp.ClientSession]:
    connection = database.raw()
    ring = KeyRing(KeyStore(connection, lambda: b""), lambda: b"p" * 32)
    keys = SigningKeys(provider.url, fetch, clock=lambda: clock[0])
    tokens = Tokens(TokenRules(issuer=provider.url, audience=("gemstead",)), keys)
    services = fake_services(FakeEngine(), sign_in=Lock(ring, tokens=tokens))
    async with serving(services) as url, aiohttp.ClientSession(url) as client:
        yield client
    connection.close()


async def status(client: aiohttp.ClientSession, token: str | None) -> int:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with client.get("/v1/models", headers=headers) as response:
        return response.status


async def test_a_token_opens_the_door_through_discovery_key_change_and_an_issuer_that_goes_down(
    database: Database,
) -> None:
    clock = [1000.0]
    async with running(Provider()) as provider:
        port = int(provider.url.rpartition(":")[2])
        async with door(database, provider, clock) as client:
            assert await status(client, None) == 401
            assert await status(client, provider.token()) == 200
            assert await status(client, provider.token(aud="another")) == 401
            assert await status(client, provider.token(exp=1)) == 401
            assert provider.num_asked == 1
            provider.key, provider.kid = ec.generate_private_key(ec.SECP256R1()), "second"
            clock[0] += 60.0
            assert await status(client, provider.token()) == 200
            assert provider.num_asked == 2
    # The provider is gone; what it said last still holds, and a key it has not told of is nobody's fault.
    async with door(database, provider, clock) as client:
        assert await status(client, provider.token()) == 503
        async with running(provider, port):
            clock[0] += 60.0
            assert await status(client, provider.token()) == 200
        clock[0] += 7200.0
        assert await status(client, provider.token(sub="another")) == 200


async def test_a_document_that_is_too_large_or_elsewhere_or_missing_is_not_taken() -> None:
    async with running(Provider()) as provider:
        for path in ("huge", "elsewhere", "nothing"):
            with pytest.raises(OSError, match=path):
                await fetch(f"{provider.url}/{path}")
