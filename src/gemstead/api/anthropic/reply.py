"""Replies as the Messages API writes them: one object of content blocks."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.dialect import ReplyHead
from gemstead.api.extension import ReplyExtension, UsageExtension, reply_extension, usage_extension
from gemstead.core.errors import EngineError
from gemstead.core.types import ChatRequest, FinishReason, ToolCall, Usage
from gemstead.pipeline.fold import FoldedReply

SIGNATURE = "unsigned"
"""A thinking block must carry a signature, and some clients drop one that is empty. Nothing here signs or checks it."""

StopReason: TypeAlias = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "model_context_window_exceeded"
]


class TextBody(msgspec.Struct, frozen=True, tag="text"):
    text: str
    citations: None = None


class ThinkingBody(msgspec.Struct, frozen=True, tag="thinking"):
    thinking: str
    signature: str = SIGNATURE


class Caller(msgspec.Struct, frozen=True):
    type: Literal["direct"] = "direct"


class ToolUseBody(msgspec.Struct, frozen=True, tag="tool_use"):
    id: str
    name: str
    input: Any
    caller: Caller = Caller()


Block: TypeAlias = TextBody | ThinkingBody | ToolUseBody


class CacheCreation(msgspec.Struct, frozen=True):
    ephemeral_5m_input_tokens: int = 0
    ephemeral_1h_input_tokens: int = 0


class OutputDetails(msgspec.Struct, frozen=True):
    thinking_tokens: int


class UsageBody(msgspec.Struct, frozen=True, kw_only=True):
    """`input_tokens` are the uncached ones: the API's total is the sum of all three. Null: the engine did not say.

    Writing the cache costs nothing here and is not counted, so those numbers are zero.
    """

    input_tokens: int | None
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int | None
    cache_creation: CacheCreation = CacheCreation()
    output_tokens: int | None
    output_tokens_details: OutputDetails | None
    server_tool_use: None = None
    service_tier: Literal["standard"] = "standard"
    inference_geo: None = None
    speed: None = None
    gemstead: UsageExtension | UnsetType = UNSET


class MessageBody(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: tuple[Block, ...]
    stop_reason: StopReason | None
    stop_sequence: str | None
    stop_details: None = None
    container: None = None
    diagnostics: None = None
    usage: UsageBody
    gemstead: ReplyExtension | UnsetType = UNSET


def encode_reply(head: ReplyHead, request: ChatRequest, reply: FoldedReply) -> bytes:
    """The whole reply. Raises: EngineError for a call whose arguments are no JSON object."""
    return msgspec.json.encode(
        MessageBody(
            id=f"msg_{head.token}",
            model=head.model,
            content=blocks_of(request, reply),
            stop_reason=stop_reason(request, reply.finish_reason, reply.stop_text, reply.usage),
            stop_sequence=reply.stop_text,
            usage=usage_body(reply.usage, has_thinking=bool(reply.reasoning)),
            gemstead=reply_extension(reply.warnings),
        )
    )


def blocks_of(request: ChatRequest, reply: FoldedReply) -> tuple[Block, ...]:
    """Thinking, text, calls: each only if there is some. Raises: as `encode_reply`."""
    blocks: list[Block] = []
    if reply.reasoning:
        blocks.append(ThinkingBody("" if request.raw.get("omits_thinking") else reply.reasoning))
    if reply.text:
        blocks.append(TextBody(reply.text))
    blocks += (ToolUseBody(call.id, call.name, _input(call)) for call in reply.tool_calls)
    return tuple(blocks)


def stop_reason(request: ChatRequest, reason: FinishReason, stop_text: str | None, usage: Usage | None) -> StopReason:
    """`error` and `cancelled` never come here: the exchange raises instead."""
    if reason == "tool_calls":
        return "tool_use"
    if reason == "content_filter":
        return "refusal"
    if reason != "length":
        return "end_turn" if stop_text is None else "stop_sequence"
    asked = request.sampling.max_tokens
    is_cut_by_context = usage is not None and asked is not None and usage.completion_tokens < asked
    return "model_context_window_exceeded" if is_cut_by_context else "max_tokens"


def usage_body(usage: Usage | None, *, has_thinking: bool) -> UsageBody:
    """A reply without thinking had no thinking tokens, whether or not the engine says so."""
    if usage is None:
        return UsageBody(
            input_tokens=None, cache_read_input_tokens=None, output_tokens=None, output_tokens_details=None
        )
    thinking_tokens = usage.reasoning_tokens if usage.reasoning_tokens is not None or has_thinking else 0
    return UsageBody(
        input_tokens=usage.prompt_tokens - (usage.cached_tokens or 0),
        cache_read_input_tokens=usage.cached_tokens,
        output_tokens=usage.completion_tokens,
        output_tokens_details=None if thinking_tokens is None else OutputDetails(thinking_tokens),
        gemstead=usage_extension(usage),
    )


def _input(call: ToolCall) -> msgspec.Raw:
    """The arguments as they are written; none at all are the empty object.

    Raises: EngineError if they are no JSON object, which the block has no room for.
    """
    try:
        msgspec.json.decode(call.arguments or "{}", type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as exc:
        raise EngineError(
            f"the call of {call.name!r} has arguments that are no JSON object",
            why=str(exc),
            hint="ask again, with a larger max_tokens if the answer was cut",
        ) from exc
    return msgspec.Raw((call.arguments or "{}").encode())
