"""Each worker of a parallel run keeps to a core of its own.

Engines take as many threads as they may use cores, and wait for each other by spinning: two of them on the same cores
are many times slower than one after the other. What a test starts inherits the pinning.
"""

from __future__ import annotations

import os


def pytest_configure() -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker.startswith("gw") and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker[2:]) % len(cores)]})
