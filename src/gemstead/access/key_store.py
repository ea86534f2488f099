"""The keys in the database: made, listed, rotated, revoked. A row is never deleted: the door has to stay locked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from gemstead.access.keys import NewKey, hash_key, new_key
from gemstead.access.records import KeyChange, KeyFields, KeyRecord, StoredKey
from gemstead.core.errors import NameUnknown, PolicyRefused

_LISTS = ("groups", "scopes", "models", "tools", "labels", "quota")
_FIELDS = ("name", "owner", *_LISTS, "expires_at_s")
_OWN = ("id", "created_at_s", "created_by", "last_used_at_s", "revoked_at_s", "rotated_from", "ends_at_s")
_COLUMNS = ", ".join((*_OWN, *_FIELDS, "hash"))


class KeyStore:
    """Over one connection in autocommit mode; each method that changes something is one transaction.

    `pepper` is asked for when a key is made, and not before. `on_change` is told of each change once it is in the
    database and before its maker hears of it: a key whose making could not be recorded is shown to nobody.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        pepper: Callable[[], bytes],
        on_change: Callable[[KeyChange, KeyRecord], None] = lambda _change, _record: None,
    ) -> None:
        self._connection = connection
        self._pepper = pepper
        self._on_change = on_change

    def change_number(self) -> int:
        """Grows with every change of any key, by any process. 0: no key was ever made."""
        return int(self._connection.execute("SELECT number FROM key_changes").fetchone()[0])

    def changed_since(self, number: int) -> list[StoredKey]:
        """The keys whose last change came after `number`."""
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM keys WHERE change_number > ?", (number,))  # noqa: S608
        return [_stored(row) for row in rows]

    def list(self) -> list[KeyRecord]:
        """Oldest first."""
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY created_at_s, id")  # noqa: S608
        return [_stored(row).record for row in rows]

    def find(self, name_or_id: str) -> KeyRecord:
        """A key by its id, or by its name if one key alone that is not revoked has it.

        Raises: NameUnknown.
        """
        records = self.list()
        for record in records:
            if record.id == name_or_id:
                return record
        named = [record for record in records if record.fields.name == name_or_id and record.revoked_at_s is None]
        if len(named) == 1:
            return named[0]
        ids = ", ".join(record.id for record in named)
        hint = f"several have that name, say which: {ids}" if named else "(gemstead keys list shows them)"
        known = [record.fields.name for record in records if record.fields.name != name_or_id]
        raise NameUnknown("key", name_or_id[:100], known, hint=hint)

    def create(self, fields: KeyFields, *, now_s: float, created_by: str) -> tuple[NewKey, KeyRecord]:
        """The only moment at which the whole key is known."""
        key = new_key()
        record = KeyRecord(id=key.id, fields=fields, created_at_s=now_s, created_by=created_by)
        digest = hash_key(self._pepper(), key.text)
        with self._changing() as number:
            self._insert(record, digest, number)
        self._on_change("created", record)
        return key, record

    def rotate(self, name_or_id: str, *, overlap_s: float, now_s: float, created_by: str) -> tuple[NewKey, KeyRecord]:
        """A new key with the rights of the old one and as long a life; the old one goes on for `overlap_s`.

        Raises: NameUnknown; PolicyRefused for a key that is revoked or expired already.
        """
        key = new_key()
        digest = hash_key(self._pepper(), key.text)
        with self._changing() as number:
            old = self.find(name_or_id)
            if (state := old.state(now_s)) != "active":
                raise PolicyRefused(f"the key {old.id} is {state}", hint="gemstead keys create")
            fields = old.fields
            if fields.expires_at_s is not None:
                life_s = fields.expires_at_s - old.created_at_s
                fields = msgspec.structs.replace(fields, expires_at_s=now_s + life_s)
            record = KeyRecord(id=key.id, fields=fields, created_at_s=now_s, created_by=created_by, rotated_from=old.id)
            self._insert(record, digest, number)
            self._connection.execute(
                "UPDATE keys SET ends_at_s = ?, change_number = ? WHERE id = ?", (now_s + overlap_s, number, old.id)
            )
        self._on_change("rotated", record)
        return key, record

    def revoke(self, name_or_id: str, *, now_s: float) -> KeyRecord:
        """Ends a key for good; one that is revoked already stays as it is. Raises: NameUnknown."""
        with self._changing() as number:
            old = self.find(name_or_id)
            if old.revoked_at_s is not None:
                return old
            self._connection.execute(
                "UPDATE keys SET revoked_at_s = ?, change_number = ? WHERE id = ?", (now_s, number, old.id)
            )
        revoked = msgspec.structs.replace(old, revoked_at_s=now_s)
        self._on_change("revoked", revoked)
        return revoked

    def note_uses(self, used_at_s: dict[str, float]) -> None:
        """When keys were last used. No change that a running server has to read again."""
        with self._transaction():
            self._connection.executemany(
                "UPDATE keys SET last_used_at_s = max(coalesce(last_used_at_s, 0), ?) WHERE id = ?",
                [(at_s, key_id) for key_id, at_s in used_at_s.items()],
            )

    def _insert(self, record: KeyRecord, digest: bytes, number: int) -> None:
        values = [getattr(record, name) for name in _OWN]
        values += [_written(name, getattr(record.fields, name)) for name in _FIELDS]
        marks = ", ".join("?" * (len(values) + 2))
        self._connection.execute(
            f"INSERT INTO keys ({_COLUMNS}, change_number) VALUES ({marks})",  # noqa: S608
            (*values, digest, number),
        )

    @contextmanager
    def _changing(self) -> Iterator[int]:
        """One transaction, and the number of the change it makes."""
        with self._transaction():
            self._connection.execute("UPDATE key_changes SET number = number + 1")
            yield self.change_number()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Takes the write lock at once: two commands must not both read before either has written."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _written(name: str, value: Any) -> Any:
    return msgspec.json.encode(value).decode() if name in _LISTS else value


def _stored(row: tuple[Any, ...]) -> StoredKey:
    own = dict(zip(_OWN, row, strict=False))
    named = dict(zip(_FIELDS, row[len(_OWN) :], strict=False))
    for name in _LISTS:
        named[name] = msgspec.json.decode(named[name])
    fields = msgspec.convert(named, KeyFields)
    return StoredKey(KeyRecord(fields=fields, **own), bytes(row[-1]))
