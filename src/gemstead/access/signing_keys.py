"""The keys an identity provider signs with: found by discovery, kept, asked for again when they change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import msgspec

from gemstead.core.errors import SignInUnavailable

MAX_DOCUMENT_BYTES = 1024 * 1024
MAX_KEYS = 64
FETCH_LIMIT_S = 5.0
FRESH_S = 3600.0
"""How long the keys are used without asking again."""
STALE_S = 86_400.0
"""How long they are used while the provider does not answer."""
MIN_INTERVAL_S = 30.0
"""Between two fetches, whatever callers send: a token with a made-up key id must not become a request each."""

KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}

Fetch = Callable[[str], Awaitable[bytes]]


class SigningKeys:
    """The public keys of one issuer. Source: OpenID Connect Discovery 1.0, section 4; RFC 7517."""

    def __init__(self, issuer: str, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer.rstrip("/")
        self._fetch = fetch
        self._clock = clock
        self._keys: tuple[dict[str, Any], ...] = ()
        self._fetched_s = self._tried_s = float("-inf")
        self._failure = ""
        self._lock = asyncio.Lock()

    async def candidates(self, key_id: str | None, algorithm: str) -> list[dict[str, Any]]:
        """The JWKs that may have made a signature; none: it is nobody's.

        Raises: SignInUnavailable if the provider does not answer and its keys are not known, or too old.
        """
        if not self._is_fresh():
            await self._refresh()
        found = self._fitting(key_id, algorithm)
        if not found:
            await self._refresh()
            found = self._fitting(key_id, algorithm)
        if not found and self._failure:
            raise self._unavailable()  # it may be a new key, and nobody is there to say so
        return found

    def _fitting(self, key_id: str | None, algorithm: str) -> list[dict[str, Any]]:
        fitting = [jwk for jwk in self._keys if _fits(jwk, algorithm)]
        if key_id is not None:
            return [jwk for jwk in fitting if jwk.get("kid") == key_id]
        return fitting if len(fitting) == 1 else []

    def _is_fresh(self) -> bool:
        return self._clock() - self._fetched_s < FRESH_S

    async def _refresh(self) -> None:
        """At most once in `MIN_INTERVAL_S`; of callers at the same time one asks, and the others wait for it."""
        async with self._lock:
            if self._clock() - self._tried_s >= MIN_INTERVAL_S:
                self._tried_s = self._clock()
                try:
                    self._keys = await self._ask()
                    self._fetched_s, self._failure = self._clock(), ""
                except (OSError, TimeoutError, ValueError) as exc:
                    self._failure = str(exc)[:200] or type(exc).__name__
        if self._failure and self._clock() - self._fetched_s > STALE_S:
            raise self._unavailable()

    async def _ask(self) -> tuple[dict[str, Any], ...]:
        document = _object(await self._fetch(f"{self._issuer}/.well-known/openid-configuration"))
        told = document.get("issuer")
        if not isinstance(told, str) or told.rstrip("/") != self._issuer:
            raise ValueError(f"the discovery document is of another issuer: {str(told)[:100]!r}")
        address = document.get("jwks_uri")
        if not isinstance(address, str):
            raise ValueError("the discovery document names no jwks_uri")
        check_transport(address)
        keys = _object(await self._fetch(address)).get("keys")
        if not isinstance(keys, list):
            raise ValueError("the key set has no keys")
        return tuple(jwk for jwk in keys[:MAX_KEYS] if isinstance(jwk, dict))

    def _unavailable(self) -> SignInUnavailable:
        return SignInUnavailable(
            "the identity provider cannot be asked for its keys", why=self._failure, retry_after_s=MIN_INTERVAL_S
        )


def check_transport(address: str) -> None:
    """Keys that came over plain HTTP could be anybody's. Raises: ValueError unless it is HTTPS, or this machine."""
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname or "")):
        return
    raise ValueError(f"{address[:200]} is neither https nor on this machine")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def fetch(address: str) -> bytes:
    """The body at an address, bounded in time and size; no redirect is followed. Raises: OSError, TimeoutError."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=FETCH_LIMIT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.get(address, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise OSError(f"{address} answered {response.status}")
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > MAX_DOCUMENT_BYTES:
                    raise OSError(f"{address} is larger than {MAX_DOCUMENT_BYTES} bytes")
            return bytes(content)
    except aiohttp.ClientError as exc:
        raise OSError(f"{address}: {exc}") from exc


def _object(content: bytes) -> dict[str, Any]:
    """Raises: ValueError (which msgspec's own error is)."""
    return msgspec.json.decode(content, type=dict[str, Any])


def _fits(jwk: dict[str, Any], algorithm: str) -> bool:
    """Whether this key may check signatures of that algorithm. A symmetric key in a public set never does."""
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        return False
    return jwk.get("kty") == KINDS.get(algorithm[:2]) and jwk.get("crv") == CURVES.get(algorithm, jwk.get("crv"))
