"""Locks between processes, released by the system when their holder dies, however it dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_STEP_S = 1.0


@contextmanager
def exclusive(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds the lock file `path`. While another process holds it, waits and calls `on_wait` about once a second."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    timeout_s = 0.0
    while True:
        try:
            lock.acquire(timeout=timeout_s)
            break
        except Timeout:
            on_wait()
            timeout_s = WAIT_STEP_S
    try:
        yield
    finally:
        lock.release()
