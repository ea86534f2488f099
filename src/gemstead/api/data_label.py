"""The header by which a request says how sensitive its text is."""

from __future__ import annotations

from gemstead.access.policy_file import LABELS
from gemstead.core.errors import RequestInvalid

LABEL_HEADER = b"x-gemstead-label"


def label_of(given: str | None) -> str:
    """Empty if none is given. Raises: RequestInvalid: what is mistyped must not pass for less than it is."""
    if given is None:
        return ""
    label = given.strip().lower()
    if label not in LABELS:
        raise RequestInvalid(
            f"{given[:40]!r} is no data label", param="x-gemstead-label", hint=f"one of {', '.join(LABELS)}"
        )
    return label
