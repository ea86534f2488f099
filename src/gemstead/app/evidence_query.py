"""What the evidence says: records looked up by time, key, model, verdict, tool, kind, status; read, never changed."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from gemstead.access.key_store import KeyStore
from gemstead.app.keys import read_span_s
from gemstead.core.errors import FileDamaged, Missing, NameUnknown, RequestInvalid
from gemstead.core.moments import utc_text
from gemstead.settings.load import Loaded
from gemstead.store.database import open_database

COLUMNS = (
    *("position", "at", "kind", "exchange", "key", "actor", "model", "label", "dialect", "status", "error"),
    *("verdicts", "tools", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "total_ms"),
    *("engine", "engine_build", "model_digest", "policy", "code", "num", "hash"),
)
"""Of a table for a spreadsheet; the rest of a record is in JSONL."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What a record must be. Times are Unix milliseconds, `until_ms` not included. `kind` names one, or by its part
    before the dot several; `model` is a pattern; `verdict` and `tool` are in the record's list, a verdict also by its
    part before the colon.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    kind: str | None = None
    key: str | None = None
    model: str | None = None
    verdict: str | None = None
    tool: str | None = None
    status: str | None = None
    exchange: str | None = None
    actor: str | None = None

    @property
    def is_empty(self) -> bool:
        return self == Filter()


class Kept(msgspec.Struct, frozen=True):
    """A record as it is kept. `text` None: its time was over, and `leaf` stands for it."""

    position: int
    text: str | None
    leaf: bytes | None
    hash: bytes

    def record(self) -> dict[str, Any]:
        """Raises: FileDamaged."""
        try:
            found: dict[str, Any] = msgspec.json.decode(self.text or "{}", type=dict)
        except msgspec.DecodeError as exc:
            raise FileDamaged(f"the record at {self.position} cannot be read", hint="gemstead evidence verify") from exc
        return found

    def plain(self) -> dict[str, Any]:
        """As `--json` shows it."""
        record = None if self.text is None else self.record()
        return {"position": self.position, "hash": self.hash.hex(), "record": record}


class Shown(msgspec.Struct, frozen=True):
    """A record with what belongs to it: `other` closes the exchange that it opens, or opens what it closes.
    `checkpoint_size`: of the first checkpoint that covers it; None: none yet.
    """

    kept: Kept
    other: Kept | None
    checkpoint_size: int | None


def database_of(loaded: Loaded) -> Path:
    """Raises: Missing."""
    path = loaded.paths.evidence
    if not path.exists():
        raise Missing(
            f"there is no evidence in {loaded.paths.data}",
            why="it begins with the first access key, or with evidence.is_on = on",
            hint="gemstead keys create --name NAME",
        )
    return path


@contextmanager
def opened(loaded: Loaded) -> Iterator[sqlite3.Connection]:
    """Raises: Missing, FileDamaged, SettingInvalid."""
    path = database_of(loaded)
    with closing(open_database(path, "evidence").raw()) as connection:
        connection.execute("PRAGMA query_only = ON")
        try:
            yield connection
        except sqlite3.DatabaseError as exc:
            raise FileDamaged(f"{path} cannot be read: {exc}", hint="gemstead evidence verify") from exc


def newest(connection: sqlite3.Connection, asked: Filter, limit: int) -> list[Kept]:
    """Newest first."""
    where, values = condition(asked)
    sql = f"SELECT position, record, leaf, hash FROM records WHERE {where} ORDER BY position DESC LIMIT ?"  # noqa: S608
    return [Kept(*row) for row in connection.execute(sql, (*values, limit))]


def every(connection: sqlite3.Connection, asked: Filter) -> Iterator[Kept]:
    """In their order, one by one."""
    where, values = condition(asked)
    sql = f"SELECT position, record, leaf, hash FROM records WHERE {where} ORDER BY position"  # noqa: S608
    for row in connection.execute(sql, values):
        yield Kept(*row)


def shown(connection: sqlite3.Connection, position: int) -> Shown:
    """Raises: NameUnknown."""
    kept = _at(connection, position)
    if kept is None:
        (size,) = connection.execute("SELECT coalesce(max(position) + 1, 0) FROM records").fetchone()
        valid = [f"0 to {size - 1}"] if size else []
        raise NameUnknown("position", str(position), valid)
    record, other = kept.record(), None
    if record.get("kind") == "exchange.closed":
        other = _at(connection, record["opened"])
    elif record.get("kind") == "exchange.opened":
        sql = (
            "SELECT position, record, leaf, hash FROM records WHERE exchange = ? AND kind = 'exchange.closed' "
            "AND json_extract(record, '$.opened') = ?"
        )
        row = connection.execute(sql, (record.get("exchange"), position)).fetchone()
        other = None if row is None else Kept(*row)
    (size,) = connection.execute("SELECT min(size) FROM checkpoints WHERE size > ?", (position,)).fetchone()
    return Shown(kept, other, size)


def condition(asked: Filter) -> tuple[str, list[object]]:
    """A condition of SQL, and its values."""
    parts: list[tuple[str, Sequence[object]]] = [
        ("at_ms >= ?", [asked.since_ms]),
        ("at_ms < ?", [asked.until_ms]),
        ("(kind = ? OR kind >= ? AND kind < ?)", [asked.kind, f"{asked.kind}.", f"{asked.kind}/"]),
        ('"key" = ?', [asked.key]),
        ("model GLOB ?", [asked.model]),
        (_in_list("verdicts", "value = ? OR substr(value, 1, length(?) + 1) = ? || ':'"), [asked.verdict] * 3),
        (_in_list("tools", "value = ?"), [asked.tool]),
        ("json_extract(record, '$.status') = ?", [asked.status]),
        ("exchange = ?", [asked.exchange]),
        ("json_extract(record, '$.actor') = ?", [asked.actor]),
    ]
    given = [(text, values) for text, values in parts if values[0] is not None]
    return " AND ".join(text for text, _ in given) or "TRUE", [value for _, values in given for value in values]


def key_id(loaded: Loaded, name_or_id: str) -> str:
    """The id of a key that may be gone: what names no key here is taken as the id itself. Raises: RequestInvalid."""
    if not loaded.paths.database.exists():
        return name_or_id
    with closing(open_database(loaded.paths.database).raw()) as connection:
        try:
            return KeyStore(connection, lambda: b"").find(name_or_id).id
        except NameUnknown:
            return name_or_id


def read_time_ms(option: str, text: str, *, now_s: float | None = None) -> int:
    """`24h` ago, `2027-01-31` or `2027-01-31T08:00:00+01:00` (without a zone: UTC). Raises: RequestInvalid."""
    now_s = time.time() if now_s is None else now_s
    try:
        if re.fullmatch(r"\d+[a-z]", text):
            return round((now_s - read_span_s(text)) * 1000)
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as exc:
        hint = "a span that is past (24h, 7d) or a date (2027-01-31)"
        raise RequestInvalid(f"{option}: {text[:40]!r} is no time", param=option, hint=hint) from exc


def moment(at_ms: object) -> str:
    """ISO 8601 with milliseconds; empty for what is no time."""
    if not isinstance(at_ms, int) or not 0 <= at_ms < 253_402_300_800_000:
        return ""
    return utc_text(at_ms / 1000, "milliseconds")


def cells(kept: Kept) -> dict[str, object]:
    """A record as one row under `COLUMNS`, for a spreadsheet."""
    record = kept.record()
    tokens, times = record.get("tokens") or {}, record.get("ms") or {}
    row = {name: record.get(name) for name in COLUMNS}
    row |= {f"{name}_tokens": tokens.get(name) for name in ("prompt", "cached", "completion", "reasoning")}
    row |= {"position": kept.position, "at": moment(record.get("at_ms")), "hash": kept.hash.hex()}
    row["total_ms"] = times.get("total")
    return {name: _cell(value) for name, value in row.items()}


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = " ".join(map(str, value))
    # A spreadsheet takes such a text for a formula and runs it; callers choose some of these texts.
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def _in_list(name: str, test: str) -> str:
    # Compared by type too: in a record of another kind the field may be something else than a list.
    listed = f"json_type(record, '$.{name}') = 'array'"
    return f"({listed} AND EXISTS (SELECT 1 FROM json_each(record, '$.{name}') WHERE {test}))"  # noqa: S608


def _at(connection: sqlite3.Connection, position: int) -> Kept | None:
    row = connection.execute(
        "SELECT position, record, leaf, hash FROM records WHERE position = ?", (position,)
    ).fetchone()
    return None if row is None else Kept(*row)
