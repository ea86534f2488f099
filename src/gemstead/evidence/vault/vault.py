"""The vault: `content.db`, where each text is encrypted under the key of the person it concerns.

Destroying that key destroys every text under it, in this file and in every copy of it that lacks the key. Nothing is
cached: a key that was destroyed a moment ago, by any process, opens and encrypts nothing more.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from gemstead.core.errors import FileDamaged, NameUnknown, SettingInvalid
from gemstead.evidence.vault.master_key import (
    KeySource,
    MasterKey,
    ensure_master_key,
    opened,
    read_master_key,
    sealed,
)
from gemstead.evidence.vault.subject import Subject

PURPOSE = b"gemstead content 1\n"

MAX_VACUUM_BYTES = 256 * 1024 * 1024
"""What is deleted is overwritten anyway; a larger file is not written anew for its size alone."""


class Place(msgspec.Struct, frozen=True):
    """Where a text belongs; its ciphertext opens nowhere else. Times are Unix milliseconds.

    `opened` is the position of the exchange's opening record: callers choose ids, and may choose one twice.
    """

    opened: int
    exchange: str
    at_ms: int
    label: str


class KeptSubject(msgspec.Struct, frozen=True):
    """A person in the vault. `num_below` are the subjects that requests named under this owner."""

    id: str
    subject: Subject
    num: int
    num_bytes: int
    first_at_ms: int | None
    last_at_ms: int | None
    num_below: int = 0


class KeptContent(msgspec.Struct, frozen=True):
    """One text, closed. `sha256` is of the ciphertext, as the record of its exchange has it."""

    subject: str
    place: Place
    expires_at_ms: int
    ciphertext: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.ciphertext).hexdigest()


class Vault:
    """Over one connection in autocommit mode. The master key is read when a key or a name is needed, not before."""

    def __init__(self, connection: sqlite3.Connection, source: KeySource) -> None:
        self._connection = connection
        self._source = source
        self._master_key: MasterKey | None = None
        # What is deleted is overwritten with zeros, in the file and in its log.
        connection.execute("PRAGMA secure_delete = ON")

    def keep(self, subject: Subject, place: Place, expires_at_ms: int, text: bytes) -> str:
        """Encrypts and stores; gives the SHA-256 of the ciphertext.

        Raises: sqlite3.Error, FileDamaged, Missing, SettingInvalid.
        """
        master = self._master()
        subject_id = master.subject_id(subject)
        with self._transaction():
            wrapped = self._wrapped_key(master, subject_id, subject, place.at_ms)
            ciphertext = sealed(master.open_key(subject_id, wrapped), text, _bound_to(subject_id, place))
            self._connection.execute(
                "INSERT INTO contents (subject, opened, exchange, at_ms, label, expires_at_ms, ciphertext)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (subject_id, *msgspec.structs.astuple(place), expires_at_ms, ciphertext),
            )
        return hashlib.sha256(ciphertext).hexdigest()

    def subjects(self) -> list[KeptSubject]:
        """By name. Raises: FileDamaged, SettingInvalid."""
        rows = self._connection.execute(
            "SELECT s.id, s.name, count(c.id), coalesce(sum(length(c.ciphertext)), 0), min(c.at_ms), max(c.at_ms),"
            " (SELECT count(*) FROM subjects b WHERE b.parent = s.id)"
            " FROM subjects s LEFT JOIN contents c ON c.subject = s.id GROUP BY s.id"
        ).fetchall()
        if not rows:
            return []
        master = self._master()
        found = [KeptSubject(row[0], master.open_name(row[0], row[1]), *row[2:]) for row in rows]
        return sorted(found, key=lambda one: (one.subject.owner, one.subject.user or ""))

    def find(self, which: str) -> KeptSubject:
        """By id, by `owner`, by `owner/user`, or by `user` where that is one person. Raises: NameUnknown."""
        every = self.subjects()
        for matches in (
            [one for one in every if which in (one.id, str(one.subject))],
            [one for one in every if one.subject.user == which],
        ):
            if len(matches) == 1:
                return matches[0]
            if matches:
                ids = ", ".join(one.id for one in matches)
                raise NameUnknown("subject", which[:100], [], hint=f"several have that name, say which: {ids}")
        known = [str(one.subject) for one in every]
        raise NameUnknown("subject", which[:100], known, hint="(gemstead subject list shows them)")

    def id_of(self, subject: Subject) -> str:
        return self._master().subject_id(subject)

    def below(self, subject_id: str) -> list[str]:
        """Ids of the subjects that requests named under this owner."""
        rows = self._connection.execute("SELECT id FROM subjects WHERE parent = ? ORDER BY id", (subject_id,))
        return [row[0] for row in rows]

    def contents(self, subject_ids: Sequence[str]) -> Iterator[KeptContent]:
        """Oldest first, for each subject."""
        for subject_id in subject_ids:
            rows = self._connection.execute(
                "SELECT opened, exchange, at_ms, label, expires_at_ms, ciphertext FROM contents WHERE subject = ?"
                " ORDER BY id",
                (subject_id,),
            )
            for *place, expires_at_ms, ciphertext in rows:
                yield KeptContent(subject_id, Place(*place), expires_at_ms, ciphertext)

    def text_of(self, content: KeptContent) -> bytes:
        """Raises: FileDamaged if it was changed, moved, or its key is gone."""
        row = self._connection.execute("SELECT wrapped_key FROM subjects WHERE id = ?", (content.subject,)).fetchone()
        if row is None or not row[0]:
            raise FileDamaged(f"the key of {content.subject} is gone", hint="gemstead backup keys says where it may be")
        key = self._master().open_key(content.subject, row[0])
        what = f"what is kept of {content.place.exchange}"
        return opened(key, content.ciphertext, _bound_to(content.subject, content.place), what)

    def erase(self, subject_ids: Sequence[str], now_ms: int) -> int:
        """Destroys the keys, and removes what was under them; gives how many texts that were. `scrub()` after it.

        Running servers see that something was erased (`erasures.py`), even where nothing was kept.
        """
        num = 0
        with self._transaction():
            self._connection.execute("INSERT INTO erasures (at_ms) VALUES (?)", (now_ms,))
            for subject_id in subject_ids:
                num += self._connection.execute("DELETE FROM contents WHERE subject = ?", (subject_id,)).rowcount
                self._connection.execute("DELETE FROM subjects WHERE id = ?", (subject_id,))
        return num

    def due(self, now_ms: int, *, label: str | None = None, before_ms: int | None = None) -> dict[str, int]:
        """How many texts of each label have come to their end; with `before_ms` those as old as that, too."""
        where, values = _due(now_ms, label, before_ms)
        return dict(self._connection.execute(f"SELECT label, count(*) FROM contents WHERE {where} GROUP BY 1", values))  # noqa: S608

    def expire(self, now_ms: int, *, label: str | None = None, before_ms: int | None = None) -> dict[str, int]:
        """Removes what `due` counts, and the key and name of everybody of whom nothing is left."""
        where, values = _due(now_ms, label, before_ms)
        with self._transaction():
            found = self.due(now_ms, label=label, before_ms=before_ms)
            if found:
                self._connection.execute(f"DELETE FROM contents WHERE {where}", values)  # noqa: S608
                self._connection.execute("DELETE FROM subjects WHERE id NOT IN (SELECT subject FROM contents)")
        return found

    def scrub(self, *, is_rewritten: bool = True) -> bool:
        """Empties the log, so that nothing removed is left in it, and writes what is left anew if that is wanted.

        False: another process was reading; what was removed is overwritten in the file, and its log goes with the next.
        """
        size_bytes = self._number("PRAGMA page_count") * self._number("PRAGMA page_size")
        try:
            if is_rewritten and size_bytes <= MAX_VACUUM_BYTES:
                # In memory: a copy in a folder for temporary files would be one more place that has the keys.
                self._connection.execute("PRAGMA temp_store = MEMORY")
                self._connection.execute("VACUUM")
            return self._number("PRAGMA wal_checkpoint(TRUNCATE)") == 0
        except sqlite3.OperationalError:
            return False

    def wrapped_keys(self) -> dict[str, bytes]:
        """Every person's key, as it is kept: only the master key opens one."""
        return dict(self._connection.execute("SELECT id, wrapped_key FROM subjects ORDER BY id"))

    def _wrapped_key(self, master: MasterKey, subject_id: str, subject: Subject, now_ms: int) -> bytes:
        row = self._connection.execute("SELECT wrapped_key FROM subjects WHERE id = ?", (subject_id,)).fetchone()
        if row is not None and row[0]:
            return bytes(row[0])
        if row is not None:
            raise FileDamaged(f"the key of {subject_id} is gone", why="it was restored without its keys")
        wrapped = master.new_key(subject_id)
        parent = None if subject.parent is None else master.subject_id(subject.parent)
        self._connection.execute(
            "INSERT INTO subjects (id, parent, name, wrapped_key, created_at_ms) VALUES (?, ?, ?, ?, ?)",
            (subject_id, parent, master.seal_name(subject_id, subject), wrapped, now_ms),
        )
        return wrapped

    def _master(self) -> MasterKey:
        """The master key this vault is under; made with the vault, and never again: another would open nothing of it.

        Raises: Missing; SettingInvalid for another one.
        """
        if self._master_key is None:
            query = "SELECT master_key FROM vault"
            known = self._connection.execute(query).fetchone()
            master = ensure_master_key(self._source) if known is None else read_master_key(self._source)
            if known is None:
                insert = "INSERT OR IGNORE INTO vault (id, master_key) VALUES (1, ?)"
                self._connection.execute(insert, (master.fingerprint,))
                known = self._connection.execute(query).fetchone()
            if known[0] != master.fingerprint:
                raise SettingInvalid(
                    "the master key is not the one that what is kept was encrypted under",
                    hint="give it the right one (content.key_from, content.master_key)",
                )
            self._master_key = master
        return self._master_key

    def _number(self, query: str) -> int:
        return int(self._connection.execute(query).fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _due(now_ms: int, label: str | None, before_ms: int | None) -> tuple[str, tuple[int | str, ...]]:
    values: tuple[int | str, ...] = (now_ms, -1 if before_ms is None else before_ms)
    return (
        ("(expires_at_ms <= ? OR at_ms < ?)", values)
        if label is None
        else (
            "(expires_at_ms <= ? OR at_ms < ?) AND label = ?",
            (*values, label),
        )
    )


def _bound_to(subject_id: str, place: Place) -> bytes:
    """What the ciphertext is authenticated with: moved to another row, it does not open."""
    return PURPOSE + msgspec.json.encode([subject_id, *msgspec.structs.astuple(place)])
