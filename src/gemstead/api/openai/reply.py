"""Replies as chat completions writes them: one object, or a stream of chunks ended by `[DONE]`."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.dialect import ReplyHead
from gemstead.api.extension import ReplyExtension, UsageExtension, reply_extension, usage_extension
from gemstead.api.openai.errors import encode_error
from gemstead.core.errors import GemsteadError
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
from gemstead.pipeline.fold import FoldedReply

FINISH_REASONS: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}
"""`error` and `cancelled` never come here: the exchange raises instead."""


class PromptDetails(msgspec.Struct, frozen=True):
    cached_tokens: int | UnsetType = UNSET
    audio_tokens: int | UnsetType = UNSET


class CompletionDetails(msgspec.Struct, frozen=True):
    """No drafts of the caller's own and no spoken answers here, so these zeros are known."""

    reasoning_tokens: int | UnsetType = UNSET
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class UsageBody(msgspec.Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails
    gemstead: UsageExtension | UnsetType = UNSET


class FunctionBody(msgspec.Struct, frozen=True):
    name: str | UnsetType = UNSET
    arguments: str = ""


class ToolCallBody(msgspec.Struct, frozen=True):
    index: int | UnsetType = UNSET
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET
    function: FunctionBody = FunctionBody()


class MessageBody(msgspec.Struct, frozen=True):
    role: Literal["assistant"]
    content: str | None
    refusal: None = None
    annotations: tuple[()] = ()
    reasoning_content: str | UnsetType = UNSET
    tool_calls: tuple[ToolCallBody, ...] | UnsetType = UNSET


class Delta(msgspec.Struct, frozen=True):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    refusal: UnsetType | None = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: tuple[ToolCallBody, ...] | UnsetType = UNSET


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    index: int = 0
    message: MessageBody
    finish_reason: str
    logprobs: None = None


class ChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    index: int = 0
    delta: Delta
    finish_reason: str | None = None
    logprobs: None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str | UnsetType = UNSET
    service_tier: Literal["default"] = "default"
    choices: tuple[Choice, ...]
    usage: UsageBody | None
    gemstead: ReplyExtension | UnsetType = UNSET


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str | UnsetType = UNSET
    service_tier: Literal["default"] = "default"
    choices: tuple[ChunkChoice, ...]
    usage: UsageBody | UnsetType | None = UNSET
    gemstead: ReplyExtension | UnsetType = UNSET


_encode_json = msgspec.json.Encoder().encode


def encode_reply(head: ReplyHead, request: ChatRequest, reply: FoldedReply) -> bytes:  # noqa: ARG001 (one signature)
    """The whole reply. `content` is null where the model only called tools, as the API has it."""
    calls = tuple(
        ToolCallBody(id=call.id, type="function", function=FunctionBody(call.name, call.arguments))
        for call in reply.tool_calls
    )
    message = MessageBody(
        role="assistant",
        content=None if calls and not reply.text else reply.text,
        reasoning_content=reply.reasoning or UNSET,
        tool_calls=calls or UNSET,
    )
    return _encode_json(
        Completion(
            id=f"chatcmpl-{head.token}",
            created=head.created_s,
            model=head.model,
            choices=(Choice(message=message, finish_reason=FINISH_REASONS[reply.finish_reason]),),
            usage=None if reply.usage is None else usage_body(reply.usage, has_reasoning=bool(reply.reasoning)),
            system_fingerprint=head.fingerprint or UNSET,
            gemstead=reply_extension(reply.warnings),
        )
    )


class ChatStream:
    """Encodes one reply's events as server-sent events.

    The first chunk carries the role. Warnings wait for the next chunk. With `include_usage` every chunk has `usage`:
    null, but for one without choices at the end.
    """

    def __init__(self, head: ReplyHead, request: ChatRequest) -> None:
        self._head = head
        self._has_usage_field = bool(request.raw.get("include_usage"))
        self._is_open = False
        self._has_reasoning = False
        self._usage: Usage | None = None
        self._warnings: list[Warning] = []
        self._named_calls: set[int] = set()

    def feed(self, event: Event) -> bytes:
        match event:
            case TextDelta(text=text):
                return self._delta(Delta(content=text))
            case ReasoningDelta(text=text):
                self._has_reasoning = True
                return self._delta(Delta(reasoning_content=text))
            case ToolCallDelta():
                return self._delta(Delta(tool_calls=(self._call(event),)))
            case Finish(reason=reason):
                return self._delta(Delta(), FINISH_REASONS[reason])
            case Usage():
                self._usage = event
            case Warning():
                self._warnings.append(event)
        return b""

    def close(self) -> bytes:
        if not self._has_usage_field or self._usage is None:
            return b"data: [DONE]\n\n"
        return self._chunk((), usage_body(self._usage, has_reasoning=self._has_reasoning)) + b"data: [DONE]\n\n"

    def fail(self, error: GemsteadError) -> bytes:
        """An error object where a chunk would be, and no `[DONE]`: official clients raise it as an APIError."""
        return b"data: " + encode_error(error) + b"\n\n"

    def _delta(self, delta: Delta, finish_reason: str | None = None) -> bytes:
        opening = b""
        if not self._is_open:
            self._is_open = True
            opening = self._chunk((ChunkChoice(delta=Delta(role="assistant", content="", refusal=None)),))
        return opening + self._chunk((ChunkChoice(delta=delta, finish_reason=finish_reason),))

    def _call(self, piece: ToolCallDelta) -> ToolCallBody:
        """Clients take the id, type and name from a call's first piece only."""
        function = FunctionBody(UNSET if piece.name is None else piece.name, piece.arguments)
        if piece.index in self._named_calls:
            return ToolCallBody(index=piece.index, function=function)
        self._named_calls.add(piece.index)
        call_id = piece.id or f"call_{piece.index}"
        return ToolCallBody(index=piece.index, id=call_id, type="function", function=function)

    def _chunk(self, choices: tuple[ChunkChoice, ...], usage: UsageBody | None = None) -> bytes:
        extension = reply_extension(tuple(self._warnings))
        self._warnings.clear()
        chunk = Chunk(
            id=f"chatcmpl-{self._head.token}",
            created=self._head.created_s,
            model=self._head.model,
            choices=choices,
            system_fingerprint=self._head.fingerprint or UNSET,
            usage=usage if self._has_usage_field else UNSET,
            gemstead=extension,
        )
        return b"data: " + _encode_json(chunk) + b"\n\n"


def usage_body(usage: Usage, *, has_reasoning: bool) -> UsageBody:
    """What the engine did not say is left out; a reply without reasoning had no reasoning tokens."""
    reasoning_tokens = usage.reasoning_tokens if usage.reasoning_tokens is not None or has_reasoning else 0
    return UsageBody(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        prompt_tokens_details=PromptDetails(UNSET if usage.cached_tokens is None else usage.cached_tokens),
        completion_tokens_details=CompletionDetails(UNSET if reasoning_tokens is None else reasoning_tokens),
        gemstead=usage_extension(usage),
    )
