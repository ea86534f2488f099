"""The one file outside the database that holds everybody's key, wrapped: it opens the content of every backup.

Backups hold no keys, so an old one cannot bring an erased person back. This file is what they are opened with; it is
written anew after each erasure, and then it opens nothing of that person in any of them.
"""

from __future__ import annotations

import base64
import os
import secrets
import sqlite3
from pathlib import Path

import msgspec

from gemstead.core.errors import FileDamaged, SettingInvalid

MAX_FILE_BYTES = 1024 * 1024 * 1024


class KeyCopy(msgspec.Struct, frozen=True):
    """The file, as JSON; `master_key` is the fingerprint of the key that opens these."""

    schema: str
    written_at_ms: int
    master_key: str
    keys: dict[str, str]


SCHEMA = "gemstead/content-keys/1"


def write_key_copy(connection: sqlite3.Connection, path: Path, now_ms: int) -> int:
    """Writes the keys there are now in place of what the file had, and remembers where; gives their number.

    The old content is overwritten before it is given up, as far as the file system lets one.

    Raises: OSError.
    """
    rows = connection.execute("SELECT id, wrapped_key FROM subjects ORDER BY id").fetchall()
    found = connection.execute("SELECT master_key FROM vault").fetchone()
    keys = {row[0]: base64.b64encode(row[1]).decode() for row in rows}
    copy = KeyCopy(SCHEMA, now_ms, found[0] if found else "", keys)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    _write(draft, msgspec.json.format(msgspec.json.encode(copy)))
    _overwrite(path)
    draft.replace(path)
    connection.execute("INSERT OR REPLACE INTO key_copies VALUES (?, ?)", (str(path.absolute()), now_ms))
    return len(keys)


def read_key_copy(path: Path) -> KeyCopy:
    """Raises: SettingInvalid if it is not there; FileDamaged if it is something else."""
    try:
        with path.open("rb") as file:
            copy = msgspec.json.decode(file.read(MAX_FILE_BYTES), type=KeyCopy)
    except OSError as exc:
        raise SettingInvalid(f"the key file {path} cannot be read: {exc.strerror}") from exc
    except msgspec.DecodeError as exc:
        raise FileDamaged(f"{path} is no key file", why=str(exc)) from exc
    if copy.schema != SCHEMA:
        raise FileDamaged(f"{path} is no key file of this gemstead", why=f"its schema is {copy.schema!r}")
    return copy


def put_keys(connection: sqlite3.Connection, copy: KeyCopy) -> int:
    """Gives the subjects of a restored database their keys; those without one are gone for good, and removed.

    Gives how many of them there were. Raises: FileDamaged if the keys are of another vault.
    """
    found = connection.execute("SELECT master_key FROM vault").fetchone()
    if found is not None and found[0] != copy.master_key:
        raise FileDamaged("the key file is of another installation than the backup")
    keys = [(base64.b64decode(key), subject_id) for subject_id, key in copy.keys.items()]
    connection.executemany("UPDATE subjects SET wrapped_key = ? WHERE id = ?", keys)
    return remove_keyless(connection)


def remove_keyless(connection: sqlite3.Connection) -> int:
    """Removes who has no key, and what was under it: nothing opens that any more. Gives how many they were."""
    lost = "SELECT id FROM subjects WHERE length(wrapped_key) = 0"
    connection.execute(f"DELETE FROM contents WHERE subject IN ({lost})")  # noqa: S608
    return connection.execute("DELETE FROM subjects WHERE length(wrapped_key) = 0").rowcount


def known_copies(connection: sqlite3.Connection) -> list[Path]:
    """Where key files were written."""
    return [Path(row[0]) for row in connection.execute("SELECT path FROM key_copies ORDER BY path")]


def forget_copy(connection: sqlite3.Connection, path: Path) -> bool:
    """This file is no more, anywhere: erasures need not reach it. False: it was not known."""
    return connection.execute("DELETE FROM key_copies WHERE path = ?", (str(path.absolute()),)).rowcount > 0


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def wipe(path: Path) -> None:
    """Overwrites a file, as far as the file system lets one, and removes it. Raises: OSError."""
    _overwrite(path)
    path.unlink(missing_ok=True)


def _overwrite(path: Path) -> None:
    try:
        size_bytes = path.stat().st_size
        with path.open("r+b") as file:
            file.write(b"\0" * size_bytes)
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
