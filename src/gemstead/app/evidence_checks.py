"""What the `evidence` commands do to show, sign and shorten the chain, with and without a running server."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

from gemstead.app.evidence import identity_path, opened_ledger_of
from gemstead.app.evidence_query import database_of
from gemstead.app.keys import DAY_S, read_span_s
from gemstead.core.errors import FileDamaged, RequestInvalid
from gemstead.evidence import expiry, rotation, verify
from gemstead.evidence.expiry import Expired
from gemstead.settings.load import Loaded

SLACK_RECORDS = 1000
"""What a server may have written after its last checkpoint was due, before it was there."""


def checked(
    loaded: Loaded, path: Path | None, key: str | None, checkpoints: list[Path], *, is_deep: bool = False
) -> verify.Report:
    """`path` None: the evidence of this data folder, compared with the second place, if that is a file here.

    Raises: Missing, FileDamaged, RequestInvalid for a file of checkpoints that cannot be read.
    """
    asked, places, second = loaded.settings.evidence, list(checkpoints), None
    most = verify.MAX_UNCOVERED
    if path is None:
        path, most = database_of(loaded), 2 * asked.checkpoint_every + SLACK_RECORDS
        second = _second_place(asked.second_place)
        places += [second] if second and second.is_file() else []
    elsewhere = [(str(place), _text(place)) for place in places]
    try:
        report = verify.examine(path, key, elsewhere, most, is_deep)
    except verify.Unreadable as exc:
        raise FileDamaged(f"{path} cannot be checked", why=str(exc), hint="restore it from a backup") from exc
    if second and not second.is_file():
        report.remarks.append(f"the second place {second} is not there: nothing kept elsewhere was compared")
    elif not places and report.is_clean:
        report.remarks.append(
            "compared with no checkpoint that was kept elsewhere: a new end or a new whole would pass"
        )
    return report


def proof(loaded: Loaded, position: int) -> dict[str, Any]:
    """Raises: Missing; RequestInvalid if no checkpoint covers it; FileDamaged."""
    path = database_of(loaded)
    try:
        return verify.prove(path, position)
    except verify.Unreadable as exc:
        hint = "gemstead evidence checkpoint, if it is newer than the last one"
        raise RequestInvalid(str(exc), param="position", hint=hint) from exc
    except verify.NOT_OURS as exc:
        raise FileDamaged(f"{path} cannot be read", why=str(exc), hint="gemstead evidence verify") from exc


def checkpoint_now(loaded: Loaded) -> str:
    """Raises: Missing, EvidenceUnavailable, FileDamaged, SettingInvalid."""
    database_of(loaded)
    with opened_ledger_of(loaded) as ledger:
        return ledger.checkpoint_now()


def keys(loaded: Loaded) -> list[tuple[int, str]]:
    """Which verifier key holds from which position on. Raises: Missing, FileDamaged."""
    path = database_of(loaded)
    report = verify.Report(str(path))
    try:
        with closing(verify.opened(path)) as connection:
            own = connection.execute(
                "SELECT position, record FROM records WHERE kind IN ('evidence.begun', 'evidence.key_rotated') "
                "ORDER BY position"
            ).fetchall()
    except verify.NOT_OURS as exc:
        raise FileDamaged(f"{path} cannot be read", why=str(exc), hint="gemstead evidence verify") from exc
    verify.Keys(own, None, report)
    if not report.keys:
        raise FileDamaged("no record names the key", hint="gemstead evidence verify")
    return report.keys


def rotated(loaded: Loaded) -> str:
    """The new verifier key. A checkpoint under it follows at once.

    Raises: Missing, EvidenceUnavailable, AlreadyRunning, FileDamaged, SettingInvalid.
    """
    database_of(loaded)
    with opened_ledger_of(loaded) as ledger:
        # What the old key signed last: from here on nothing can be added under it.
        ledger.checkpoint_now()
        identity = rotation.rotate_key(ledger, identity_path(loaded.paths), now_ms=round(time.time() * 1000))
        ledger.checkpoint_now()
    return identity.verifier_key


def before_ms(loaded: Loaded, older_than: str | None) -> int:
    """Unix milliseconds. Raises: RequestInvalid for what is no span."""
    if older_than is None:
        span_s = loaded.settings.evidence.keep_days * DAY_S
    else:
        try:
            span_s = read_span_s(older_than)
        except ValueError as exc:
            raise RequestInvalid(f"--older-than {older_than[:40]!r} is no span", hint="--older-than 365d") from exc
    return round((time.time() - span_s) * 1000)


def expirable(loaded: Loaded, before_ms: int) -> Expired | None:
    return expiry.expirable(database_of(loaded), before_ms)


def expired(loaded: Loaded, before_ms: int) -> Expired | None:
    """Raises: Missing, EvidenceUnavailable, FileDamaged, SettingInvalid."""
    path = database_of(loaded)
    with opened_ledger_of(loaded) as ledger:
        return expiry.expire(path, ledger, before_ms=before_ms, now_ms=round(time.time() * 1000))


def _second_place(place: str | None) -> Path | None:
    if place is None or place.startswith(("http://", "https://")):
        return None
    return Path(place).expanduser()


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise RequestInvalid(f"the checkpoints {path} cannot be read: {exc}", param="checkpoint") from exc
