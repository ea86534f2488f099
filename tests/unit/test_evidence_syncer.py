"""What was committed is synced beside its writer, and where that fails the writer hears of it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gemstead.evidence.syncer import Syncer
from gemstead.store.database import Database, open_database

WAIT_S = 30.0


class Watched(Database):
    """Tells what its connections run."""

    def __init__(self, path: Path, on_statement: Callable[[str], object]) -> None:
        super().__init__(path)
        self._on_statement = on_statement

    def raw(self) -> sqlite3.Connection:
        connection = super().raw()
        connection.set_trace_callback(self._on_statement)
        return connection


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_database(tmp_path / "evidence.db", "evidence")


def commit(connection: sqlite3.Connection, position: int) -> None:
    connection.execute("INSERT INTO records (position, record, hash) VALUES (?, '{}', x'00')", (position,))


def test_a_commit_is_brought_out_of_the_log_and_nobody_else_has_to(database: Database) -> None:
    ran, failures = threading.Event(), []
    writer = database.raw()
    syncer = Syncer(Watched(database.path, lambda _sql: ran.set()), 0.0, lambda: failures.append(1))
    commit(writer, 1)
    syncer.note()
    assert ran.wait(WAIT_S)
    syncer.close()
    assert not failures
    _, in_log, brought_in = writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert in_log == brought_in
    writer.close()


def test_where_a_reader_holds_the_log_open_the_writer_is_asked(database: Database) -> None:
    failed = threading.Event()
    writer, reader = database.raw(), database.raw()
    commit(writer, 1)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM records").fetchone()
    commit(writer, 2)
    syncer = Syncer(database, 0.0, failed.set)
    syncer.note()
    assert failed.wait(WAIT_S)
    syncer.close()
    reader.close()
    writer.close()


def test_where_the_database_cannot_be_opened_the_writer_is_asked(tmp_path: Path) -> None:
    failed = threading.Event()
    syncer = Syncer(Database(tmp_path / "missing" / "evidence.db"), 0.0, failed.set)
    syncer.note()
    assert failed.wait(WAIT_S)
    syncer.close()
