"""What the evidence costs: durable records a second, how long a writer waits, verification, bytes, opening.

python -m benchmarks.evidence [--folder DIR] [--seconds 5] [--rounds 3] [--records 1000000]

Each writer waits until its record is as safe as the durability says, then writes the next. The folder's disk is what is
measured: put it where the data folder lies.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from gemstead import __version__
from gemstead.evidence.appender import Appender
from gemstead.evidence.canonical import canonical
from gemstead.evidence.identity import ensure_identity
from gemstead.evidence.ledger import Ledger, LedgerOptions, Record, opened_ledger
from gemstead.evidence.verify import examine
from gemstead.store.database import open_database

NUM_WRITERS = 32
GROUP = 512
DIGEST = "sha256:" + "9f" * 32


def closing_record(number: int) -> Record:
    """As large as the closing record of an exchange."""
    return {
        "v": 1,
        "kind": "exchange.closed",
        "at_ms": 1_790_000_000_000 + number,
        "exchange": f"req-{number * 2654435761 % 2**32:08x}{number:016x}",
        "opened": max(0, number - 1),
        "key": f"k{number % 50:07}",
        "actor": f"p-202611-{number % 50:016x}",
        "model": "gemma4:e2b",
        "status": "stop",
        "verdicts": [],
        "catches": [],
        "tools": [],
        "tokens": {"prompt": 812, "cached": 700, "completion": 211, "reasoning": 0},
        "ms": {"wait": 3, "ttft": 214, "total": 4211},
        "energy_mj": 91_250,
        "energy_basis": "computed",
        "reply": "h-" + "5c" * 32,
    }


def fsync_ms(folder: Path) -> float:
    """The median of a small write that waits for the disk."""
    times = []
    with (folder / "probe").open("wb") as file:
        for _ in range(50):
            begin_s = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - begin_s) * 1e3)
    return statistics.median(times)


class Round:
    """What the writers of one round saw: the seconds each record took."""

    def __init__(self, seconds: float, num_writers: int) -> None:
        self.end_s = time.perf_counter() + seconds
        self.num_writers = num_writers
        self.waits_s: list[float] = []
        self.cpu_s = time.process_time()
        self.begin_s = time.perf_counter()

    def result(self) -> tuple[float, float, float, float]:
        """Records a second, p50 and p99 of the wait in ms, processor time a record in us."""
        took_s = time.perf_counter() - self.begin_s
        cuts = statistics.quantiles(self.waits_s, n=100)
        cpu_us = (time.process_time() - self.cpu_s) / len(self.waits_s) * 1e6
        return len(self.waits_s) / took_s, cuts[49] * 1e3, cuts[98] * 1e3, cpu_us


def by_tasks(ledger: Ledger, going: Round) -> None:
    async def write(number: int) -> None:
        while (begin_s := time.perf_counter()) < going.end_s:
            await ledger.write(closing_record(number))
            going.waits_s.append(time.perf_counter() - begin_s)
            number += going.num_writers

    async def write_all() -> None:
        await asyncio.gather(*(write(number) for number in range(going.num_writers)))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(write_all())


def by_threads(ledger: Ledger, going: Round) -> None:
    def write(number: int) -> None:
        while (begin_s := time.perf_counter()) < going.end_s:
            ledger.write_now(closing_record(number))
            going.waits_s.append(time.perf_counter() - begin_s)
            number += going.num_writers

    threads = [threading.Thread(target=write, args=(number,)) for number in range(going.num_writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def writing(folder: Path, options: LedgerOptions, run: Callable[[Ledger, Round], None], args: Args) -> str:
    results = []
    for number in range(args.rounds):
        place = folder / f"round-{number}"
        with opened_ledger(place / "evidence.db", ensure_identity(place / "key"), options) as ledger:
            going = Round(args.seconds, args.writers)
            run(ledger, going)
            results.append(going.result())
    rate, p50, p99, cpu = (list(column) for column in zip(*results, strict=True))
    return (
        f"{statistics.median(rate):9,.0f}  ({min(rate):,.0f} to {max(rate):,.0f})"
        f"   {statistics.median(p50):7.2f} {statistics.median(p99):8.2f} {statistics.median(cpu):8.0f}"
    )


class Args(argparse.Namespace):
    folder: Path | None
    seconds: float
    rounds: int
    records: int
    writers: int


def main(args: Args) -> None:
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        print(
            f"gemstead {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
            f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
            f"a 4 KiB write with fsync takes {fsync_ms(folder):.2f} ms (median)"
        )
        print(f"\n{'durability, writers':34} {'records/s':>11}  (lowest to highest)    p50 ms   p99 ms   CPU us")
        for durability in ("power", "process"):
            for label, run, writers in (
                (f"{NUM_WRITERS} tasks", by_tasks, NUM_WRITERS),
                (f"{NUM_WRITERS} threads", by_threads, NUM_WRITERS),
                ("1 task", by_tasks, 1),
            ):
                args.writers = writers
                place = folder / f"{durability}-{label.replace(' ', '-')}"
                print(
                    f"{durability + ', ' + label:34} {writing(place, LedgerOptions(durability), run, args)}", flush=True
                )
        if args.records:
            long_chain(folder / "long", args)


def long_chain(folder: Path, args: Args) -> None:
    path, identity = folder / "evidence.db", ensure_identity(folder / "key")
    with opened_ledger(path, identity, LedgerOptions()):
        pass
    appender = Appender(open_database(path, "evidence"))
    begin_s = time.perf_counter()
    for start in range(0, args.records, GROUP):
        end = min(start + GROUP, args.records)
        appender.append([canonical(closing_record(number)) for number in range(start, end)], is_full=False)
    appender.close()
    took_s = time.perf_counter() - begin_s
    print(f"\n{args.records:,} records in groups of {GROUP}: {args.records / took_s:,.0f} records/s")
    num_bytes = sum(file.stat().st_size for file in folder.glob("evidence.db*"))
    print(f"on disk: {num_bytes / args.records:,.0f} bytes a record ({len(canonical(closing_record(1)))} of JSON)")
    for label in ("no checkpoint yet", "after its checkpoint"):
        print(f"opened and closed, {label}: {seconds_of(lambda: opened_once(path, identity)):.2f} s")
    rates = [args.records / seconds_of(lambda: examine(path)) for _ in range(args.rounds)]
    report = examine(path)
    print(
        f"verified: {statistics.median(rates):,.0f} records/s ({min(rates):,.0f} to {max(rates):,.0f}), "
        f"{'clean' if report.is_clean else report.findings[:3]}"
    )


def opened_once(path: Path, identity: object) -> None:
    with opened_ledger(path, identity, LedgerOptions()):  # type: ignore[arg-type]
        pass


def seconds_of(call: Callable[[], object]) -> float:
    begin_s = time.perf_counter()
    call()
    return time.perf_counter() - begin_s


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=1_000_000)
    main(parser.parse_args(namespace=Args()))
