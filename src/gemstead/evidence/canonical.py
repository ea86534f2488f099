"""The one way to write a record as bytes: RFC 8785 JSON, narrowed until a sorted encoder is all it takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec

Value: TypeAlias = "str | int | bool | list[Value] | dict[str, Value] | None"

MAX_INTEGER = 2**53 - 1
"""The largest that every JSON reader keeps exact (RFC 8785, section 3.2.2.3; RFC 7493)."""

_encoder = msgspec.json.Encoder(order="sorted")
_PLAIN = (str, bool, type(None))


def canonical(record: dict[str, Value]) -> bytes:
    """`record` as RFC 8785 writes it. Times and sizes are integers: there are no fractions, so no question how to write
    them; keys are ASCII, so that sorting them by bytes and by UTF-16, as the RFC does, is the same.

    Raises: ValueError for anything else.
    """
    _check(record)
    return _encoder.encode(record)


def _check(value: dict[str, Value] | list[Value]) -> None:
    """On the way of every answer, so that what is no dict or list is not worth a call."""
    items: Iterable[Any] = value
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str or not key.isascii():
                raise ValueError(f"a record's keys are ASCII, not {key!r}")
        items = value.values()
    for item in items:
        # By exact type: a bool is an int to isinstance, and what derives from str or int may be written otherwise.
        kind = type(item)
        if kind in _PLAIN:
            continue
        if kind is int:
            if not -MAX_INTEGER <= item <= MAX_INTEGER:
                raise ValueError("an integer of a record is at most 2^53 - 1")
        elif isinstance(item, dict | list):
            _check(item)
        else:
            raise ValueError(f"a record holds no {kind.__name__}")
