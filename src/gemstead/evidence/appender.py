"""The chain in its database: groups of records appended in one transaction, and made safe against power loss."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache

import msgspec

from gemstead.core.errors import EvidenceUnavailable
from gemstead.evidence.chain import START, link_hash
from gemstead.evidence.tree import leaf_hash
from gemstead.store.database import Database

ROWS_PER_STATEMENT = 64
HASH_BYTES = 32
LOG_PAGES = 8_000
"""Of 4 KiB: the length of SQLite's log at which its writer helps to bring it in."""


class Head(msgspec.Struct, frozen=True):
    """How many records a chain has, and the hash of its last."""

    size: int = 0
    hash: bytes = START


class Appended(msgspec.Struct, frozen=True):
    """What one group added: its records stand at `first` and after, with these leaves; `head` is the chain's now."""

    first: int
    leaves: list[bytes]
    head: Head


class Appender:
    """Over one connection, opened when needed and again after a failure. Used by one thread at a time.

    Other processes may append to the same chain between any two calls: the head is read anew in each transaction.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._connection: sqlite3.Connection | None = None
        self._level = ""
        self.is_unsynced = False
        """Whether what was committed last may still be taken back by a power cut."""

    def append(self, records: Sequence[bytes], *, is_full: bool) -> Appended:
        """Commits `records` in their order: safe against the death of the process, and with `is_full` against power
        loss. Raises: EvidenceUnavailable; none of them is in the chain then.
        """
        leaves = [leaf_hash(record) for record in records]
        with self._translated():
            connection = self._ready(is_full=is_full)
            with _transaction(connection):
                head = self._head(connection)
                first, rows, previous = head.size, [], head.hash
                for position, (record, leaf) in enumerate(zip(records, leaves, strict=True), first):
                    previous = link_hash(previous, position, leaf)
                    rows.append((position, record.decode(), previous))
                _insert(connection, rows)
        self.is_unsynced = not is_full
        return Appended(first, leaves, Head(first + len(records), previous))

    def begin(self, record: bytes) -> None:
        """Makes `record` the first of the chain, unless it has one. Raises: EvidenceUnavailable."""
        with self._translated():
            connection = self._ready(is_full=True)
            if self._head(connection).size > 0:
                return
            with _transaction(connection):
                if self._head(connection).size == 0:
                    _insert(connection, [(0, record.decode(), link_hash(START, 0, leaf_hash(record)))])

    def sync(self) -> None:
        """Makes everything that is committed safe against power loss. Raises: EvidenceUnavailable.

        A commit at FULL syncs the whole log, whoever wrote it; it needs something to write, and the number that SQLite
        keeps for its user is the smallest there is. Source: sqlite.org/pragma.html, synchronous and user_version.
        """
        with self._translated():
            connection = self._ready(is_full=True)
            number = int(connection.execute("PRAGMA user_version").fetchone()[0])
            connection.execute(f"PRAGMA user_version = {(number + 1) % 2**31}")
        self.is_unsynced = False

    def head(self) -> Head:
        """Raises: EvidenceUnavailable."""
        with self._translated():
            return self._head(self._ready())

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[tuple[object, ...]]:
        """What a query finds, row by row. Raises: EvidenceUnavailable."""
        with self._translated():
            yield from self._ready().execute(sql, parameters)

    def write(self, sql: str, parameters: Sequence[object]) -> None:
        """One statement, committed and safe against power loss, with all that was written before it.

        Raises: EvidenceUnavailable.
        """
        with self._translated():
            connection = self._ready(is_full=True)
            with _transaction(connection):
                connection.execute(sql, parameters)
        self.is_unsynced = False

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _head(self, connection: sqlite3.Connection) -> Head:
        row = connection.execute("SELECT position, hash FROM records ORDER BY position DESC LIMIT 1").fetchone()
        if row is None:
            return Head()
        position, digest = row
        if not isinstance(digest, bytes) or len(digest) != HASH_BYTES:
            raise EvidenceUnavailable(
                f"the evidence is damaged at position {position}", hint="gemstead evidence verify"
            )
        return Head(position + 1, digest)

    def _ready(self, *, is_full: bool | None = None) -> sqlite3.Connection:
        """The connection; None leaves it as safe as it was."""
        if self._connection is None:
            self._connection, self._level = self.database.raw(), ""
            # Another thread brings the log in (`syncer`); here only so that it does not grow without end.
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
            if sys.platform == "darwin":
                # Without it fsync returns while the disk still holds the data in its own memory.
                self._connection.execute("PRAGMA fullfsync = ON")
        level = self._level if is_full is None else ("FULL" if is_full else "NORMAL")
        if level != self._level:
            self._connection.execute(f"PRAGMA synchronous = {level}")
            self._level = level
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """A connection that failed is given up: the next call opens another."""
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            with suppress(sqlite3.Error):
                self.close()
            self._connection = None
            raise EvidenceUnavailable(
                f"the evidence cannot be written: {exc}",
                why="what is not recorded is not answered",
                hint=f"see that the disk of {self.database.path.parent} is not full; gemstead evidence verify",
            ) from exc


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _insert(connection: sqlite3.Connection, rows: Sequence[tuple[int, str, bytes]]) -> None:
    # Many rows in one statement: each call into SQLite lets go of the interpreter, and may have to wait for it after.
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        part = rows[start : start + ROWS_PER_STATEMENT]
        connection.execute(_insert_statement(len(part)), [value for row in part for value in row])


@lru_cache(maxsize=ROWS_PER_STATEMENT)
def _insert_statement(num_rows: int) -> str:
    return "INSERT INTO records (position, record, hash) VALUES " + ", ".join(["(?, ?, ?)"] * num_rows)  # noqa: S608
