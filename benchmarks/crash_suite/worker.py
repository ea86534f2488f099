"""A process that does nothing but record, and tells on stdout what was acknowledged: it is there to be killed.

python -m benchmarks.crash_suite.worker FOLDER DURABILITY NUMBER

Each line is written in one piece, after the ledger said that the record is safe: `opened N POSITION`, and so on.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
import time
from pathlib import Path

from gemstead.evidence.identity import KEY_FILE, ensure_identity
from gemstead.evidence.ledger import Ledger, LedgerOptions, opened_ledger
from gemstead.evidence.rotation import rotate_key

NUM_TASKS = 24
NUM_THREADS = 3
CHECKPOINT_EVERY = 40
ROTATE_EVERY_S = 0.3


def main(folder: Path, durability: str, first: int) -> None:
    key = folder / "secrets" / KEY_FILE
    options = LedgerOptions(
        "power" if durability == "power" else "process", CHECKPOINT_EVERY, second_place=str(folder / "elsewhere.txt")
    )
    with opened_ledger(folder / "evidence.db", ensure_identity(key), options) as ledger:
        tell("ready")
        for number in range(NUM_THREADS):
            threading.Thread(target=write_in_thread, args=(ledger, first + NUM_TASKS + number), daemon=True).start()
        threading.Thread(target=rotate, args=(ledger, key), daemon=True).start()
        asyncio.run(write_in_tasks(ledger, first))


def tell(line: str) -> None:
    # Past every buffer: what is told was told, whatever happens to this process then.
    os.write(1, f"{line}\n".encode())


async def write_in_tasks(ledger: Ledger, first: int) -> None:
    async def exchange(number: int) -> None:
        while True:
            opened = await ledger.write(opening(number))
            tell(f"opened {number} {opened}")
            await asyncio.sleep(random.random() * 0.01)
            tell(f"closed {number} {await ledger.write(closing(number, opened))}")
            number += NUM_TASKS + NUM_THREADS

    await asyncio.gather(*(exchange(first + number) for number in range(NUM_TASKS)))


def write_in_thread(ledger: Ledger, number: int) -> None:
    while True:
        opened = ledger.write_now(opening(number))
        tell(f"opened {number} {opened}")
        tell(f"closed {number} {ledger.write_now(closing(number, opened))}")
        number += NUM_TASKS + NUM_THREADS


def rotate(ledger: Ledger, key: Path) -> None:
    while True:
        time.sleep(random.random() * ROTATE_EVERY_S)
        rotate_key(ledger, key, now_ms=now_ms())


def opening(number: int) -> dict[str, int | str]:
    return {"v": 1, "kind": "exchange.opened", "at_ms": now_ms(), "exchange": f"r{number}"}


def closing(number: int, opened: int) -> dict[str, int | str]:
    return {"v": 1, "kind": "exchange.closed", "at_ms": now_ms(), "exchange": f"r{number}", "opened": opened}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
