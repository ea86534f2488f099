"""How long a model stays loaded, as Ollama's clients write it: seconds, or a duration in Go's spelling."""

from __future__ import annotations

import math
import re

from gemstead.core.errors import RequestInvalid

_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_STEP = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_MAX_CHARS = 64
_FOR_GOOD_S = 10.0 * 365 * 86400
"""Ten years: beyond that nobody means a number."""


def keep_alive_s(value: float | str | None) -> float | None:
    """Seconds; infinite for a negative value; None if it is not given.

    Raises: RequestInvalid for a text that is no duration.
    """
    if value is None:
        return None
    seconds = value if isinstance(value, int | float) else _parse(value.strip())
    return math.inf if seconds < 0 or seconds > _FOR_GOOD_S else float(seconds)


def _parse(text: str) -> float:
    digits = text.lstrip("+-")
    if re.fullmatch(r"0+", digits):
        return 0.0
    steps = list(_STEP.finditer(digits)) if len(text) <= _MAX_CHARS else []
    if not steps or "".join(step[0] for step in steps) != digits or len(text) - len(digits) > 1:
        raise RequestInvalid(
            f"keep_alive {text[:_MAX_CHARS]!r} is not a duration", param="keep_alive", hint='use seconds, "5m", 0 or -1'
        )
    seconds = sum(float(step[1]) * _UNIT_S[step[2]] for step in steps)
    return -seconds if text.startswith("-") else seconds
