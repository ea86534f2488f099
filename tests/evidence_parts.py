"""What tests of the evidence share: a ledger in a folder, and what then stands in its database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gemstead.evidence.chain import Break, Link, first_break
from gemstead.evidence.checkpoint import Checkpoint, opened
from gemstead.evidence.identity import KEY_FILE, Identity, ensure_identity
from gemstead.evidence.ledger import Ledger, LedgerOptions, Record, opened_ledger
from gemstead.evidence.tree import leaf_hash, root_of


def key_path(folder: Path) -> Path:
    return folder / "secrets" / KEY_FILE


def database_path(folder: Path) -> Path:
    return folder / "evidence.db"


def record(number: int, *, kind: str = "tool.run", at_ms: int = 1_000) -> Record:
    return {"v": 1, "kind": kind, "at_ms": at_ms, "n": number}


@contextmanager
def ledger_in(folder: Path, options: LedgerOptions | None = None, identity: Identity | None = None) -> Iterator[Ledger]:
    identity = ensure_identity(key_path(folder)) if identity is None else identity
    with opened_ledger(database_path(folder), identity, options or LedgerOptions()) as ledger:
        yield ledger


def query(folder: Path, sql: str, *parameters: object) -> list[tuple]:
    """What SQL finds, or does."""
    with closing(sqlite3.connect(database_path(folder))) as connection, connection:
        return connection.execute(sql, parameters).fetchall()


def links(folder: Path) -> list[Link]:
    rows = query(folder, "SELECT position, record, leaf, hash FROM records ORDER BY position")
    return [Link(position, leaf or leaf_hash(text.encode()), digest) for position, text, leaf, digest in rows]


def chain_break(folder: Path) -> Break | None:
    return first_break(links(folder))


def kinds(folder: Path) -> list[str | None]:
    return [kind for (kind,) in query(folder, "SELECT kind FROM records ORDER BY position")]


def notes(folder: Path) -> list[str]:
    return [note for (note,) in query(folder, "SELECT note FROM checkpoints ORDER BY size")]


def checked(folder: Path, note: str, identity: Identity) -> Checkpoint:
    """What the note says, once its signature, its root and its head are found right."""
    checkpoint = opened(note, identity.origin, identity.public)
    covered = links(folder)[: checkpoint.size]
    assert len(covered) == checkpoint.size
    assert root_of([link.leaf for link in covered]) == checkpoint.root
    assert covered[-1].hash == checkpoint.head
    return checkpoint
