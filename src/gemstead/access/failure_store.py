"""Failed sign-ins, by hour, network and reason: enough to see that somebody tries, too little to fill a disk."""

from __future__ import annotations

import sqlite3
from collections import Counter

import msgspec

HOUR_S = 3600
KEPT_S = 90 * 24 * HOUR_S
MAX_ROWS_AT_ONCE = 1000
"""Written of one flush; what a flood of networks adds beyond them counts under the network ""."""

FailureCounts = Counter[tuple[int, str, str]]
"""By hour (seconds since 1970), network and reason."""


class FailureRow(msgspec.Struct, frozen=True):
    hour_s: int
    network: str
    reason: str
    number: int


def add_failures(connection: sqlite3.Connection, counts: FailureCounts, now_s: float) -> None:
    """Adds what was counted, and forgets what is older than 90 days."""
    bounded: FailureCounts = Counter()
    for index, ((hour_s, network, reason), number) in enumerate(counts.items()):
        bounded[hour_s, network if index < MAX_ROWS_AT_ONCE else "", reason] += number
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(
            "INSERT INTO sign_in_failures (hour_s, network, reason, number) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (hour_s, network, reason) DO UPDATE SET number = number + excluded.number",
            [(*where, number) for where, number in bounded.items()],
        )
        connection.execute("DELETE FROM sign_in_failures WHERE hour_s < ?", (now_s - KEPT_S,))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def list_failures(connection: sqlite3.Connection, since_s: float) -> list[FailureRow]:
    """Newest hour first."""
    rows = connection.execute(
        "SELECT hour_s, network, reason, number FROM sign_in_failures WHERE hour_s >= ?"
        " ORDER BY hour_s DESC, number DESC",
        (since_s,),
    )
    return [FailureRow(*row) for row in rows]
