"""A ledger inside the test's own process that can fail and wait, and what a recorder is made of around it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

from gemstead.core.errors import EvidenceUnavailable
from gemstead.evidence.canonical import canonical
from gemstead.evidence.pseudonyms import KeyedHash, Pseudonyms
from gemstead.evidence.records import Record
from gemstead.pipeline.recording import ContentKeeper, Names, Recorder, Served, Written

NOW_S = 1_764_000_000.0


class FakeLedger:
    """Keeps records in order. A kind in `failing` is refused, one in `gates` waits for its Event."""

    def __init__(self, *failing: str, **gates: asyncio.Event) -> None:
        self.records: list[Record] = []
        self.failing = set(failing)
        self.gates = {name.replace("_", "."): gate for name, gate in gates.items()}
        self.is_waiting = asyncio.Event()

    def submit(self, record: Record) -> asyncio.Future[int]:
        canonical(record)
        return asyncio.ensure_future(self._write(record))

    async def _write(self, record: Record) -> int:
        kind = str(record["kind"])
        if kind in self.gates:
            self.is_waiting.set()
            await self.gates[kind].wait()
        if kind in self.failing:
            raise EvidenceUnavailable("the evidence cannot be written: the disk is full")
        self.records.append(record)
        return len(self.records) - 1

    def kinds(self) -> list[str]:
        return [str(record["kind"]) for record in self.records]

    def of(self, kind: str) -> list[Record]:
        return [record for record in self.records if record["kind"] == kind]


class FakeWatch:
    def __init__(self) -> None:
        self.records: list[str] = []
        self.failures: list[str] = []
        self.waits: list[str] = []

    def count_record(self, what: Written) -> None:
        self.records.append(what)

    def count_record_wait(self, what: Written, wait_s: float) -> None:
        assert wait_s >= 0
        self.waits.append(what)

    def count_record_failure(self, what: Written) -> None:
        self.failures.append(what)


def recorder(
    folder: Path, ledger: FakeLedger, watch: FakeWatch | None = None, content: ContentKeeper | None = None
) -> Recorder:
    return Recorder(
        ledger,
        Names(Pseudonyms(folder / "pseudonyms"), KeyedHash(b"k" * 32)),
        Served("r-1-1", "fake-1", "ab" * 32),
        watch or FakeWatch(),
        content=content,
        clock=lambda: NOW_S,
    )


def field(record: Record, *path: str) -> Any:
    value: Any = record
    for name in path:
        value = value[name]
    return value


def chain_of(data: Path) -> list[Record]:
    """The records of an installation's evidence, in order; without those that are blank."""
    connection = sqlite3.connect(data / "evidence.db")
    try:
        rows = connection.execute("SELECT record FROM records WHERE record IS NOT NULL ORDER BY position").fetchall()
    finally:
        connection.close()
    return [json.loads(text) for (text,) in rows]
