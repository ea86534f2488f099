"""Blanks records that are past their retention: their text goes, their hash in chain and tree stays.

A record that names what is blanked comes first, so that a blank which nobody announced is a finding of the verifier.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gemstead.core.errors import EvidenceUnavailable
from gemstead.evidence.canonical import Value
from gemstead.evidence.tree import leaf_hash
from gemstead.store.database import open_database

if TYPE_CHECKING:
    from gemstead.evidence.ledger import Ledger

EXPIRED = "evidence.expired"
_OLD = "FROM records WHERE at_ms < ? AND kind NOT GLOB 'evidence.*'"
"""What was blanked has no time any more; what the evidence says of itself stays: keys, and earlier blanks."""
ROWS_PER_TRANSACTION = 500
PAUSE_S = 0.005
"""Between two transactions, so that records of the door get in."""
TRUNCATE_TRIES = 5


class Expired(msgspec.Struct, frozen=True):
    """`num` records between the positions `first` and `last`, both included, were older than `before_ms` (Unix time in
    milliseconds). `is_log_clean`: no older copy of them is left in SQLite's log; False where a reader held it open.
    """

    first: int
    last: int
    num: int
    before_ms: int
    is_log_clean: bool = False


def expirable(path: Path, before_ms: int) -> Expired | None:
    """What `expire` would blank; None: nothing. Raises: EvidenceUnavailable; FileDamaged, SettingInvalid."""
    connection = open_database(path, "evidence").raw()
    try:
        return _found(connection, before_ms)
    except sqlite3.Error as exc:
        raise _unavailable(exc) from exc
    finally:
        connection.close()


def expire(path: Path, ledger: Ledger, *, before_ms: int, now_ms: int) -> Expired | None:
    """Blanks the records of the database `path`, which `ledger` writes to, that are older than `before_ms`.

    None: there were none. Blocks while it works. Cut off, it is done again from the start the next time.
    Raises: EvidenceUnavailable; FileDamaged, SettingInvalid.
    """
    connection = open_database(path, "evidence").raw()
    try:
        # What is overwritten is overwritten with zeros, in its pages and in those of the indexes.
        connection.execute("PRAGMA secure_delete = ON")
        connection.create_function("leaf_hash", 1, lambda record: leaf_hash(record.encode()), deterministic=True)
        found = _found(connection, before_ms)
        if found is None:
            return None
        ledger.write_now(expiry_record(found, now_ms))
        while _blank(connection, found) == ROWS_PER_TRANSACTION:
            time.sleep(PAUSE_S)
        return msgspec.structs.replace(found, is_log_clean=_emptied_log(connection))
    except sqlite3.Error as exc:
        raise _unavailable(exc) from exc
    finally:
        connection.close()


def expiry_record(expired: Expired, now_ms: int) -> dict[str, Value]:
    return {
        "v": 1,
        "kind": EXPIRED,
        "at_ms": now_ms,
        "first": expired.first,
        "last": expired.last,
        "num": expired.num,
        "before_ms": expired.before_ms,
    }


def _found(connection: sqlite3.Connection, before_ms: int) -> Expired | None:
    sql = f"SELECT min(position), max(position), count(*) {_OLD}"
    first, last, num = connection.execute(sql, (before_ms,)).fetchone()
    return Expired(first, last, num, before_ms) if num else None


def _blank(connection: sqlite3.Connection, expired: Expired) -> int:
    """Blanks a part; how many."""
    some = f"SELECT position {_OLD} AND position <= ? LIMIT {ROWS_PER_TRANSACTION}"
    sql = f"UPDATE records SET leaf = leaf_hash(record), record = NULL WHERE position IN ({some})"  # noqa: S608
    return connection.execute(sql, (expired.before_ms, expired.last)).rowcount


def _emptied_log(connection: sqlite3.Connection) -> bool:
    """Whether the log, which holds older copies of pages, was brought in and cut to nothing."""
    for attempt in range(TRUNCATE_TRIES):
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return True
        time.sleep(PAUSE_S * 2**attempt)
    return False


def _unavailable(exc: sqlite3.Error) -> EvidenceUnavailable:
    return EvidenceUnavailable(f"the evidence cannot be shortened: {exc}", hint="gemstead evidence verify")
