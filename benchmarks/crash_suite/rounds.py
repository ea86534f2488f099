"""One kill after the other on one chain, and what has to hold after each."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from gemstead.evidence.identity import KEY_FILE, ensure_identity
from gemstead.evidence.ledger import LedgerOptions, opened_ledger
from gemstead.evidence.verify import examine

NUMBERS_A_ROUND = 1_000_000
START_TIMEOUT_S = 60.0


@dataclass
class Told:
    """What a worker had acknowledged when it died: position by kind and number."""

    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    is_ready: threading.Event = field(default_factory=threading.Event)

    def read(self, lines: object) -> None:
        for line in lines:  # type: ignore[attr-defined]
            if line == "ready\n":
                self.is_ready.set()
            elif line.endswith("\n"):
                kind, number, position = line.split()
                self.positions[kind, int(number)] = int(position)
        self.is_ready.set()


@dataclass
class Totals:
    rounds: int = 0
    acknowledged: int = 0
    killed_while_opening: int = 0
    cuts: int = 0
    records: int = 0
    checkpoints: int = 0
    rotations: int = 0


class Suite:
    """Kills workers over the chain in `folder`. A `check` that finds something wrong raises AssertionError."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._folder = folder
        self._chance = chance
        self.totals = Totals()

    def round(self) -> None:
        durability = self._chance.choice(("process", "process", "power"))
        told = self._kill_one(durability, self.totals.rounds * NUMBERS_A_ROUND)
        self.totals.rounds += 1
        self.totals.acknowledged += len(told.positions)
        self._check_acknowledged(told)
        self._check_chain(told)

    def finish(self) -> None:
        """The chain goes on after all of it."""
        with opened_ledger(
            self._folder / "evidence.db", ensure_identity(self._folder / "secrets" / KEY_FILE), LedgerOptions()
        ) as ledger:
            ledger.write_now({"v": 1, "kind": "server.started", "at_ms": 1})
            ledger.checkpoint_now()
        self._check_chain(Told())
        self.totals.rotations = self._query("SELECT count(*) FROM records WHERE kind = 'evidence.key_rotated'")[0][0]

    def _kill_one(self, durability: str, first: int) -> Told:
        argv = [sys.executable, "-m", "benchmarks.crash_suite.worker", str(self._folder), durability, str(first)]
        worker = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        told = Told()
        reader = threading.Thread(target=told.read, args=(worker.stdout,))
        reader.start()
        # One in five dies before it is ready: while it opens, catches up, or makes the first of everything.
        if self._chance.random() < 0.2:
            time.sleep(self._chance.random() * 0.6)
        else:
            assert told.is_ready.wait(START_TIMEOUT_S), "the worker did not start"
            time.sleep(self._chance.random() * 0.5)
        was_ready, ended = told.is_ready.is_set(), worker.poll()
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        reader.join()
        assert worker.stdout is not None
        worker.stdout.close()
        assert ended is None, f"the worker ended by itself with {ended}"
        self.totals.killed_while_opening += not was_ready
        return told

    def _check_acknowledged(self, told: Told) -> None:
        if not told.positions:
            return
        found = {
            (kind.removeprefix("exchange."), int(name[1:])): position
            for kind, name, position in self._query(
                "SELECT kind, exchange, position FROM records WHERE position >= ? AND exchange IS NOT NULL",
                min(told.positions.values()),
            )
        }
        missing = {what: position for what, position in told.positions.items() if found.get(what) != position}
        assert not missing, f"acknowledged and not in the chain: {list(missing.items())[:5]}"

    def _check_chain(self, told: Told) -> None:
        path = self._folder / "evidence.db"
        if not path.exists() or not self._query("SELECT 1 FROM sqlite_master WHERE name = 'checkpoints'"):
            return
        place = self._folder / "elsewhere.txt"
        elsewhere = [(place.name, place.read_text())] if place.exists() else []
        report = examine(path, elsewhere=elsewhere)
        # One that was killed before its first record has none, which is no chain yet.
        assert report.is_clean or report.num_records == 0, f"the chain does not verify: {report.findings[:3]}"
        opened = self._query("SELECT position FROM records WHERE kind = 'exchange.opened'")
        closed = self._query("SELECT json_extract(record, '$.opened') FROM records WHERE kind = 'exchange.closed'")
        cuts = {position for (position,) in opened} - {position for (position,) in closed}
        assert report.num_cuts == len(cuts), f"{report.num_cuts} cuts are shown, and there are {len(cuts)}"
        # A closing record may stand there whose writer died before it could say so.
        begun = {position for (kind, _), position in told.positions.items() if kind == "opened"}
        ended = {position for (position,) in closed}
        assert begun <= cuts | ended, "an exchange that was begun is neither ended nor shown as cut"
        self.totals.cuts, self.totals.records = len(cuts), report.num_records
        self.totals.checkpoints = report.num_checkpoints

    def _query(self, sql: str, *parameters: object) -> list[tuple[int, ...]]:
        with closing(sqlite3.connect(self._folder / "evidence.db")) as connection:
            return connection.execute(sql, parameters).fetchall()
