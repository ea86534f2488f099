"""How often a crashed engine is started again, and after how long. Pure: the caller brings the time."""

from __future__ import annotations

import msgspec


class RestartPolicy(msgspec.Struct, frozen=True):
    """At most `max_restarts` within `window_s`; the wait doubles from `first_delay_s` up to `max_delay_s`."""

    max_restarts: int = 3
    window_s: float = 300.0
    first_delay_s: float = 0.5
    max_delay_s: float = 30.0


def restart_delay_s(policy: RestartPolicy, crashes_s: list[float], now_s: float) -> float | None:
    """How long to wait before the next start; None: it crashed too often, give up.

    `crashes_s` are the times of all crashes so far, the one at `now_s` included, on the same clock.
    """
    recent = sum(crash > now_s - policy.window_s for crash in crashes_s)
    if recent > policy.max_restarts:
        return None
    return float(min(policy.first_delay_s * 2 ** max(recent - 1, 0), policy.max_delay_s))
