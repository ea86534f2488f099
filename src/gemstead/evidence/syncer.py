"""Makes what was committed safe against power loss a moment later, beside the thread that writes.

It brings SQLite's log into the database, which begins by syncing the log. That holds no writer up, and it leaves the
writer little of that work. Source: sqlite.org/wal.html, section 3.2; wal.c, walCheckpoint.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

from gemstead.store.database import Database


class Syncer:
    """`on_failure` is called, on its thread, when it could not bring in all of the log: another way has to be found."""

    def __init__(self, database: Database, after_s: float, on_failure: Callable[[], None]) -> None:
        self._database = database
        self._after_s = after_s
        self._on_failure = on_failure
        self._is_dirty = threading.Event()
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evidence-sync", daemon=True)
        self._thread.start()

    def note(self) -> None:
        """Something was committed: its sync begins within `after_s` seconds."""
        self._is_dirty.set()

    def close(self) -> None:
        self._is_closing.set()
        self._is_dirty.set()
        self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            while self._is_dirty.wait() and not self._is_closing.wait(self._after_s):
                # Before the sync, not after it: what is committed meanwhile asks for the next one.
                self._is_dirty.clear()
                try:
                    connection = self._database.raw() if connection is None else connection
                    busy, in_log, brought_in = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                    is_done = not busy and in_log == brought_in
                except sqlite3.Error:
                    is_done = False
                if not is_done:
                    self._on_failure()
        finally:
            if connection is not None:
                connection.close()
