"""How a moment is written: ISO 8601, in UTC, with a Z."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal


def utc_text(at_s: float, timespec: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """`at_s` is Unix time. Raises: OverflowError, ValueError, OSError for what no calendar has."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
