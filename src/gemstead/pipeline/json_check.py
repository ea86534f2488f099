"""Text that was asked for as JSON is JSON, nothing around it, and holds to its schema."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gemstead.core.errors import BrokenPromise, ReplyBroken
from gemstead.core.types import Event, FinishReason, ResponseFormat, TextDelta
from gemstead.pipeline.catches import Repairs
from gemstead.pipeline.schemas import Validator, first_fault, validator_of

_HINT = "ask again, or serve a larger model"

_OPENERS = {"object": "{", "array": "["}


class JsonCheck:
    """Passes on one JSON value: what comes before its first brace or bracket is held back, what follows it is left out.

    What stood around the value was cut for certain only if the value holds and no other one follows it: that is known
    at the end, and so is a reply that is no JSON at all.

    Raises, at its making: RequestInvalid for a schema that is none.
    """

    def __init__(self, wanted: ResponseFormat, repairs: Repairs) -> None:
        self._repairs = repairs
        self._validator: Validator | None = None
        self._openers, self._can_be_scalar = "{", False
        if wanted.kind == "json_schema":
            schema = wanted.schema or {}
            self._validator = validator_of(schema, "response_format")
            self._openers, self._can_be_scalar = _openers(schema)
        self._scan: _ValueScan | None = None
        self._before = ""
        self._value: list[str] = []
        self._after = ""

    def feed(self, text: str) -> list[Event]:
        """The part of `text` that belongs to the value."""
        if self._scan is None:
            self._before += text
            start = self._find_start()
            if start is None:
                return []
            text, self._before = self._before[start:], self._before[:start]
            self._scan = _ValueScan()
        elif self._scan.is_over:
            self._after += text
            return []
        end = self._scan.feed(text)
        self._after = text[end:]
        self._value.append(text[:end])
        return [TextDelta(text[:end])]

    def finish(self, reason: FinishReason, *, has_calls: bool) -> list[Event]:
        """What was held back and belongs to the reply.

        A model that calls tools has not answered yet, and an answer that was cut says so: their text may be anything.

        Raises: ReplyBroken.
        """
        if has_calls or (reason != "stop" and (self._scan is None or not self._scan.is_over)):
            return self._rest()
        if self._scan is None:
            return [*self._scalar()]
        if not self._scan.is_over:
            raise _broken("json_invalid", "the reply ends in the middle of its JSON value")
        self._hold("".join(self._value))
        if any(opener in self._after for opener in self._openers):
            raise _broken("json_invalid", "the reply has more than one JSON value")
        if self._before.strip() or self._after.strip():
            return [*self._repairs.note("text_around_json", "text before or after the JSON value was cut off")]
        return []

    def _find_start(self) -> int | None:
        """Where the value begins. A value that may be a bare word, number or string is known at the end only."""
        begins = self._before.lstrip()
        if self._can_be_scalar and begins[:1] not in tuple(self._openers):
            return None
        places = [place for opener in self._openers if (place := self._before.find(opener)) >= 0]
        return min(places, default=None)

    def _rest(self) -> list[Event]:
        return [TextDelta(self._before)] if self._scan is None and self._before.strip() else []

    def _scalar(self) -> list[Event]:
        """The whole text as one value, or the object or array inside it."""
        text = self._before.strip()
        if not text:
            raise _broken("json_invalid", "the reply has no text, JSON was asked for")
        if self._can_be_scalar and _decode(text) is not msgspec.UNSET:
            self._hold(text)
            return [TextDelta(text)]
        self._can_be_scalar = False
        events = self.feed("") if self._find_start() is not None else []
        if not events:
            raise _broken("json_invalid", f"the reply is not JSON: {text[:80]!r}")
        return [*events, *self.finish("stop", has_calls=False)]

    def _hold(self, text: str) -> None:
        value = _decode(text)
        if value is msgspec.UNSET:
            raise _broken("json_invalid", f"the reply is not JSON: {text[:80]!r}")
        fault = first_fault(self._validator, value) if self._validator is not None else None
        if fault is not None:
            raise _broken("json_off_schema", "the reply does not hold to its schema", why=fault)


class _ValueScan:
    """Finds the end of an object or array; what is in strings does not count."""

    _outside = re.compile(r'["{}\[\]]')
    _inside = re.compile(r'["\\]')

    def __init__(self) -> None:
        self.is_over = False
        self._depth = 0
        self._is_string = False
        self._is_escaped = False

    def feed(self, text: str) -> int:
        """How many characters of `text` still belong to the value."""
        place = 0
        while not self.is_over and place < len(text):
            if self._is_escaped:
                self._is_escaped = False
                place += 1
                continue
            match = (self._inside if self._is_string else self._outside).search(text, place)
            if match is None:
                return len(text)
            place = match.end()
            self._see(match[0])
        return place

    def _see(self, char: str) -> None:
        if char == '"':
            self._is_string = not self._is_string
        elif char == "\\":
            self._is_escaped = True
        else:
            self._depth += 1 if char in "{[" else -1
            self.is_over = self._depth == 0


def _openers(schema: dict[str, Any]) -> tuple[str, bool]:
    """What a value of this schema begins with, and whether it may be neither object nor array."""
    types = schema.get("type")
    names = [types] if isinstance(types, str) else types
    if not isinstance(names, list):
        return "{[", True
    return "".join(_OPENERS.get(name, "") for name in names), any(name not in _OPENERS for name in names)


def _decode(text: str) -> Any:
    """The value, or UNSET for a text that is not JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return msgspec.UNSET


def _broken(kind: BrokenPromise, what: str, why: str | None = None) -> ReplyBroken:
    return ReplyBroken(kind, what, why=why, hint=_HINT)
