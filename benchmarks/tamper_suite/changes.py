"""Changes to the database and its checkpoints."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.tamper_suite.case import Case, Change, encoded
from benchmarks.tamper_suite.original import EXPIRED_AT, ROTATED, SIZE
from gemstead.evidence.canonical import canonical

CHANGES: list[Change] = []
ELSEWHERE = "checkpoints elsewhere"
AT = 101
"""A record in the middle: it opens an exchange, and lies between the checkpoints of 64 and 128."""
FORGER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def change(name: str, at: int | None, needs: str = "") -> Callable[[Callable[[Case], None]], None]:
    def listed(make: Callable[[Case], None]) -> None:
        CHANGES.append(Change(name, at, needs, make))

    return listed


def _sql(name: str, at: int | None, *statements: str, needs: str = "") -> None:
    change(name, at, needs)(lambda case: case.sql(*statements))


_sql("column position edited", AT, f"UPDATE records SET position = 90000 WHERE position = {AT}")
_sql(
    "column record edited", AT, f"UPDATE records SET record = replace(record, 'gemma4', 'gemma5') WHERE position = {AT}"
)
_sql("column leaf of a blank edited", 10, "UPDATE records SET leaf = zeroblob(32) WHERE position = 10")
_sql("column hash edited", AT, f"UPDATE records SET hash = zeroblob(32) WHERE position = {AT}")
_sql("column checkpoints.size edited", 128, "UPDATE checkpoints SET size = 129 WHERE size = 128")
_sql("column checkpoints.at_ms edited", 128, "UPDATE checkpoints SET at_ms = at_ms + 1 WHERE size = 128")
_sql("column checkpoints.peaks edited", 128, "UPDATE checkpoints SET peaks = zeroblob(32) WHERE size = 128")
_sql("column version_num edited", None, "UPDATE alembic_version SET version_num = 'e0000'")
_sql("record stored as a blob", AT, f"UPDATE records SET record = CAST(record AS BLOB) WHERE position = {AT}")
_sql("record and leaf both there", AT, f"UPDATE records SET leaf = zeroblob(32) WHERE position = {AT}")
_sql("record and leaf both gone", AT, f"UPDATE records SET record = NULL WHERE position = {AT}")
_sql("hash too short", AT, f"UPDATE records SET hash = x'00' WHERE position = {AT}")
_sql("row deleted in the middle", AT, f"DELETE FROM records WHERE position = {AT}")
_sql("first row deleted", 0, "DELETE FROM records WHERE position = 0")
_sql("last row deleted", SIZE - 1, f"DELETE FROM records WHERE position = {SIZE - 1}")
_sql("all rows deleted", 0, "DELETE FROM records")
_sql(
    "rows deleted at the end, with their checkpoints",
    350,
    "DELETE FROM records WHERE position >= 350",
    "DELETE FROM checkpoints WHERE size > 350",
    needs=ELSEWHERE,
)
_sql("everything deleted", 0, "DELETE FROM records", "DELETE FROM checkpoints", needs=ELSEWHERE)
_sql("row before the first", -1, "INSERT INTO records (position, record, hash) VALUES (-1, '{}', zeroblob(32))")
_sql("checkpoint removed", 128, "DELETE FROM checkpoints WHERE size = 128", needs=ELSEWHERE)
_sql("all checkpoints removed", 64, "DELETE FROM checkpoints", needs=ELSEWHERE)
_sql(
    "older checkpoint put back",
    SIZE,
    f"UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 320) WHERE size = {SIZE}",
)
_sql("view named like the table", None, "ALTER TABLE records RENAME TO r", "CREATE VIEW records AS SELECT * FROM r")
_sql("trigger that drops records", None, "CREATE TRIGGER t BEFORE INSERT ON records BEGIN SELECT raise(IGNORE); END")
_sql("one more table", None, "CREATE TABLE records2 (position INTEGER)")
_sql("index dropped", None, "DROP INDEX records_by_kind")
_sql(
    "index that leaves records out",
    None,
    "DROP INDEX records_by_kind",
    "CREATE INDEX records_by_kind ON records (kind) WHERE position <> 101",
)
_sql("column added", None, "ALTER TABLE records ADD COLUMN more TEXT")
_sql(
    "column computed otherwise",
    None,
    "UPDATE sqlite_master SET sql = replace(sql, '$.model', '$.engine') WHERE name = 'records'",
)


@change("columns stored instead of computed", None)
def _stored(case: Case) -> None:
    with closing(sqlite3.connect(case.database)) as connection:
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'records'").fetchone()
    plain = re.sub(r" GENERATED ALWAYS AS \(.*?\)\) VIRTUAL", "", sql).replace("TABLE records", "TABLE other")
    fields = "position, record, leaf, hash, at_ms, kind, exchange, key, model"
    case.sql(
        plain,
        f"INSERT INTO other ({fields}) SELECT {fields} FROM records",
        "DROP TABLE records",
        "ALTER TABLE other RENAME TO records",
    )


@change("record edited, its own hash made anew", AT)
def _own_hash(case: Case) -> None:
    case.edit(AT, model="another")
    case.rehash(AT, AT)


@change("record edited, all hashes after it made anew", AT)
def _all_hashes(case: Case) -> None:
    case.edit(AT, model="another")
    case.rehash(AT)


@change("record edited, all made anew, signed by another key", 128)
def _other_key(case: Case) -> None:
    case.edit(AT, model="another")
    case.rehash(AT)
    case.resign(FORGER)


@change("the same, with the key in record 0 replaced too", 0)
def _other_identity(case: Case) -> None:
    case.edit(0, public_key=encoded(FORGER.public_key().public_bytes_raw()))
    case.edit(ROTATED, kind="server.started")
    case.rehash(0)
    case.resign(FORGER)


@change("record edited, all made anew, signed by the stolen key", AT, ELSEWHERE)
def _stolen_key(case: Case) -> None:
    case.edit(300, model="another")
    case.rehash(300)
    case.resign()
    case.sql("DELETE FROM checkpoints WHERE size < 192")
    case.edit(AT, model="another")
    case.rehash(AT)
    case.resign()


@change("record swapped with its neighbour", AT)
def _swapped(case: Case) -> None:
    first, second = canonical(case.record(AT)).decode(), canonical(case.record(AT + 1)).decode()
    for position, text in ((AT, second), (AT + 1, first)):
        case.sql(("UPDATE records SET record = ? WHERE position = ?", (text, position)))


@change("row swapped with its neighbour, hash and all", AT)
def _swapped_rows(case: Case) -> None:
    case.sql(
        f"UPDATE records SET position = -1 WHERE position = {AT}",
        f"UPDATE records SET position = {AT} WHERE position = {AT + 1}",
        f"UPDATE records SET position = {AT + 1} WHERE position = -1",
    )


@change("row deleted, those after it moved up", AT)
def _deleted_moved(case: Case) -> None:
    case.sql(f"DELETE FROM records WHERE position = {AT}")
    case.renumber(AT, -1)


@change("row deleted, moved up, all hashes made anew", AT)
def _deleted_rehashed(case: Case) -> None:
    case.sql(f"DELETE FROM records WHERE position = {AT}")
    case.renumber(AT, -1)
    case.rehash(AT)


@change("row put in, those after it moved down", AT)
def _inserted(case: Case) -> None:
    case.renumber(AT, 1)
    text = canonical({**case.record(AT - 1), "exchange": "never"}).decode()
    case.sql(("INSERT INTO records (position, record, hash) VALUES (?, ?, zeroblob(32))", (AT, text)))


@change("row put in, all hashes made anew", AT)
def _inserted_rehashed(case: Case) -> None:
    _copy_in(case, AT)
    case.rehash(AT)


@change("row doubled", AT)
def _doubled(case: Case) -> None:
    _copy_in(case, AT)


def _copy_in(case: Case, position: int) -> None:
    case.renumber(position, 1)
    columns = f"SELECT {position}, record, leaf, hash FROM records WHERE position = {position + 1}"
    case.sql(f"INSERT INTO records (position, record, leaf, hash) {columns}")


@change("record blanked that had not expired", 300)
def _blanked(case: Case) -> None:
    from gemstead.evidence.tree import leaf_hash

    leaf = leaf_hash(canonical(case.record(300)))
    case.sql(("UPDATE records SET record = NULL, leaf = ? WHERE position = 300", (leaf,)))


@change("expired range widened", EXPIRED_AT)
def _widened(case: Case) -> None:
    case.edit(EXPIRED_AT, last=60)


@change("expired record made up before the blank, all made anew", AT)
def _expired_forged(case: Case) -> None:
    text = canonical({"v": 1, "kind": "evidence.expired", "at_ms": 1, "first": 50, "last": 60}).decode()
    case.sql(("UPDATE records SET record = ? WHERE position = ?", (text, AT)))
    case.rehash(AT)


@change("blank filled with another record", 10)
def _filled(case: Case) -> None:
    text = canonical(case.record(301)).decode()
    case.sql(("UPDATE records SET record = ?, leaf = NULL WHERE position = 10", (text,)))


@change("rotation names another key", ROTATED)
def _rotation(case: Case) -> None:
    case.edit(ROTATED, public_key=encoded(FORGER.public_key().public_bytes_raw()))
    case.rehash(ROTATED)
    case.resign(FORGER)


@change("note edited", 128)
def _note(case: Case) -> None:
    case.set_note(128, case.note(128).replace("\nhead ", "\nhead A", 1))


@change("root in a note edited", 128)
def _note_root(case: Case) -> None:
    lines = case.note(128).split("\n")
    lines[2] = case.note(64).split("\n")[2]
    case.set_note(128, "\n".join(lines))


@change("signature of a note edited", 128)
def _note_signature(case: Case) -> None:
    case.set_note(128, case.note(128)[:-9] + "AAAAAAA=\n")


@change("note signed by the old key after its rotation", 192)
def _old_key(case: Case) -> None:
    case.set_note(192, case.note(128))


@change("note in the second place edited", None, ELSEWHERE)
def _elsewhere_edited(case: Case) -> None:
    case.elsewhere.write_text(case.elsewhere.read_text().replace("\n128\n", "\n129\n"))


@change("database replaced by an older copy", 300, ELSEWHERE)
def _older_copy(case: Case) -> None:
    case.sql("DELETE FROM records WHERE position >= 300", "DELETE FROM checkpoints WHERE size > 300")


@change("log of the database deleted", 320, ELSEWHERE)
def _log_deleted(case: Case) -> None:
    """Everything after record 319 was only in the log."""
    case.sql("DELETE FROM records WHERE position >= 320", "DELETE FROM checkpoints WHERE size > 320")
    with closing(sqlite3.connect(case.original.database)) as source:
        rows = source.execute("SELECT position, record, leaf, hash FROM records WHERE position >= 320").fetchall()
        notes = source.execute("SELECT * FROM checkpoints WHERE size > 320").fetchall()
    crashed = case.folder / "crashed.db"
    with closing(sqlite3.connect(case.database, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO records (position, record, leaf, hash) VALUES (?, ?, ?, ?)", rows)
        connection.executemany("INSERT INTO checkpoints VALUES (?, ?, ?, ?)", notes)
        connection.execute("COMMIT")
        # As a power cut leaves it: the file, and beside it the log.
        shutil.copy(case.database, crashed)
        shutil.copy(f"{case.database}-wal", f"{crashed}-wal")
    assert len(rows) == SIZE - 320
    crashed.with_name("crashed.db-wal").unlink()
    crashed.replace(case.database)


@change("file cut in half", None)
def _cut(case: Case) -> None:
    content = case.database.read_bytes()
    case.database.write_bytes(content[: len(content) // 2])


@change("page of the file overwritten", None)
def _page(case: Case) -> None:
    content = bytearray(case.database.read_bytes())
    start = content.index(json.dumps(f"req_{(AT - 1) // 2:06}").encode())
    content[start - start % 4096 : start - start % 4096 + 4096] = bytes(4096)
    case.database.write_bytes(content)
