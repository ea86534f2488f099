"""kill -9 at random moments under load: nothing acknowledged is missing, the chain verifies, the cut is shown.

python -m benchmarks.crash_suite [--rounds 200] [--seed 1] [--door]

Every round starts a process that records with 24 tasks and 3 threads at once, makes checkpoints and rotates its key,
and kills it; the next goes on from what is there. After each kill the whole chain is verified, with the checkpoints of
the second place, and compared with what the dead process had been told.
"""

from __future__ import annotations

import argparse
import platform
import random
import sqlite3
import tempfile
import time
from pathlib import Path

from benchmarks.crash_suite.door_rounds import DoorSuite, fake_upstream
from benchmarks.crash_suite.rounds import Suite
from gemstead import __version__


def main(rounds: int, seed: int, *, is_door: bool) -> None:
    print(
        f"gemstead {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{platform.machine()}, seed {seed}"
    )
    with tempfile.TemporaryDirectory() as folder:
        run = through_door if is_door else on_ledger
        run(Path(folder), rounds, random.Random(seed))


def on_ledger(folder: Path, rounds: int, chance: random.Random) -> None:
    begin_s = time.perf_counter()
    suite = Suite(folder, chance)
    for number in range(1, rounds + 1):
        suite.round()
        if number % 20 == 0:
            print(f"{number} kills, {suite.totals.records:,} records", flush=True)
    suite.finish()
    totals, took_s = suite.totals, time.perf_counter() - begin_s
    print(
        f"{totals.rounds} kills in {took_s:.0f} s, {totals.killed_while_opening} of them before the ledger was open\n"
        f"{totals.acknowledged:,} acknowledged records, none missing; {totals.records:,} in the chain, "
        f"{totals.checkpoints:,} checkpoints, {totals.rotations} rotations, all verified\n"
        f"{totals.cuts:,} exchanges cut off, all shown"
    )


def through_door(folder: Path, rounds: int, chance: random.Random) -> None:
    begin_s = time.perf_counter()
    with fake_upstream(folder) as upstream:
        suite = DoorSuite(folder, upstream, chance)
        for number in range(1, rounds + 1):
            suite.round()
            if number % 20 == 0:
                print(f"{number} kills, {suite.totals.records:,} records", flush=True)
    totals, took_s = suite.totals, time.perf_counter() - begin_s
    print(
        f"{totals.rounds} kills of the door in {took_s:.0f} s\n"
        f"{totals.begun:,} answers that a client saw begin, all with their opening record; "
        f"{totals.ended:,} that it saw end, all with their closing record\n"
        f"{totals.records:,} records, all verified; {totals.cuts:,} exchanges cut off, all shown"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--door", action="store_true", help="kill the door, in front of an engine that computes nothing"
    )
    arguments = parser.parse_args()
    main(arguments.rounds, arguments.seed, is_door=arguments.door)
