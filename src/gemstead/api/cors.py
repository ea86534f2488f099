"""Which web pages may read answers: those of the origins the operator names; none by default.

A page elsewhere cannot call this API with JSON: its browser asks first, and is told nothing.
"""

from __future__ import annotations

from gemstead.api.call import Call, Header

MAX_AGE_S = 600


def cors_headers(call: Call, origins: frozenset[str]) -> list[Header]:
    """What lets the page of the call's Origin read the answer; empty for any origin that is not named."""
    origin = call.header(b"origin") if origins else None
    if origin is None or origin not in origins:
        return []
    exposed = b"x-request-id, request-id, retry-after, x-gemstead-warning, x-gemstead-context, server-timing"
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", exposed),
        (b"vary", b"origin"),
    ]


def is_preflight(call: Call) -> bool:
    """Whether a browser asks if a page may call. Such a call carries no key: it is answered before one is asked for."""
    return call.method == "OPTIONS" and call.header(b"access-control-request-method") is not None


async def answer_preflight(call: Call) -> None:
    """Yes, for every method and header: what is allowed is decided when the call comes, by its key."""
    asked = call.header(b"access-control-request-headers") or ""
    allowed: list[Header] = [
        (b"access-control-allow-methods", b"GET, POST, DELETE"),
        (b"access-control-max-age", b"%d" % MAX_AGE_S),
    ]
    if asked and len(asked) <= 1000 and asked.isascii() and asked.isprintable():
        allowed.append((b"access-control-allow-headers", asked.encode("ascii")))
    await call.answer(200, "text/plain", b"", allowed)
