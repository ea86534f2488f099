"""What documents say of the evidence: its state, verified now, and what went wrong according to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gemstead.access.failure_store import list_failures
from gemstead.app.evidence import is_recording
from gemstead.report.facts import EvidenceFacts, Incident, Verdict
from gemstead.settings.load import Loaded
from gemstead.store.database import open_database

MAX_INCIDENTS = 500
"""Of each kind, the newest."""
SHOWN_FINDINGS = 20
MAX_NOTES_BYTES = 64 * 1024 * 1024
YEAR_S = 366 * 86_400.0

_WENT_WRONG = """
SELECT at_ms / 1000.0, 'crash', 1,
    coalesce(json_extract(record, '$.engine'), '') || ' ' || coalesce(json_extract(record, '$.why'), '')
  FROM records WHERE kind = 'engine.crashed' AND at_ms >= :since_ms
UNION ALL
SELECT at_ms / 1000.0, 'refused', coalesce(json_extract(record, '$.num'), 1),
    coalesce(json_extract(record, '$.code'), '') || coalesce(' ' || "key", '')
  FROM records WHERE kind = 'exchange.refused' AND at_ms >= :since_ms
UNION ALL
SELECT at_ms / 1000.0, 'cut', json_extract(record, '$.num_cut'), ''
  FROM records WHERE kind = 'server.started' AND json_extract(record, '$.num_cut') > 0 AND at_ms >= :since_ms
UNION ALL
SELECT max(at_ms) / 1000.0, 'error', count(*), json_extract(record, '$.error')
  FROM records WHERE kind = 'exchange.closed' AND json_extract(record, '$.error') IS NOT NULL AND at_ms >= :since_ms
  GROUP BY at_ms / 86400000, json_extract(record, '$.error')
ORDER BY 1 DESC LIMIT :limit
"""
"""Errors of exchanges count by day and code; the rest are records of their own."""


def evidence_facts(loaded: Loaded) -> EvidenceFacts:
    """Verifying reads it all: some 300,000 records a second."""
    asked, path = loaded.settings.evidence, loaded.paths.evidence
    is_on = is_recording(loaded)
    if not path.exists():
        return EvidenceFacts(
            is_on=is_on,
            second_place=asked.second_place,
            keep_days=asked.keep_days,
            durability=asked.durability,
        )
    with closing(open_database(path, "evidence").raw()) as connection:
        number, first_ms, last_ms = connection.execute(
            "SELECT count(*), min(at_ms), max(at_ms) FROM records"
        ).fetchone()
        num_checkpoints, checkpoint_ms = connection.execute("SELECT count(*), max(at_ms) FROM checkpoints").fetchone()
    verdict, findings = _verified(path, asked.second_place)
    return EvidenceFacts(
        is_on=is_on,
        is_there=True,
        num_records=number,
        first_s=_seconds(first_ms),
        last_s=_seconds(last_ms),
        num_checkpoints=num_checkpoints,
        checkpoint_s=_seconds(checkpoint_ms),
        second_place=asked.second_place,
        keep_days=asked.keep_days,
        durability=asked.durability,
        verdict=verdict,
        findings=findings,
    )


def accepted_positions(loaded: Loaded) -> dict[str, int]:
    """Where the chain first says that a licence was agreed to, by the licence's id."""
    if not loaded.paths.evidence.exists():
        return {}
    with closing(open_database(loaded.paths.evidence, "evidence").raw()) as connection:
        rows = connection.execute(
            "SELECT json_extract(record, '$.licence'), min(position) FROM records"
            " WHERE kind = 'licence.accepted' GROUP BY 1"
        )
        return {str(licence): int(position) for licence, position in rows}


def incidents(loaded: Loaded, evidence: EvidenceFacts, now_s: float) -> Iterator[Incident]:
    """Of the last year, newest first within each source."""
    since_s = now_s - YEAR_S
    if loaded.paths.database.exists():
        with closing(open_database(loaded.paths.database).raw()) as connection:
            for row in list_failures(connection, since_s)[:MAX_INCIDENTS]:
                yield Incident(row.hour_s, "sign_in", row.number, f"{row.network} {row.reason}".strip())
    if not loaded.paths.evidence.exists():
        return
    with closing(open_database(loaded.paths.evidence, "evidence").raw()) as connection:
        asked = {"since_ms": int(since_s * 1000), "limit": MAX_INCIDENTS}
        for at_s, kind, number, detail in connection.execute(_WENT_WRONG, asked):
            yield Incident(at_s, kind, int(number), str(detail).strip())
    if evidence.verdict == "findings":
        yield Incident(now_s, "finding", len(evidence.findings), "; ".join(evidence.findings[:3]))


def _verified(path: Path, second_place: str | None) -> tuple[Verdict, tuple[str, ...]]:
    """Against the checkpoints of the second place, too, where that is a file."""
    from gemstead.evidence import verify

    try:
        report = verify.examine(path, elsewhere=_elsewhere(second_place))
    except verify.Unreadable as exc:
        return "findings", (str(exc),)
    findings = tuple(
        finding.what if finding.position is None else f"{finding.position}: {finding.what}"
        for finding in report.findings[:SHOWN_FINDINGS]
    )
    return ("ok" if report.is_clean else "findings"), findings


def _elsewhere(second_place: str | None) -> list[tuple[str, str]]:
    """A file too large to be read at once is left out: its last part would do, but not any part."""
    if second_place is None or "://" in second_place:
        return []
    path = Path(second_place).expanduser()
    try:
        if path.stat().st_size > MAX_NOTES_BYTES:
            return []
        return [(second_place, path.read_text(encoding="utf-8"))]
    except (OSError, UnicodeDecodeError):
        return []


def _seconds(at_ms: int | None) -> float | None:
    return None if at_ms is None else at_ms / 1000
