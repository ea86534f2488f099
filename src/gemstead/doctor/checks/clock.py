"""Whether the clock can be right: certificates, records and logs are dated by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from gemstead.doctor.check import Check
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import Subject

EARLIEST = datetime(2026, 4, 2, tzinfo=UTC)
"""The day Gemma 4 was published: no machine that runs it can have an earlier one."""
TOLERANCE_S = 300.0
FIX = "set the clock: sudo timedatectl set-ntp true"


def look(subject: Subject) -> Iterator[Finding]:
    now = datetime.fromtimestamp(subject.now_s, UTC)
    shown = now.isoformat(timespec="seconds")
    if now < EARLIEST:
        why = "secure connections fail, and records are dated wrongly"
        yield Finding("error", f"the clock says {shown}, before Gemma 4 existed", why, FIX)
        return
    ahead = {
        manifest.name: (datetime.fromisoformat(manifest.stored_at) - now).total_seconds()
        for manifest in subject.store.list()
    }
    latest = max(ahead, key=lambda name: ahead[name], default=None)
    if latest is not None and ahead[latest] > TOLERANCE_S:
        why = "the clock was set back since, or was ahead then"
        what = f"the clock says {shown}, but {latest} was stored {ahead[latest] / 3600:.1f} hours later than that"
        yield Finding("warning", what, why, FIX)
        return
    yield Finding("ok", f"the clock says {shown}")


CHECK = Check(
    name="clock",
    group="machine",
    looks_at="the date, and whether models were stored in the future",
    complains_when="it is before Gemma 4 was published, or models were stored later than now",
    look=look,
)
