"""A reply as the Messages API streams it: one content block after the other, between a start and a stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.anthropic.errors import encode_error
from gemstead.api.anthropic.reply import (
    SIGNATURE,
    Block,
    MessageBody,
    StopReason,
    TextBody,
    ThinkingBody,
    ToolUseBody,
    UsageBody,
    stop_reason,
    usage_body,
)
from gemstead.api.dialect import ReplyHead
from gemstead.api.extension import ReplyExtension, reply_extension
from gemstead.core.errors import GemsteadError
from gemstead.core.types import ChatRequest, Event, Finish, ReasoningDelta, TextDelta, ToolCallDelta, Usage, Warning
from gemstead.pipeline.fold import ReplyFold


class TextPiece(msgspec.Struct, frozen=True, tag="text_delta"):
    text: str


class ThinkingPiece(msgspec.Struct, frozen=True, tag="thinking_delta"):
    thinking: str


class SignaturePiece(msgspec.Struct, frozen=True, tag="signature_delta"):
    signature: str


class InputPiece(msgspec.Struct, frozen=True, tag="input_json_delta"):
    partial_json: str


class MessageStart(msgspec.Struct, frozen=True, tag="message_start"):
    message: MessageBody


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    pass


class BlockStart(msgspec.Struct, frozen=True, tag="content_block_start"):
    index: int
    content_block: Block


class BlockDelta(msgspec.Struct, frozen=True, tag="content_block_delta"):
    index: int
    delta: TextPiece | ThinkingPiece | SignaturePiece | InputPiece


class BlockStop(msgspec.Struct, frozen=True, tag="content_block_stop"):
    index: int


class Ending(msgspec.Struct, frozen=True):
    stop_reason: StopReason
    stop_sequence: str | None
    stop_details: None = None
    container: None = None


class MessageDelta(msgspec.Struct, frozen=True, tag="message_delta"):
    """`usage` is cumulative: it replaces that of `message_start`."""

    delta: Ending
    usage: UsageBody
    gemstead: ReplyExtension | UnsetType = UNSET


class MessageStop(msgspec.Struct, frozen=True, tag="message_stop"):
    pass


StreamEvent: TypeAlias = MessageStart | Ping | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop

NOT_YET = UsageBody(input_tokens=0, cache_read_input_tokens=None, output_tokens=0, output_tokens_details=None)
"""The usage of `message_start`, where the API has numbers: the engine tells its own at the end."""

_encode_json = msgspec.json.Encoder().encode

_Open: TypeAlias = Literal["text", "thinking"] | int | None
"""The block being written; a number is the index of a call."""


class MessageStream:
    """Encodes one reply's events as server-sent events.

    Blocks cannot interleave and calls may: once a call is being written, what is not of it waits until the end.
    """

    def __init__(self, head: ReplyHead, request: ChatRequest) -> None:
        self._head = head
        self._request = request
        self._open: _Open = None
        self._num_blocks = 0
        self._is_started = False
        self._has_thinking = False
        self._usage: Usage | None = None
        self._warnings: list[Warning] = []
        self._waiting = ReplyFold()

    def feed(self, event: Event) -> bytes:
        match event:
            case Warning():
                self._warnings.append(event)
                return b""
            case Usage():
                self._usage = event
                return b""
            case _:
                return b"".join(_write(out) for out in (*self._start(), *self._events(event)))

    def close(self) -> bytes:
        return _write(MessageStop())

    def fail(self, error: GemsteadError) -> bytes:
        """An `error` event and no stop: official clients raise it as an APIStatusError."""
        return b"event: error\ndata: " + encode_error(error) + b"\n\n"

    def _start(self) -> Iterator[StreamEvent]:
        if self._is_started:
            return
        self._is_started = True
        yield MessageStart(
            MessageBody(
                id=f"msg_{self._head.token}",
                model=self._head.model,
                content=(),
                stop_reason=None,
                stop_sequence=None,
                usage=NOT_YET,
                gemstead=self._take_warnings(),
            )
        )
        yield Ping()

    def _events(self, event: Event) -> Iterator[StreamEvent]:
        match event:
            case Finish():
                yield from self._finish(event)
            case ToolCallDelta(index=index) if self._open == index:
                yield self._delta(InputPiece(event.arguments))
            case _ if isinstance(self._open, int):
                self._waiting.add(event)
            case ToolCallDelta():
                yield from self._open_call(event)
            case TextDelta(text=text):
                yield from self._open_block("text", TextBody(""))
                yield self._delta(TextPiece(text))
            case ReasoningDelta(text=text):
                self._has_thinking = True
                yield from self._open_block("thinking", ThinkingBody("", signature=""))
                if not self._request.raw.get("omits_thinking"):
                    yield self._delta(ThinkingPiece(text))

    def _open_call(self, call: ToolCallDelta) -> Iterator[StreamEvent]:
        body = ToolUseBody(call.id or f"call_{call.index}", call.name or "", {})
        yield from self._open_block(call.index, body)
        if call.arguments:
            yield self._delta(InputPiece(call.arguments))

    def _open_block(self, kind: Literal["text", "thinking"] | int, body: Block) -> Iterator[StreamEvent]:
        if self._open == kind:
            return
        yield from self._close_block()
        self._open = kind
        self._num_blocks += 1
        yield BlockStart(self._num_blocks - 1, body)

    def _close_block(self) -> Iterator[StreamEvent]:
        if self._open is None:
            return
        if self._open == "thinking":
            yield self._delta(SignaturePiece(SIGNATURE))
        self._open = None
        yield BlockStop(self._num_blocks - 1)

    def _finish(self, finish: Finish) -> Iterator[StreamEvent]:
        yield from self._close_block()
        yield from self._flush(finish)
        yield MessageDelta(
            Ending(stop_reason(self._request, finish.reason, finish.stop_text, self._usage), finish.stop_text),
            usage_body(self._usage, has_thinking=self._has_thinking),
            self._take_warnings(),
        )

    def _flush(self, finish: Finish) -> Iterator[StreamEvent]:
        """What waited for a call to end, each block whole."""
        self._waiting.add(finish)
        rest = self._waiting.reply()
        whole: list[Event] = [ReasoningDelta(rest.reasoning)] if rest.reasoning else []
        whole += [TextDelta(rest.text)] if rest.text else []
        for event in whole:
            yield from self._events(event)
        for index, call in enumerate(rest.tool_calls):
            yield from self._open_call(ToolCallDelta(index, call.id, call.name, call.arguments))
            yield from self._close_block()
        yield from self._close_block()

    def _delta(self, piece: TextPiece | ThinkingPiece | SignaturePiece | InputPiece) -> BlockDelta:
        return BlockDelta(self._num_blocks - 1, piece)

    def _take_warnings(self) -> ReplyExtension | UnsetType:
        taken = reply_extension(tuple(self._warnings))
        self._warnings.clear()
        return taken


def _write(event: StreamEvent) -> bytes:
    name: Any = event.__struct_config__.tag
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _encode_json(event))
