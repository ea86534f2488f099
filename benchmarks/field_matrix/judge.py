"""What one answer shows about one field. Pure."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from benchmarks.field_matrix.replies import Answer
from gemstead.api.dialect import Handling

Deed: TypeAlias = Handling | Literal["caught", "failed"]
"""What was done with a field. `caught`: the model broke its promise, and the door answered with an error that says so.
`failed`: anything that the caller could not have told from the table: an error that does not name the field, say."""

SAID_OF_FIELDS = "field_"
"""So begin the codes of warnings about fields; others are about the answer."""


def deed_of(field: str, answer: Answer) -> Deed:
    """`field` is the name that errors and warnings have to say."""
    if answer.breaks_off:
        return "failed"
    if answer.status == 200:
        warned = any(warning.startswith(SAID_OF_FIELDS) and _says(warning, field) for warning in answer.warnings)
        return "warned" if warned else "honoured"
    if answer.status == 502 and answer.code == "reply_broken":
        return "caught"
    is_refused = 400 <= answer.status < 500 and (_is_of(answer.param, field) or _says(answer.error, field))
    return "refused" if is_refused else "failed"


def _is_of(param: str | None, field: str) -> bool:
    """Whether `param` is the field, or a place in it."""
    return param is not None and (param == field or param.startswith((f"{field}.", f"{field}[")))


def _says(text: str, field: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(field)}(?!\w)", text) is not None
