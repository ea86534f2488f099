"""A copy of the evidence for one change, and what a forger does to it."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.tamper_suite.original import Original
from gemstead.evidence import verify
from gemstead.evidence.canonical import canonical
from gemstead.evidence.chain import START, link_hash
from gemstead.evidence.checkpoint import Checkpoint, signed
from gemstead.evidence.identity import read_identity
from gemstead.evidence.tree import GrowingTree, leaf_hash


@dataclass
class Case:
    """Files of its own. `knows_elsewhere`: the auditor has the checkpoints of the second place."""

    original: Original
    folder: Path
    knows_elsewhere: bool
    target: str = "evidence.db"
    _bundles: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        for path in (self.original.database, self.original.elsewhere, *self.original.data.glob("*.zip")):
            shutil.copy(path, self.folder / path.name)

    @property
    def database(self) -> Path:
        return self.folder / "evidence.db"

    @property
    def elsewhere(self) -> Path:
        return self.folder / "elsewhere.txt"

    def sql(self, *statements: str | tuple[str, tuple[object, ...]]) -> None:
        """Runs them in one transaction, with the right to change the schema."""
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("PRAGMA writable_schema = ON")
            for statement in statements:
                sql, values = (statement, ()) if isinstance(statement, str) else statement
                connection.execute(sql, values)

    def record(self, position: int) -> dict[str, Any]:
        with closing(sqlite3.connect(self.database)) as connection:
            row = connection.execute("SELECT record FROM records WHERE position = ?", (position,)).fetchone()
        record: dict[str, Any] = json.loads(row[0])
        return record

    def edit(self, position: int, **changed: Any) -> None:
        text = canonical({**self.record(position), **changed}).decode()
        self.sql(("UPDATE records SET record = ? WHERE position = ?", (text, position)))

    def rehash(self, first: int, last: int | None = None) -> None:
        """Makes the hashes from `first` on follow from the records again, to `last` or the end."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            row = connection.execute("SELECT hash FROM records WHERE position = ?", (first - 1,)).fetchone()
            previous = START if row is None else row[0]
            rows = connection.execute(
                "SELECT position, record, leaf FROM records WHERE position >= ? ORDER BY position", (first,)
            ).fetchall()
            for position, record, leaf in rows:
                if last is not None and position > last:
                    return
                previous = link_hash(previous, position, leaf if record is None else leaf_hash(record.encode()))
                connection.execute("UPDATE records SET hash = ? WHERE position = ?", (previous, position))

    def renumber(self, first: int, by: int) -> None:
        self.sql(
            f"UPDATE records SET position = -position - {by} WHERE position >= {first}",
            "UPDATE records SET position = -position WHERE position < 0",
        )

    def resign(self, key: Ed25519PrivateKey | None = None) -> None:
        """Makes every checkpoint of the database anew over the records as they are now; None: with the stolen key."""
        key = key or read_identity(self.original.data / "secrets" / "evidence.key").key
        with closing(sqlite3.connect(self.database)) as connection, connection:
            wanted = dict(connection.execute("SELECT size, at_ms FROM checkpoints"))
            origin = str(self.record(0)["origin"])
            tree = GrowingTree()
            for position, record, leaf, link in connection.execute(
                "SELECT position, record, leaf, hash FROM records ORDER BY position"
            ).fetchall():
                tree.append(leaf if record is None else leaf_hash(record.encode()))
                if position + 1 in wanted:
                    size = position + 1
                    note = signed(Checkpoint(origin, size, tree.root(), link, wanted[size]), key)
                    connection.execute(
                        "UPDATE checkpoints SET note = ?, peaks = ? WHERE size = ?", (note, b"".join(tree.peaks), size)
                    )

    def note(self, size: int) -> str:
        with closing(sqlite3.connect(self.database)) as connection:
            return str(connection.execute("SELECT note FROM checkpoints WHERE size = ?", (size,)).fetchone()[0])

    def set_note(self, size: int, note: str) -> None:
        self.sql(("UPDATE checkpoints SET note = ? WHERE size = ?", (note, size)))

    def examined(self) -> verify.Report:
        """Raises: verify.Unreadable."""
        elsewhere = [(self.elsewhere.name, self.elsewhere.read_text())] if self.knows_elsewhere else []
        return verify.examine(self.folder / self.target, self.original.key, elsewhere)


@dataclass(frozen=True)
class Change:
    """`at`: the position that was changed; None: none in particular. `needs`: what else it takes to see it."""

    name: str
    at: int | None
    needs: str
    make: Callable[[Case], None]


@dataclass(frozen=True)
class Verdict:
    """`is_located`: a finding names the position, a range with it, or the record after, whose link it broke."""

    findings: tuple[verify.Finding, ...]
    is_located: bool
    unreadable: str | None = None

    @property
    def is_detected(self) -> bool:
        return bool(self.findings) or self.unreadable is not None


def tried(original: Original, change: Change, folder: Path) -> Verdict:
    """What is found of `change` on a copy in the new folder `folder`."""
    case = Case(original, folder, change.needs == "checkpoints elsewhere")
    change.make(case)
    try:
        findings = tuple(case.examined().findings)
    except verify.Unreadable as exc:
        return Verdict((), change.at is None, str(exc))
    return Verdict(findings, change.at is None or any(names(finding, change.at) for finding in findings))


def names(finding: verify.Finding, at: int) -> bool:
    if finding.position is None:
        return False
    last = finding.position if finding.last is None else finding.last
    return finding.position <= at <= last or finding.position == at + 1


def encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()
