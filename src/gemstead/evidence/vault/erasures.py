"""How an erasure reaches what running servers hold in memory: each sees it in the database, forgets, and says so."""

from __future__ import annotations

import sqlite3


def last_erasure(connection: sqlite3.Connection) -> int:
    """The number of the newest; 0: there was none."""
    (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM erasures").fetchone()
    return int(number)


def note_done(connection: sqlite3.Connection, number: int, pid: int) -> None:
    """The server `pid` has forgotten what erasures up to `number` concern."""
    connection.execute("INSERT OR IGNORE INTO erasures_done (number, pid) VALUES (?, ?)", (number, pid))


def done_by(connection: sqlite3.Connection, number: int) -> set[int]:
    """The servers that have seen the erasure `number`, or a later one."""
    return {row[0] for row in connection.execute("SELECT DISTINCT pid FROM erasures_done WHERE number >= ?", (number,))}
