"""A reply that is not streamed is the same events, folded."""

from __future__ import annotations

from collections.abc import AsyncIterable

import msgspec

from gemstead.core.types import (
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
    Warning,
)


class FoldedReply(msgspec.Struct, frozen=True):
    """One whole reply. `usage` is None where the engine did not say."""

    finish_reason: FinishReason
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    warnings: tuple[Warning, ...] = ()
    stop_text: str | None = None


class ReplyFold:
    """Takes events one by one; `reply()` is whole once the Finish has come."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._reasonings: list[str] = []
        self._calls: dict[int, list[ToolCallDelta]] = {}
        self._usage: Usage | None = None
        self._warnings: list[Warning] = []
        self._finish: Finish | None = None

    def add(self, event: Event) -> None:
        match event:
            case TextDelta(text=text):
                self._texts.append(text)
            case ReasoningDelta(text=text):
                self._reasonings.append(text)
            case ToolCallDelta(index=index):
                self._calls.setdefault(index, []).append(event)
            case Usage():
                self._usage = event
            case Warning():
                self._warnings.append(event)
            case Finish():
                self._finish = event

    def reply(self) -> FoldedReply:
        assert self._finish is not None, "the exchange ends every reply with a Finish"
        return FoldedReply(
            finish_reason=self._finish.reason,
            text="".join(self._texts),
            reasoning="".join(self._reasonings),
            tool_calls=tuple(join_call(self._calls[index], f"call_{index}") for index in sorted(self._calls)),
            usage=self._usage,
            warnings=tuple(self._warnings),
            stop_text=self._finish.stop_text,
        )


def join_call(pieces: list[ToolCallDelta], id_if_none: str) -> ToolCall:
    """The pieces of one call, in the order they came."""
    return ToolCall(
        id=next((piece.id for piece in pieces if piece.id), id_if_none),
        name="".join(piece.name or "" for piece in pieces),
        arguments="".join(piece.arguments for piece in pieces),
    )


async def fold_events(events: AsyncIterable[Event]) -> FoldedReply:
    fold = ReplyFold()
    async for event in events:
        fold.add(event)
    return fold.reply()
