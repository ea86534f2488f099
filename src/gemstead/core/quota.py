"""What is left of a caller's limits: what a reply's headers tell."""

from __future__ import annotations

import msgspec


class Room(msgspec.Struct, frozen=True):
    """Of the limit that has least left: `reset_s` is until it is as good as new."""

    limit: int
    remaining: int
    reset_s: float


class QuotaState(msgspec.Struct, frozen=True):
    """None: not limited."""

    requests: Room | None = None
    tokens: Room | None = None
