"""What keeping content costs: texts a second, how long an answer waits for it, opening, erasing.

python -m benchmarks.content [--folder DIR] [--texts 5000] [--bytes 2048] [--people 50] [--rounds 3]

The folder's disk is what is measured: put it where the data folder lies.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from gemstead import __version__
from gemstead.evidence.vault.master_key import KeySource
from gemstead.evidence.vault.subject import Subject
from gemstead.evidence.vault.vault import Place, Vault
from gemstead.store.database import open_database

DAY_MS = 86_400_000


class Args(argparse.Namespace):
    folder: Path | None
    texts: int
    bytes: int
    people: int
    rounds: int


def one_round(folder: Path, args: Args) -> tuple[float, float, float, float, float]:
    """Kept a second, p50 and p99 of keeping in ms, opened a second, one erasure in ms."""
    with closing(open_database(folder / "content.db", "content").raw()) as connection:
        vault = Vault(connection, KeySource(folder / "content.key"))
        waits_s = []
        text = os.urandom(args.bytes // 2).hex().encode()
        for number in range(args.texts):
            begin_s = time.perf_counter()
            who = Subject(f"person-{number % args.people}")
            vault.keep(who, Place(number, f"req-{number:032x}", number, "internal"), DAY_MS, text)
            waits_s.append(time.perf_counter() - begin_s)
        cuts = statistics.quantiles(waits_s, n=100)
        ids = [one.id for one in vault.subjects()]
        begin_s = time.perf_counter()
        opened = sum(1 for content in vault.contents(ids) if vault.text_of(content))
        opened_s = time.perf_counter() - begin_s
        begin_s = time.perf_counter()
        vault.erase(ids[:1], 1)
        assert vault.scrub()
        erased_s = time.perf_counter() - begin_s
    return args.texts / sum(waits_s), cuts[49] * 1e3, cuts[98] * 1e3, opened / opened_s, erased_s * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.content", description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--texts", type=int, default=5000)
    parser.add_argument("--bytes", type=int, default=2048)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(namespace=Args())
    print(f"gemstead {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{args.texts} texts of {args.bytes} bytes, {args.people} people, one writer, {args.rounds} rounds")
    results = []
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            results.append(one_round(Path(folder), args))
    names = ("kept a second", "keeping, p50 ms", "keeping, p99 ms", "opened a second", "erasing one, ms")
    for name, column in zip(names, zip(*results, strict=True), strict=True):
        print(f"{name:18} {statistics.median(column):10,.2f}   ({min(column):,.2f} to {max(column):,.2f})")


if __name__ == "__main__":
    main()
