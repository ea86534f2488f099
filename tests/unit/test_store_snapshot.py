"""Copies of databases: of one moment, without what must not be copied, and looked at."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gemstead.core.errors import FileDamaged
from gemstead.store.database import newest, open_database
from gemstead.store.snapshot import check_database, schema_version, snapshot, snapshot_without
from vaults import ALICE, DAY_MS, place, places_of, vault_in


def test_a_copy_is_whole_while_somebody_writes(tmp_path: Path) -> None:
    database = open_database(tmp_path / "gemstead.db")
    with closing(database.raw()) as connection:
        connection.execute("UPDATE key_changes SET number = 7")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE key_changes SET number = 8")
        snapshot(database.path, tmp_path / "copy.db")
        connection.execute("ROLLBACK")
    check_database(tmp_path / "copy.db")
    assert schema_version(tmp_path / "copy.db") == newest()
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT number FROM key_changes").fetchone() == (7,)
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


def test_a_column_that_is_left_out_is_never_written_and_all_else_is_there(tmp_path: Path) -> None:
    with vault_in(tmp_path) as vault:
        vault.keep(ALICE, place(), DAY_MS, b"x" * 5000)
        (wrapped,) = vault.wrapped_keys().values()
        (tmp_path / "out").mkdir()
        snapshot_without(tmp_path / "content.db", tmp_path / "out" / "content.db", "subjects", "wrapped_key")
        check_database(tmp_path / "out" / "content.db")
        assert places_of({"key": wrapped}, tmp_path / "out") == []
        with closing(sqlite3.connect(tmp_path / "out" / "content.db")) as copy:
            schema = "SELECT sql FROM sqlite_master ORDER BY name"
            assert copy.execute(schema).fetchall() == vault._connection.execute(schema).fetchall()
            for table, column in (("subjects", "name"), ("contents", "ciphertext"), ("vault", "master_key")):
                query = f"SELECT {column} FROM {table}"
                assert copy.execute(query).fetchall() == vault._connection.execute(query).fetchall()
    assert schema_version(tmp_path / "out" / "content.db") == newest("content")


def test_a_damaged_copy_and_one_with_rows_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    with vault_in(tmp_path) as vault:
        vault.keep(ALICE, place(), DAY_MS, b"x" * 50_000)
    copy = tmp_path / "copy.db"
    snapshot(tmp_path / "content.db", copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("DELETE FROM subjects")
    with pytest.raises(FileDamaged, match="damaged"):
        check_database(copy)
    content = bytearray((tmp_path / "content.db").read_bytes())
    content[4096 * 2 : 4096 * 6] = b"\xff" * (4096 * 4)
    copy.write_bytes(bytes(content))
    with pytest.raises(FileDamaged, match="damaged"):
        check_database(copy)
