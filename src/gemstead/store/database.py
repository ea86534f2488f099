"""Opens a database: SQLite in WAL mode, brought to the newest schema under a lock, readable by its user alone.

There are three, apart from each other: keys and limits, evidence, content. Each has a lineage of schemas of its own.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from gemstead.core.errors import FileDamaged, SettingInvalid

if TYPE_CHECKING:
    from sqlalchemy import Engine

Lineage: TypeAlias = Literal["gemstead", "evidence", "content"]

BUSY_TIMEOUT_S = 10.0
LOCK_TIMEOUT_S = 60.0
SCRIPTS = Path(__file__).parent / "migrations"
FOLDERS: dict[Lineage, str] = {"gemstead": "versions", "evidence": "evidence", "content": "content"}
"""Where the scripts of each lineage lie, below `SCRIPTS`."""
RESTORE_JOURNAL = Path(".restoring", "journal.json")
"""Below a data folder: what a restore has yet to move into place."""
PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "foreign_keys = ON",
    f"busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}",
)


class Database:
    """A database at the newest schema. `raw` opens connections for hot paths, `engine` those of SQLAlchemy."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def raw(self) -> sqlite3.Connection:
        """A new connection in autocommit mode, usable from any one thread at a time; close it."""
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S)
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def engine(self) -> Engine:
        """A new pool of connections; dispose of it."""
        from sqlalchemy import create_engine, event

        engine = create_engine(f"sqlite:///{self.path}")

        @event.listens_for(engine, "connect")
        def _configure(connection: sqlite3.Connection, _record: object) -> None:
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")

        return engine


def open_database(path: Path, lineage: Lineage = "gemstead") -> Database:
    """The database at `path`, made if there is none, at the newest schema of `lineage`.

    Raises: FileDamaged if it is no database; SettingInvalid if it cannot be opened, or a newer gemstead made it.
    """
    check_whole(path.parent)
    database = Database(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _create(path)
        if _version(database) != newest(lineage):
            _migrate(database, newest(lineage), lineage)
    except sqlite3.DatabaseError as exc:
        if isinstance(exc, sqlite3.OperationalError):
            raise SettingInvalid(f"the database {path} cannot be opened: {exc}") from exc
        raise FileDamaged(f"{path} is no database", why=str(exc), hint="restore it from a backup") from exc
    except OSError as exc:
        raise SettingInvalid(f"the database {path} cannot be opened: {exc.strerror}") from exc
    return database


def check_whole(folder: Path) -> None:
    """Raises: SettingInvalid if a restore into the folder began to move files into place and did not end."""
    if (folder / RESTORE_JOURNAL).exists():
        raise SettingInvalid(
            f"a restore into {folder} was cut off", why="half of it is in place", hint="gemstead restore FILE ends it"
        )


def _create(path: Path) -> None:
    """An empty private file if there is none.

    One that is there is never opened but by SQLite: closing any other descriptor of it would drop the locks of all of
    this process's connections (POSIX), and the next process to close the database would delete its log under them.
    Source: sqlite.org/howtocorrupt.html, section 2.2.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def revisions(lineage: Lineage = "gemstead") -> list[str]:
    """The ids of every schema there was, oldest first: the scripts' names order them."""
    return sorted(path.stem for path in (SCRIPTS / FOLDERS[lineage]).glob("*[0-9]_*.py"))


@lru_cache(maxsize=len(FOLDERS))
def newest(lineage: Lineage = "gemstead") -> str:
    """The id of the newest schema."""
    return revisions(lineage)[-1]


def _version(database: Database) -> str | None:
    connection = database.raw()
    try:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as exc:
        if "no such table" not in str(exc):
            raise
        return None
    finally:
        connection.close()
    return None if found is None else str(found[0])


def _migrate(database: Database, revision: str, lineage: Lineage = "gemstead") -> None:
    """One process migrates, and the others wait for it. Raises: SettingInvalid."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError
    from filelock import FileLock

    with FileLock(f"{database.path}.lock", timeout=LOCK_TIMEOUT_S):
        config = Config()
        scripts = str(SCRIPTS).replace("%", "%%")
        config.set_main_option("script_location", scripts)
        config.set_main_option("version_locations", f"{scripts}/{FOLDERS[lineage]}")
        # One folder, whatever its name holds: a colon or a space separates nothing.
        config.set_main_option("path_separator", "newline")
        engine = database.engine()
        try:
            with engine.connect() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, revision)
        except CommandError as exc:
            raise SettingInvalid(
                f"the database {database.path} is of a newer gemstead", why=str(exc), hint="update gemstead"
            ) from exc
        finally:
            engine.dispose()
