"""Tool calls are to tools that were offered, with arguments that hold to their schema, as the tool choice has it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from gemstead.core.errors import ReplyBroken
from gemstead.core.types import ChatRequest, Event, FinishReason, Tool, ToolCall, ToolCallDelta, Warning
from gemstead.pipeline.catches import Repairs
from gemstead.pipeline.fold import join_call
from gemstead.pipeline.schemas import Validator, first_fault, validator_of

MAX_CALLS = 128
"""Calls in one reply: as many as tools may be offered in one request."""

_HINT = "ask again, or serve a larger model"


class CallCheck:
    """Holds back every call until the reply is over: then one that is broken can still be retried with all the others.

    A client acts on calls at the end of the reply anyway. `find_leak` gives a control token of the model in a text.

    Raises, at its making: RequestInvalid for a tool whose parameters are no JSON schema.
    """

    def __init__(self, request: ChatRequest, find_leak: Callable[[str], str | None], repairs: Repairs) -> None:
        self._choice = request.tool_choice
        self._is_parallel = request.has_parallel_tool_calls
        self._validators = {tool.name: _validator(index, tool) for index, tool in enumerate(request.tools)}
        self._find_leak = find_leak
        self._repairs = repairs
        self._pieces: dict[int, list[ToolCallDelta]] = {}
        self._read: list[ToolCallDelta] = []

    @property
    def needs_call(self) -> bool:
        """Text alone will not do."""
        return self._choice.mode in ("required", "named")

    def feed(self, piece: ToolCallDelta) -> None:
        """A piece of a call from the engine. Raises: ReplyBroken for more calls than anybody makes."""
        self._pieces.setdefault(piece.index, []).append(piece)
        self._check_number()

    def feed_read(self, call: ToolCallDelta) -> None:
        """A whole call that was read out of the text, where indices and ids say nothing. Raises: as `feed`."""
        self._read.append(call)
        self._check_number()

    def finish(self, reason: FinishReason, *, has_text: bool) -> tuple[list[Event], FinishReason]:
        """What to say, the calls, one piece each, and the finish reason that goes with them.

        `has_text`: the reply has text beside them.

        Raises: ReplyBroken for a call, or the lack of one, that breaks a promise.
        """
        found = [join_call(self._pieces[index], "") for index in sorted(self._pieces)]
        found += [ToolCall("", call.name or "", call.arguments) for call in self._read]
        events: list[Event] = []
        if reason == "length" and found and _is_cut(found[-1].arguments):
            events.append(_cut_warning(found.pop()))
            has_text = False
        calls = [self._checked(call) for call in found]
        is_excused = reason == "content_filter" or (reason == "length" and not has_text)
        self._check_choice(calls, is_excused=is_excused)
        if len(calls) > 1 and not self._is_parallel:
            message = f"{len(calls)} calls came where parallel calls are off: only the first is given"
            events += self._repairs.note("too_many_calls", message)
            del calls[1:]
        reason, said = self._matching(reason, has_calls=bool(calls))
        return [*events, *said, *_deltas(calls)], reason

    def _check_number(self) -> None:
        if len(self._pieces) + len(self._read) > MAX_CALLS:
            raise ReplyBroken("too_many_calls", f"the reply has more than {MAX_CALLS} tool calls", hint=_HINT)

    def _checked(self, call: ToolCall) -> ToolCall:
        validator = self._validators.get(call.name)
        if validator is None:
            offered = ", ".join(self._validators)[:200] or "none"
            raise ReplyBroken(
                "unknown_tool", f"the model called {call.name[:80]!r}", why=f"offered: {offered}", hint=_HINT
            )
        arguments, value = self._object(call)
        if leak := self._find_leak(msgspec.json.encode(value).decode().replace('\\"', '"')):
            what = f"the arguments for {call.name!r} have the control token {leak!r} in them"
            raise ReplyBroken("leaked_token", what, hint=_HINT)
        if fault := first_fault(validator, value):
            what = f"the arguments for {call.name!r} do not hold to their schema"
            raise ReplyBroken("arguments_off_schema", what, why=fault, hint=_HINT)
        return msgspec.structs.replace(call, arguments=arguments)

    def _object(self, call: ToolCall) -> tuple[str, dict[str, Any]]:
        """The arguments, as text and as the object it is. Nothing at all is none; the object may come in a string."""
        text = call.arguments if call.arguments.strip() else "{}"
        value = _decode(text)
        if isinstance(value, str) and isinstance(inner := _decode(value), dict):
            text, value = value, inner
        if not isinstance(value, dict):
            what = f"the arguments for {call.name!r} are not a JSON object"
            raise ReplyBroken("arguments_invalid", what, why=repr(call.arguments[:80]), hint=_HINT)
        return text, value

    def _check_choice(self, calls: list[ToolCall], *, is_excused: bool) -> None:
        """A reply cut in a call, or before any text, may not have come as far: its finish reason says that."""
        choice = self._choice
        if choice.mode == "none" and calls:
            raise _ignored(f"the model called {calls[0].name!r}, calls were ruled out")
        if self.needs_call and not calls and not is_excused:
            wanted = f"a call to {choice.name!r}" if choice.mode == "named" else "a tool call"
            raise _ignored(f"the model did not call, {wanted} was required")
        others = [call.name for call in calls if choice.mode == "named" and call.name != choice.name]
        if others:
            raise _ignored(f"the model called {others[0]!r}, {choice.name!r} was required")

    def _matching(self, reason: FinishReason, *, has_calls: bool) -> tuple[FinishReason, tuple[Warning, ...]]:
        if has_calls and reason == "stop":
            message = "the engine ended with 'stop' after tool calls: the finish reason is 'tool_calls'"
            return "tool_calls", self._repairs.note("finish_mismatch", message)
        if reason == "tool_calls" and not has_calls:
            raise ReplyBroken("finish_mismatch", "the engine says it called tools, and no call arrived", hint=_HINT)
        return reason, ()


def _validator(index: int, tool: Tool) -> Validator:
    return validator_of(tool.parameters, f"tools[{index}].parameters")


def _deltas(calls: list[ToolCall]) -> list[Event]:
    """Each id once: a missing or repeated one would make two results of tools look alike."""
    seen: set[str] = set()
    deltas: list[Event] = []
    for index, call in enumerate(calls):
        call_id = call.id if call.id and call.id not in seen else f"call_{secrets.token_hex(8)}"
        seen.add(call_id)
        deltas.append(ToolCallDelta(index, call_id, call.name, call.arguments))
    return deltas


def _is_cut(arguments: str) -> bool:
    return not isinstance(_decode(arguments), dict | str)


def _cut_warning(call: ToolCall) -> Warning:
    message = f"the call to {call.name[:80]!r} was cut in the middle and is left out: ask for more max_tokens"
    return Warning(code="call_cut", message=message, param="max_tokens")


def _decode(text: str) -> Any:
    """The value, or None for a text that is not JSON: neither is an object."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _ignored(what: str) -> ReplyBroken:
    return ReplyBroken("tool_choice_ignored", what, hint=_HINT)
