"""What was spent of limits, and the versions of the policy, in the database."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache

import msgspec

from gemstead.access.buckets import Saved
from gemstead.access.policy_file import PolicyText
from gemstead.core.errors import LimitsUnavailable
from gemstead.store.database import Database

KEPT_US = 40 * 86_400_000_000
"""What was spent in a month that is long over counts no more."""

MAX_AT_ONCE = 100
"""Buckets in one statement: with few lengths the statements stay compiled."""

FORGET_EVERY_US = 3_600_000_000


class SqliteLimits:
    """Implements `counts.LimitStore` on two connections of its own; close it.

    What is committed outlives the death of the process; with `synchronous = NORMAL` a power cut may take back the last
    moments. Nothing here waits for another process, or for the disk, but `tidy`: a checkpoint would, and comes there
    and never with a commit.
    """

    def __init__(self, database: Database) -> None:
        self._connection = database.raw()
        self._connection.execute("PRAGMA busy_timeout = 0")
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._tidying = database.raw()
        self._reading = threading.Lock()
        self._num_commits = 0
        self._forgot_us = 0

    def swap(self, old: Sequence[Saved], new: Sequence[Saved]) -> bool:
        values: list[str | int] = []
        for row in new:
            values += (row.bucket, row.level, row.at_us, row.period)
        for row in old:
            values += (row.level, row.at_us, row.period, row.bucket, row.at_us == 0)
        try:
            return self._connection.execute(_swap_statement(len(new)), values).rowcount > 0
        except sqlite3.Error as exc:
            if exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise _unavailable(exc) from exc
        finally:
            self._num_commits += 1

    def begin(self) -> bool:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise _unavailable(exc) from exc
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc
        return True

    def read(self, buckets: Sequence[str]) -> list[Saved]:
        try:
            found: list[Saved] = []
            for begin in range(0, len(buckets), MAX_AT_ONCE):
                some = buckets[begin : begin + MAX_AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = self._connection.execute(f"{_SELECT} WHERE bucket IN ({marks})", some)
                found += [Saved(*row) for row in rows]
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc
        return found

    def write(self, rows: Iterable[Saved]) -> None:
        values = [(row.bucket, row.level, row.at_us, row.period) for row in rows]
        try:
            self._connection.executemany(_UPSERT, values)
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc

    def commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc
        self._num_commits += 1

    def rollback(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def rows(self) -> list[Saved]:
        try:
            with self._reading:
                return [Saved(*row) for row in self._tidying.execute(f"{_SELECT} ORDER BY bucket")]
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc

    def tidy(self) -> None:
        num_commits, self._num_commits = self._num_commits, 0
        now_us = time.time_ns() // 1000
        try:
            with self._reading:
                if now_us - self._forgot_us > FORGET_EVERY_US:
                    self._forgot_us = now_us
                    self._tidying.execute("DELETE FROM limit_marks WHERE at_us < ?", (now_us - KEPT_US,))
                if num_commits:
                    self._tidying.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc

    def close(self) -> None:
        self._connection.close()
        self._tidying.close()


_SELECT = "SELECT bucket, level, at_us, period FROM limit_marks"


@lru_cache(maxsize=16)
def _swap_statement(num_rows: int) -> str:
    """One statement is one transaction, and takes the write lock before it reads."""
    rows = ", ".join(["(?, ?, ?, ?)"] * num_rows)
    same = "coalesce((SELECT level = ? AND at_us = ? AND period = ? FROM limit_marks WHERE bucket = ?), ?)"
    all_same = " AND ".join([same] * num_rows)
    return (
        "INSERT INTO limit_marks (bucket, level, at_us, period) "  # noqa: S608
        f"SELECT column1, column2, column3, column4 FROM (VALUES {rows}) WHERE {all_same} "
        "ON CONFLICT (bucket) DO UPDATE SET level = excluded.level, at_us = excluded.at_us, period = excluded.period"
    )


_UPSERT = (
    "INSERT INTO limit_marks (bucket, level, at_us, period) VALUES (?, ?, ?, ?) ON CONFLICT (bucket) DO UPDATE SET "
    "level = excluded.level, at_us = excluded.at_us, period = excluded.period"
)


class PolicyVersion(msgspec.Struct, frozen=True):
    """A policy that was in force from `applied_at_s` (seconds since 1970) on."""

    number: int
    sha256: str
    applied_at_s: float
    source: str
    text: str


class PolicyVersions:
    """Every policy that was ever applied here, in order; none is ever deleted."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def note(self, policy: PolicyText, source: str, now_s: float) -> bool:
        """Keeps a version that is applied now, unless it is the last one's again; says whether it was new.

        Raises: LimitsUnavailable.
        """
        try:
            last = self._connection.execute(
                "SELECT sha256 FROM policy_versions ORDER BY number DESC LIMIT 1"
            ).fetchone()
            if last is not None and last[0] == policy.sha256:
                return False
            self._connection.execute(
                "INSERT INTO policy_versions (sha256, applied_at_s, source, text) VALUES (?, ?, ?, ?)",
                (policy.sha256, now_s, source, policy.text),
            )
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc
        return True

    def list(self) -> list[PolicyVersion]:
        """Oldest first."""
        rows = self._connection.execute(
            "SELECT number, sha256, applied_at_s, source, text FROM policy_versions ORDER BY number"
        )
        return [PolicyVersion(*row) for row in rows]


def _unavailable(exc: sqlite3.Error) -> LimitsUnavailable:
    return LimitsUnavailable(
        f"what was spent cannot be kept: {exc}", hint="see that the disk of the data folder is not full"
    )
