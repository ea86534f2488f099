"""What comes back from an engine is held to its promises, one by one, before it may go on."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gemstead.core.errors import ReplyBroken
from gemstead.core.facts import ModelFacts
from gemstead.core.types import (
    ChatRequest,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
    Warning,
)
from gemstead.pipeline.call_check import CallCheck
from gemstead.pipeline.catches import Repairs
from gemstead.pipeline.json_check import JsonCheck
from gemstead.pipeline.text_check import TextCheck


class ReplyCheck:
    """Sees one reply's events in order and gives those that may go on; `repairs` tells what was mended on the way.

    Held back are: what may still become a control token; calls, until the reply is over; text before the JSON that was
    asked for; text where a call was required; Usage. Blank pieces are left out, so that an empty reply is refused
    before anything of it was sent. `max_chars` bounds a reply that has no end.

    Raises, at its making: RequestInvalid for schemas that are none.
    """

    def __init__(self, request: ChatRequest, facts: ModelFacts, max_chars: int) -> None:
        self.repairs = Repairs()
        self._texts = TextCheck(request, facts, self.repairs)
        self._calls = CallCheck(request, self._texts.find_leak, self.repairs)
        wanted = request.response_format
        self._json = JsonCheck(wanted, self.repairs) if wanted.kind != "text" else None
        self._is_plain = self._json is None and not self._calls.needs_call
        # A text to be continued may be over where it stands.
        self._may_be_empty = request.prompt is not None
        self._waiting: list[Event] = []
        self._usage: Usage | None = None
        self._left_chars = max_chars
        self._has_output = False
        self._is_finished = False

    def feed(self, event: Event) -> list[Event]:
        """The events that may go on.

        Raises: ReplyBroken for what could not be mended.
        """
        if self._is_finished:
            self.repairs.note("event_after_finish", "what came after the end was dropped")
            return []
        match event:
            case TextDelta(text=text):
                self._count(text)
                return self._pass(self._texts.feed(text)) if text else []
            case ReasoningDelta(text=text):
                self._count(text)
                return self._pass(self._texts.feed_reasoning(text)) if text else []
            case ToolCallDelta():
                self._take_call(event)
            case Usage():
                self._usage = event
            case Finish():
                return self._finish(event)
            case Warning():
                return [event]
        return []

    def close(self) -> None:
        """The engine's events are over. Raises: ReplyBroken if no Finish was among them."""
        if not self._is_finished:
            hint = "gemstead engine show"
            raise ReplyBroken("no_finish", "the engine's reply broke off", why="it ended without saying why", hint=hint)

    def cut(self) -> list[Event]:
        """Ends a reply here that would go on without end: what was held back, and a Finish at `length`.

        Raises: ReplyBroken if what came before is broken too.
        """
        message = "the model repeated itself without end: the answer was cut there"
        return [Warning(code="repetition_loop", message=message), *self._finish(Finish("length"))]

    def _count(self, text: str) -> None:
        self._left_chars -= len(text)
        if self._left_chars < 0:
            what = "the reply is longer than the context length allows"
            raise ReplyBroken("endless_reply", what, hint="gemstead engine show")

    def _take_call(self, piece: ToolCallDelta) -> None:
        self._count(piece.arguments)
        self._texts.watch("arguments", piece.arguments)
        self._calls.feed(piece)

    def _pass(self, events: list[Event]) -> list[Event]:
        """Text and reasoning, and what was found in them, each on its way."""
        if self._is_plain and len(events) == 1 and type(events[0]) is TextDelta:
            self._has_output = True
            return events
        return [passed for event in events for passed in self._pass_one(event)]

    def _pass_one(self, event: Event) -> Iterable[Event]:
        if isinstance(event, ToolCallDelta):
            self._calls.feed_read(event)
            return ()
        self._has_output = self._has_output or isinstance(event, TextDelta | ReasoningDelta)
        if not isinstance(event, TextDelta):
            return (event,)
        texts = [event] if self._json is None else self._json.feed(event.text)
        if not self._calls.needs_call:
            return texts
        self._waiting += texts
        return ()

    def _finish(self, finish: Finish) -> list[Event]:
        self._is_finished = True
        if finish.reason in ("error", "cancelled"):
            what = f"the engine ended its reply with {finish.reason!r} and no reason"
            raise ReplyBroken("error_finish", what, hint="gemstead engine show")
        events = self._pass(self._closing(finish.reason))
        has_text = any(isinstance(event, TextDelta) for event in (*self._waiting, *events))
        calls, reason = self._calls.finish(finish.reason, has_text=has_text)
        has_calls = any(isinstance(event, ToolCallDelta) for event in calls)
        json = self._json.finish(reason, has_calls=has_calls) if self._json is not None else []
        events += [*self._waiting, *json, *calls]
        if not (self._has_output or has_calls or self._may_be_empty):
            events += self._empty(reason)
        if self._usage is not None:
            events.append(self._usage)
        return [*events, msgspec.structs.replace(finish, reason=reason)]

    def _closing(self, reason: FinishReason) -> list[Event]:
        """What the text check held back; a reply of nothing but a few dashes is none: a known slip of engines."""
        closing = self._texts.close(reason)
        is_rule = all(isinstance(event, TextDelta) and not event.text.strip("- \r\n") for event in closing)
        return [] if is_rule and not self._has_output and not self._may_be_empty else closing

    def _empty(self, reason: FinishReason) -> tuple[Warning, ...]:
        """A filtered reply says itself why it is empty, and one cut at `length` may have been inside a marker."""
        if reason == "content_filter":
            return ()
        if reason == "length":
            message = "the answer was cut before its first visible token: ask for more max_tokens"
            return (Warning(code="empty_reply", message=message, param="max_tokens"),)
        counted = self._usage.completion_tokens if self._usage is not None else None
        lost = f"it counted {counted} tokens and delivered none" if counted else "the model ended its turn at once"
        what = "the reply is empty: no text, no reasoning, no tool call"
        raise ReplyBroken("empty_reply", what, why=lost, hint="rephrase or retry")
