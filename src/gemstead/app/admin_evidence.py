"""What the admin API tells of the evidence: read from its database, as any auditor could."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from gemstead.api.admin.shapes import CheckpointView, EvidenceList, EvidenceRecord, EvidenceView, NewCheckpoint
from gemstead.api.errors import PathUnknown
from gemstead.app.evidence import is_recording, opened_ledger_of
from gemstead.core.errors import Missing
from gemstead.core.moments import utc_text
from gemstead.settings.load import Loaded
from gemstead.store.database import open_database

if TYPE_CHECKING:
    import sqlite3

MAX_AT_ONCE = 1000


def state(loaded: Loaded) -> EvidenceView:
    """How much there is, and what the last signed checkpoint covers."""
    with _reading(loaded) as connection:
        if connection is None:
            return EvidenceView(is_on=is_recording(loaded), num_records=0, checkpoint=None)
        size = connection.execute("SELECT coalesce(max(position) + 1, 0) FROM records").fetchone()[0]
        row = connection.execute("SELECT size, at_ms, note FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
    checkpoint = None if row is None else CheckpointView(size=row[0], at=utc_text(row[1] / 1000), note=row[2])
    return EvidenceView(is_on=is_recording(loaded), num_records=size, checkpoint=checkpoint)


def records(loaded: Loaded, after: int, limit: int, kind: str | None, key: str | None) -> EvidenceList:
    """The records behind position `after`, at most `limit`, in order."""
    wanted = [("position > ?", after), ("kind = ?", kind), ('"key" = ?', key)]
    wanted = [(condition, value) for condition, value in wanted if value is not None]
    conditions = " AND ".join(condition for condition, _ in wanted)
    with _reading(loaded) as connection:
        if connection is None:
            return EvidenceList(())
        rows = connection.execute(
            f"SELECT position, record FROM records WHERE {conditions} ORDER BY position LIMIT ?",  # noqa: S608
            (*[value for _, value in wanted], min(limit, MAX_AT_ONCE)),
        ).fetchall()
    return EvidenceList(tuple(_view(*row) for row in rows))


def record(loaded: Loaded, position: int) -> EvidenceRecord:
    """Raises: PathUnknown."""
    with _reading(loaded) as connection:
        row = None
        if connection is not None:
            row = connection.execute("SELECT position, record FROM records WHERE position = ?", (position,)).fetchone()
    if row is None:
        raise PathUnknown(f"there is no record {position}")
    return _view(*row)


def checkpoint(loaded: Loaded) -> NewCheckpoint:
    """A signed checkpoint of all that is there now; the second place gets it, too.

    Raises: Missing where no evidence is kept; what the ledger raises.
    """
    if not is_recording(loaded):
        raise Missing("no evidence is kept here", hint='evidence.is_on = "on", or make a key: gemstead keys create')
    with opened_ledger_of(loaded) as ledger:
        return NewCheckpoint(ledger.checkpoint_now())


@contextmanager
def _reading(loaded: Loaded) -> Iterator[sqlite3.Connection | None]:
    """None where nothing was ever recorded: to ask makes no database."""
    if not loaded.paths.evidence.exists():
        yield None
        return
    connection = open_database(loaded.paths.evidence, "evidence").raw()
    try:
        yield connection
    finally:
        connection.close()


def _view(position: int, text: str | None) -> EvidenceRecord:
    return EvidenceRecord(position, None if text is None else msgspec.Raw(text.encode()))
