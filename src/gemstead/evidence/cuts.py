"""Exchanges that were begun and never ended: what a kill or a power cut leaves."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


class OpenExchange(NamedTuple):
    """`position` is that of the opening record; `run` is the process it was in the hands of."""

    position: int
    exchange: str
    run: str


def open_exchanges(connection: sqlite3.Connection, since: int) -> list[OpenExchange]:
    """Those opened at position `since` or later that no record closes, in order."""
    rows = connection.execute(
        "SELECT o.position, o.exchange, json_extract(o.record, '$.run') FROM records o "
        "WHERE o.kind = 'exchange.opened' AND o.position >= ? AND NOT EXISTS ("
        "SELECT 1 FROM records c WHERE c.exchange = o.exchange AND c.kind = 'exchange.closed' "
        "AND json_extract(c.record, '$.opened') = o.position) ORDER BY o.position",
        (since,),
    )
    return [OpenExchange(int(position), str(exchange), str(run)) for position, exchange, run in rows]


def settled_before(connection: sqlite3.Connection) -> int:
    """The position before which the last start of a server found nothing open that it did not name."""
    row = connection.execute(
        "SELECT json_extract(record, '$.settled') FROM records WHERE kind = 'server.started' "
        "ORDER BY position DESC LIMIT 1"
    ).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def num_records(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(position) + 1, 0) FROM records").fetchone()[0])
