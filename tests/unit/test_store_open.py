"""Opening the database: made private, brought to the newest schema, safe beside other processes."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gemstead.core.errors import FileDamaged, SettingInvalid
from gemstead.store.database import FOLDERS, Database, Lineage, _migrate, newest, open_database, revisions

READ_ALL = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit(); c.close()"


def test_a_new_database_is_private_and_at_the_newest_schema(tmp_path: Path) -> None:
    database = open_database(tmp_path / "a" / "gemstead.db")
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600
    connection = database.raw()
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (newest(),)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    connection.close()


def test_opening_it_again_drops_no_lock_of_a_connection_that_is_open(tmp_path: Path) -> None:
    """Another process that then opens and closes it must not take the log away under this one."""
    path = tmp_path / "gemstead.db"
    connection = open_database(path).raw()
    connection.execute("SELECT number FROM key_changes").fetchone()
    open_database(path)
    change = "UPDATE key_changes SET number = number + 1"
    subprocess.run([sys.executable, "-c", READ_ALL, str(path), change], check=True)
    assert connection.execute("SELECT number FROM key_changes").fetchone() == (1,)
    assert path.with_name("gemstead.db-wal").exists()
    connection.close()


def test_what_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "gemstead.db"
    path.write_bytes(b"not a database, but long enough to look like one" * 100)
    before = path.read_bytes()
    with pytest.raises(FileDamaged):
        open_database(path)
    assert path.read_bytes() == before


def test_a_database_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    database = open_database(tmp_path / "gemstead.db")
    connection = sqlite3.connect(database.path)
    connection.execute("UPDATE alembic_version SET version_num = '9999_later'")
    connection.commit()
    connection.close()
    with pytest.raises(SettingInvalid) as caught:
        open_database(database.path)
    assert "newer" in caught.value.what


@pytest.mark.parametrize(
    ("lineage", "revision"), [(lineage, revision) for lineage in FOLDERS for revision in revisions(lineage)]
)
def test_a_database_of_every_earlier_version_is_brought_up(tmp_path: Path, lineage: Lineage, revision: str) -> None:
    database = Database(tmp_path / "some.db")
    _migrate(database, revision, lineage)
    connection = open_database(database.path, lineage).raw()
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (newest(lineage),)
    connection.close()
    fresh = open_database(tmp_path / "fresh.db", lineage)
    assert schema(fresh) == schema(database)


def schema(database: Database) -> list[tuple[str, str]]:
    connection = database.raw()
    found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return found


def test_a_database_of_one_lineage_is_not_taken_for_one_of_another(tmp_path: Path) -> None:
    open_database(tmp_path / "some.db", "evidence")
    with pytest.raises(SettingInvalid):
        open_database(tmp_path / "some.db", "gemstead")


@pytest.mark.parametrize("revision", revisions("gemstead"))
def test_a_database_of_every_earlier_version_keeps_its_keys(tmp_path: Path, revision: str) -> None:
    database = Database(tmp_path / "gemstead.db")
    _migrate(database, revision)
    connection = sqlite3.connect(database.path)
    connection.execute("UPDATE key_changes SET number = 7")
    connection.commit()
    connection.close()
    connection = open_database(database.path).raw()
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (newest(),)
    assert connection.execute("SELECT number FROM key_changes").fetchone() == (7,)
    connection.close()
