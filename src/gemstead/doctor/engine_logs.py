"""What the engines of earlier runs said: their last words, and the speeds they measured themselves."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from gemstead.engines.base import Diagnosis, EngineKind
from gemstead.engines.engine_log import TAIL_LINES

TAIL_BYTES = 256 * 1024
"""How much of the end of a log is read: minutes of requests, some 60 of them."""

_PREFILL = re.compile(r"prompt eval time =\s*([\d.]+) ms /\s*(\d+) tokens")
_DECODE = re.compile(r"(?<!prompt )eval time =\s*([\d.]+) ms /\s*(\d+) tokens")
_KILLED = re.compile(r"killed by SIGKILL")
MIN_PREFILL_TOKENS = 32
"""Shorter prefills measure the start of a batch, not its speed."""


class EngineRun(msgspec.Struct, frozen=True):
    """The end of one log. `written_s` is when it was last written, seconds since 1970.

    The speeds are those of the request with the longest prefill; None where the log has none long enough.
    """

    path: Path
    written_s: float
    tail: tuple[str, ...]
    diagnosis: Diagnosis | None
    prefill_tok_per_s: float | None
    decode_tok_per_s: float | None

    @property
    def is_out_of_memory(self) -> bool:
        if self.diagnosis is not None:
            return self.diagnosis.is_out_of_memory
        return any(_KILLED.search(line) for line in self.tail)


def read_runs(logs: Path, kind: EngineKind) -> list[EngineRun]:
    """Newest first: the engines' own logs, and those of the servers that ran them. Raises: OSError."""
    paths = [*logs.glob(f"{kind.name}-*.log"), *logs.glob("server-*.log")]
    return sorted((_read(path, kind) for path in paths), key=lambda run: run.written_s, reverse=True)


def _read(path: Path, kind: EngineKind) -> EngineRun:
    with path.open("rb") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, size_bytes - TAIL_BYTES))
        text = file.read(TAIL_BYTES).decode("utf-8", "replace")
    tail = tuple(text.splitlines()[-TAIL_LINES:])
    return EngineRun(
        path=path,
        written_s=path.stat().st_mtime,
        tail=tail,
        diagnosis=kind.diagnose(tail) if kind.diagnose else None,
        prefill_tok_per_s=_speed(_PREFILL, text, MIN_PREFILL_TOKENS),
        decode_tok_per_s=_speed(_DECODE, text, 2),
    )


def _speed(pattern: re.Pattern[str], text: str, min_tokens: int) -> float | None:
    timed = [(int(tokens), float(ms)) for ms, tokens in pattern.findall(text)]
    tokens, ms = max((one for one in timed if one[0] >= min_tokens and one[1] > 0), default=(0, 0.0))
    return 1000 * tokens / ms if ms else None
