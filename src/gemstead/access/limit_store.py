"""The marks of limits and the versions of the policy, in the database."""

from __future__ import annotations

import sqlite3
import threading

import msgspec

from gemstead.access.buckets import Saved
from gemstead.access.policy_file import PolicyText
from gemstead.core.errors import LimitsUnavailable

KEPT_US = 40 * 86_400_000_000
"""Marks older than any month are nobody's any more."""


class SqliteLimits:
    """Implements `marks.LimitStore` over one connection in autocommit mode, opened for use by any thread.

    A row that is committed outlives the death of the process; with `synchronous = NORMAL` a power cut may take back the
    last moments.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def load(self) -> list[Saved]:
        """Raises: LimitsUnavailable."""
        try:
            newest = self._connection.execute("SELECT max(at_us) FROM limit_marks").fetchone()[0] or 0
            self._connection.execute("DELETE FROM limit_marks WHERE at_us < ?", (newest - KEPT_US,))
            rows = self._connection.execute("SELECT bucket, level, at_us, period FROM limit_marks").fetchall()
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc
        return [Saved(*row) for row in rows]

    def save(self, rows: list[Saved]) -> None:
        """Raises: LimitsUnavailable."""
        values = [(row.bucket, row.level, row.at_us, row.period) for row in rows]
        try:
            with self._lock:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    self._connection.executemany(
                        "INSERT INTO limit_marks (bucket, level, at_us, period) VALUES (?, ?, ?, ?) "
                        "ON CONFLICT (bucket) DO UPDATE SET "
                        "level = excluded.level, at_us = excluded.at_us, period = excluded.period",
                        values,
                    )
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc


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
