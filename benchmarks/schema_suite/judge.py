"""What one answer shows, and what all answers to one case show together. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import jsonschema_rs
import msgspec

Outcome: TypeAlias = Literal["valid", "invalid", "cut", "refused"]
"""`cut`: the answer ran into `max_tokens`, which its finish reason says. `refused`: an error instead of an answer."""

Finding: TypeAlias = Literal["held", "not held", "refused", "unfinished"]


class Answer(msgspec.Struct, frozen=True):
    """`text` None: refused, with `error` saying why."""

    text: str | None
    finish_reason: str | None = None
    error: str | None = None


def judge(schema: dict[str, Any], answer: Answer, *, has_formats: bool) -> Outcome:
    """`has_formats` False: `format` is a remark, as the standard has it."""
    if answer.text is None:
        return "refused"
    if answer.finish_reason == "length":
        return "cut"
    try:
        value = msgspec.json.decode(answer.text)
    except msgspec.DecodeError:
        return "invalid"
    validator = jsonschema_rs.validator_for(schema, offline=True, validate_formats=has_formats)
    return "valid" if validator.is_valid(value) else "invalid"


def sum_up(outcomes: Sequence[Outcome]) -> Finding:
    """One invalid answer is enough to show that a feature is not held; all that were finished must show that it is."""
    if "invalid" in outcomes:
        return "not held"
    if "valid" in outcomes:
        return "held"
    return "refused" if "refused" in outcomes else "unfinished"
