"""Content goes when its time has come, and the evidence says how much of it went."""

from __future__ import annotations

import time

import msgspec

from gemstead.app.content import DAY_MS, opened_vault
from gemstead.app.evidence import write_event
from gemstead.evidence import records
from gemstead.settings.load import Loaded


class Expiry(msgspec.Struct, frozen=True):
    """`labels`: how many texts of each data label went, or would. `is_scrubbed` False: traces go with the next."""

    labels: dict[str, int]
    is_scrubbed: bool = True

    @property
    def num(self) -> int:
        return sum(self.labels.values())


def expire(
    loaded: Loaded, *, label: str | None = None, older_than_days: int | None = None, is_dry_run: bool = False
) -> Expiry:
    """Removes what is due, and with `older_than_days` what is older than that, of one label or of all.

    It is recorded before it goes: an entry too many is better than a loss that nobody knows of.

    Raises: EvidenceUnavailable; SettingInvalid, FileDamaged.
    """
    now_s = time.time()
    now_ms = round(now_s * 1000)
    before_ms = None if older_than_days is None else now_ms - older_than_days * DAY_MS
    with opened_vault(loaded) as (vault, _connection):
        due = vault.due(now_ms, label=label, before_ms=before_ms)
        if is_dry_run or not due:
            return Expiry(due)
        num = sum(due.values())
        write_event(loaded, records.event("content.expired", now_s, num=num, labels=dict(due)))
        gone = vault.expire(now_ms, label=label, before_ms=before_ms)
        # What is deleted is overwritten; to write the file anew every minute would be dear.
        return Expiry(gone, vault.scrub(is_rewritten=False))
