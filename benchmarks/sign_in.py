"""What the lock costs a call: a key, a wrong key, a token, a token known already; and the look for changes.

python -m benchmarks.sign_in [--rounds 20000]
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from gemstead import __version__
from gemstead.access.key_ring import KeyRing
from gemstead.access.key_store import KeyStore
from gemstead.access.keys import new_key
from gemstead.access.lock import Lock
from gemstead.access.records import KeyFields
from gemstead.access.signing_keys import SigningKeys
from gemstead.access.tokens import TokenRules, Tokens
from gemstead.core.errors import SignInRefused
from gemstead.store.database import open_database

ISSUER = "http://127.0.0.1:1"
NUM_KEYS = 1000
NUM_BATCHES = 9


async def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "gemstead.db")
        writing, reading = database.raw(), database.raw()
        store = KeyStore(writing, lambda: b"p" * 32)
        texts = [store.create(KeyFields(name=f"k{n}"), now_s=0.0, created_by="")[0].text for n in range(NUM_KEYS)]
        key = ec.generate_private_key(ec.SECP256R1())
        lock = make_lock(KeyStore(reading, lambda: b""), key)
        token = jwt.encode(
            {"iss": ISSUER, "aud": "a", "sub": "s", "exp": time.time() + 9999}, key, "ES256", headers={"kid": "k"}
        )
        wrong = new_key().text
        look = KeyStore(reading, lambda: b"").change_number

        async def key_call(number: int) -> None:
            lock.is_required()
            await lock.identify(texts[number % NUM_KEYS], "192.0.2.1")

        async def wrong_call(number: int) -> None:
            try:
                await lock.identify(wrong, f"10.{number % 200}.{number // 200 % 250}.1")
            except SignInRefused:
                return

        async def known_call(_number: int) -> None:
            await lock.identify(token, "192.0.2.1")

        async def new_token_call(_number: int) -> None:
            await lock._tokens.check(token)  # type: ignore[union-attr]

        async def look_call(_number: int) -> None:
            look()

        print(f"gemstead {__version__}, Python {platform.python_version()}, {platform.machine()}, {NUM_KEYS} keys")
        for name, call, share in (
            ("a valid key", key_call, 1),
            ("a wrong key", wrong_call, 1),
            ("a known token (ES256)", known_call, 1),
            ("a new token (ES256)", new_token_call, 20),
            ("the look for changes", look_call, 1),
        ):
            await report(name, call, max(10, rounds // share))
        writing.close()
        reading.close()


def make_lock(store: KeyStore, key: ec.EllipticCurvePrivateKey) -> Lock:
    jwk = jwt.get_algorithm_by_name("ES256").to_jwk(key.public_key(), as_dict=True)  # type: ignore[call-overload]

    async def fetch(address: str) -> bytes:
        if address.endswith("configuration"):
            return msgspec.json.encode({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"})
        return msgspec.json.encode({"keys": [{**jwk, "kid": "k"}]})

    tokens = Tokens(TokenRules(issuer=ISSUER, audience=("a",)), SigningKeys(ISSUER, fetch))
    return Lock(KeyRing(store, lambda: b"p" * 32), tokens=tokens)


async def report(name: str, call: Callable[[int], Awaitable[None]], rounds: int) -> None:
    await call(0)
    batches = []
    for _ in range(NUM_BATCHES):
        begin_s = time.process_time()
        for number in range(rounds // NUM_BATCHES):
            await call(number)
        batches.append((time.process_time() - begin_s) / (rounds // NUM_BATCHES) * 1e6)
    print(f"{name:24} {statistics.median(batches):8.2f} us CPU  ({min(batches):.2f} to {max(batches):.2f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20_000)
    asyncio.run(main(parser.parse_args().rounds))
