"""The file of `tune`: every trial and every verdict, one line of JSON each, only ever appended."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import msgspec

from gemstead.bench.changes import Changes
from gemstead.bench.store import append_line, read_lines
from gemstead.bench.tune_figures import FigureLine, Pair, TuneGoal

SCHEMA = 1
"""A line with a higher one was written by a later gemstead, and is skipped."""
FILE = "bench/tune.jsonl"
"""Below the data directory."""


class TuneKey(msgspec.Struct, frozen=True):
    """What a verdict holds for: these weights, this engine program, this machine. Nothing else is like it."""

    model: str
    model_sha256: str | None
    engine: str
    engine_version: str
    engine_sha256: str | None
    machine: str


class TuneStart(msgspec.Struct, frozen=True, tag="start", tag_field="kind"):
    """`context_length` and `may_quantize_kv` as asked: an interrupted session goes on only where they are equal."""

    session: str
    at: str
    gemstead: str
    key: TuneKey
    goal: TuneGoal
    context_length: int
    may_quantize_kv: bool
    schema: int = SCHEMA


class TuneTrial(msgspec.Struct, frozen=True, tag="trial", tag_field="kind"):
    """Pairs of one challenger against the setting that stood, as one piece of work."""

    session: str
    standing: Changes
    challenger: Changes
    pairs: tuple[Pair, ...]
    disturbed: tuple[str, ...] = ()
    """What else the machine did meanwhile, in words."""
    schema: int = SCHEMA


class TuneEnd(msgspec.Struct, frozen=True, tag="end", tag_field="kind"):
    """The verdict. `winner` None: the plan is best, and `reason` says why."""

    session: str
    at: str
    key: TuneKey
    goal: TuneGoal
    winner: Changes | None
    reason: str
    lines: tuple[FigureLine, ...] = ()
    equal_texts: int = 0
    num_texts: int = 0
    untried: tuple[str, ...] = ()
    disturbed: tuple[str, ...] = ()
    """What disturbed the last measurement: that of the proof, where there was one."""
    schema: int = SCHEMA


class TuneForget(msgspec.Struct, frozen=True, tag="forget", tag_field="kind"):
    """Verdicts before this line hold no more; `model` None: of all models."""

    at: str
    model: str | None
    schema: int = SCHEMA


TuneRecord: TypeAlias = TuneStart | TuneTrial | TuneEnd | TuneForget


class TuneStore:
    """What was tuned in one data directory; any number of processes may write."""

    def __init__(self, data: Path) -> None:
        self.path = data / FILE

    def append(self, record: TuneRecord) -> None:
        """On the disk when it returns. Raises: DiskFull; RequestInvalid if the folder cannot be written to."""
        append_line(self.path, msgspec.json.encode(record))

    def read(self) -> list[TuneRecord]:
        """Raises: RequestInvalid if the file cannot be read; one that does not exist is empty."""
        return [record for line in read_lines(self.path) if (record := _decode(line)) is not None]

    def verdicts(self) -> list[TuneEnd]:
        """The newest verdict of each key, oldest first, without what was forgotten."""
        newest: dict[TuneKey, TuneEnd] = {}
        for record in self.read():
            if isinstance(record, TuneForget):
                newest = {key: end for key, end in newest.items() if record.model not in (None, key.model)}
            elif isinstance(record, TuneEnd):
                newest.pop(record.key, None)
                newest[record.key] = record
        return list(newest.values())

    def unfinished(self, wanted: TuneStart) -> tuple[TuneStart, list[TuneTrial]] | None:
        """The newest session of the same key, goal and options, with its trials in their order; None if it ended."""
        newest: TuneStart | None = None
        trials: list[TuneTrial] = []
        for record in self.read():
            if isinstance(record, TuneStart) and _asked(record) == _asked(wanted):
                newest, trials = record, []
            elif newest is None or isinstance(record, TuneStart):
                continue
            elif isinstance(record, TuneForget):
                newest = None
            elif record.session == newest.session:
                newest = None if isinstance(record, TuneEnd) else newest
                trials += [record] if isinstance(record, TuneTrial) else []
        return None if newest is None else (newest, trials)


def _asked(start: TuneStart) -> tuple[object, ...]:
    return (start.key, start.goal, start.context_length, start.may_quantize_kv)


class _Version(msgspec.Struct):
    schema: int


def _decode(line: bytes) -> TuneRecord | None:
    try:
        if msgspec.json.decode(line, type=_Version).schema > SCHEMA:
            return None
        record: TuneRecord = msgspec.json.decode(line, type=TuneRecord)
    except msgspec.DecodeError:
        return None
    return record
