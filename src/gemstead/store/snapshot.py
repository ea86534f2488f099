"""A copy of a database that others may be writing to: whole, at one moment, checked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from gemstead.core.errors import FileDamaged

PAGES_AT_ONCE = 4096
"""Copied under one read lock; between them others write."""


def snapshot(source: Path, target: Path) -> None:
    """Copies all of it, by SQLite's own online backup. Raises: sqlite3.Error."""
    with closing(sqlite3.connect(source)) as read, closing(_new(target)) as written:
        read.backup(written, pages=PAGES_AT_ONCE)
        # A file of its own, without a log beside it.
        written.execute("PRAGMA journal_mode = DELETE")


def snapshot_without(source: Path, target: Path, table: str, column: str) -> None:
    """As `snapshot`, but `column` of `table` is never copied: it is an empty blob instead. Raises: sqlite3.Error.

    Copying it all and emptying it then would leave it in blocks of the disk that nothing overwrites.
    """
    with closing(_new(target)) as connection:
        connection.execute("ATTACH ? AS source", (str(source),))
        connection.execute("BEGIN")
        schema = connection.execute(
            "SELECT type, name, sql FROM source.sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%'"
            " ESCAPE '\\' ORDER BY type = 'table' DESC"
        ).fetchall()
        for _kind, _name, sql in schema:
            connection.execute(sql)
        for name in (name for kind, name, _sql in schema if kind == "table"):
            columns = [row[1] for row in connection.execute(f'PRAGMA source.table_info("{name}")')]
            values = ", ".join("x''" if (name, one) == (table, column) else f'"{one}"' for one in columns)
            connection.execute(f'INSERT INTO main."{name}" SELECT {values} FROM source."{name}"')  # noqa: S608
        connection.execute("COMMIT")


def check_database(path: Path) -> None:
    """Raises: FileDamaged unless SQLite finds nothing wrong with it. Nobody else may be writing to it."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            found += [
                f"a row of {row[0]} names a row that is not there"
                for row in connection.execute("PRAGMA foreign_key_check")
            ]
    except sqlite3.DatabaseError as exc:
        raise FileDamaged(f"{path.name} is damaged", why=str(exc)) from exc
    if found != ["ok"]:
        raise FileDamaged(f"{path.name} is damaged", why="; ".join(found)[:500])


def schema_version(path: Path) -> str:
    """The id of the schema it is at; empty for none."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        try:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return ""
    return "" if found is None else str(found[0])


def _new(target: Path) -> sqlite3.Connection:
    target.touch(mode=0o600, exist_ok=False)
    return sqlite3.connect(target, isolation_level=None)
