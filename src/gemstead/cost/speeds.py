"""How fast a model runs on a machine: published, or measured or predicted by whoever hands `Speeds` in."""

from __future__ import annotations

import datetime
from functools import cache
from importlib.resources import files

import msgspec

from gemstead.core.figures import Figure

_PUBLISHED_ERROR = 0.3
"""How far another engine, context or cooling is off a published speed, roughly: assumed."""


class Speeds(msgspec.Struct, frozen=True):
    """Tokens per second of one machine over all its slots together. Prefill counts uncached prompt tokens only."""

    prefill_tok_per_s: Figure
    decode_tok_per_s: Figure


class _Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str
    read: datetime.date


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prefill_tok_per_s: float
    decode_tok_per_s: float
    source: str


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sources: dict[str, _Source]
    speeds: dict[str, dict[str, _Row]]


def published_speeds(model: str, profile: str) -> Speeds | None:
    """Of a catalogue model on a named machine, one answer at a time; None: nothing was published."""
    table = _load()
    row = table.speeds.get(model, {}).get(profile)
    if row is None:
        return None
    source = table.sources[row.source]
    where = f"{source.text}, read {source.read.isoformat()}"
    return Speeds(
        Figure(row.prefill_tok_per_s, "published", _PUBLISHED_ERROR, where),
        Figure(row.decode_tok_per_s, "published", _PUBLISHED_ERROR, where),
    )


@cache
def _load() -> _Table:
    return msgspec.toml.decode(files("gemstead.cost").joinpath("speeds.toml").read_bytes(), type=_Table)
