"""What comes back from an engine is held to its promises: exactly one Finish, never an answer with nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from gemstead.core.errors import EngineError, EngineFailed
from gemstead.core.types import Event, Finish, ReasoningDelta, TextDelta, Usage, Warning

CatchKind: TypeAlias = Literal["no_finish", "event_after_finish", "empty_reply", "error_finish"]


class ReplyCheck:
    """Sees one reply's events in order and passes them on; `catches` names what was found wrong.

    Usage is held back until the Finish and blank pieces are left out, so that an empty reply is refused before anything
    of it was sent.
    """

    def __init__(self) -> None:
        self.catches: list[CatchKind] = []
        self._usage: Usage | None = None
        self._has_output = False
        self._is_finished = False

    def feed(self, event: Event) -> Iterator[Event]:
        """The events that may go on.

        Raises: EngineError if the reply ends with nothing in it, or with an error it does not explain.
        """
        if self._is_finished:
            if "event_after_finish" not in self.catches:
                self.catches.append("event_after_finish")
        elif isinstance(event, Usage):
            self._usage = event
        elif isinstance(event, Finish):
            yield from self._finish(event)
        elif not _is_blank(event):
            self._has_output = self._has_output or not isinstance(event, Warning)
            yield event

    def close(self) -> None:
        """The engine's events are over. Raises: EngineFailed if no Finish was among them."""
        if not self._is_finished:
            self.catches.append("no_finish")
            raise EngineFailed(
                "the engine's reply broke off", why="it ended without saying why", hint="gemstead engine show"
            )

    def _finish(self, finish: Finish) -> Iterator[Event]:
        self._is_finished = True
        if finish.reason in ("error", "cancelled"):
            self.catches.append("error_finish")
            raise EngineError(f"the engine ended its reply with {finish.reason!r} and no reason")
        if not self._has_output:
            yield from self._empty(finish)
        if self._usage is not None:
            yield self._usage
        yield finish

    def _empty(self, finish: Finish) -> Iterator[Event]:
        """A filtered reply says itself why it is empty, and one cut at `length` may have been inside a marker."""
        if finish.reason == "content_filter":
            return
        self.catches.append("empty_reply")
        if finish.reason == "length":
            yield Warning(
                code="empty_reply",
                message="the answer was cut before its first visible token: ask for more max_tokens",
                param="max_tokens",
            )
            return
        counted = self._usage.completion_tokens if self._usage is not None else None
        lost = f"it counted {counted} tokens and delivered none" if counted else "the model ended its turn at once"
        raise EngineError("the reply is empty: no text, no reasoning, no tool call", why=lost, hint="rephrase or retry")


def _is_blank(event: Event) -> bool:
    return isinstance(event, TextDelta | ReasoningDelta) and not event.text
