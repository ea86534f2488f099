"""What is left of the caller's limits, in headers that clients of the OpenAI API read."""

from __future__ import annotations

from gemstead.api.call import Call, Header
from gemstead.api.services import Services
from gemstead.core.quota import QuotaState


async def headers_left(services: Services, call: Call) -> list[Header]:
    """As things stand now, for more calls like this one."""
    if services.quota is None or call.request is None:
        return []
    return quota_headers(await services.quota(call.request))


def quota_headers(state: QuotaState | None) -> list[Header]:
    """Of requests and of tokens, the limit that has least left. Nothing for what is not limited.

    Source: OpenAI API reference, "Rate limits in headers" (November 2026): times as `6m0s`.
    """
    if state is None:
        return []
    headers: list[Header] = []
    for name, room in (("requests", state.requests), ("tokens", state.tokens)):
        if room is not None:
            headers += [
                (f"x-ratelimit-limit-{name}".encode(), str(room.limit).encode()),
                (f"x-ratelimit-remaining-{name}".encode(), str(room.remaining).encode()),
                (f"x-ratelimit-reset-{name}".encode(), _duration(room.reset_s).encode()),
            ]
    return headers


def _duration(seconds: float) -> str:
    """`250ms`, `12s`, `6m0s`, `23h5m0s`, as Go prints durations; rounded up."""
    if seconds < 1:
        return f"{-(-seconds * 1000 // 1):.0f}ms"
    whole_s = int(-(-seconds // 1))
    hours, rest_s = divmod(whole_s, 3600)
    minutes, left_s = divmod(rest_s, 60)
    if hours:
        return f"{hours}h{minutes}m{left_s}s"
    return f"{minutes}m{left_s}s" if minutes else f"{left_s}s"
