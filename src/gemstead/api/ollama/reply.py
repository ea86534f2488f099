"""Replies of /api/chat and /api/generate: one object, or one a line, the last of which has `done` and the numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.dialect import ReplyHead
from gemstead.api.ollama.errors import encode_error
from gemstead.core.errors import EngineRefused, GemsteadError
from gemstead.core.moments import utc_text
from gemstead.core.types import (
    ChatRequest,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    Timings,
    ToolCallDelta,
    Usage,
    Warning,
)
from gemstead.pipeline.fold import FoldedReply, ReplyFold

DONE_REASONS: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "stop",
    "content_filter": "content_filter",
}
"""`error` and `cancelled` never come here: the exchange raises instead."""


class FunctionBody(msgspec.Struct, frozen=True):
    index: int
    name: str
    arguments: dict[str, Any]


class ToolCallBody(msgspec.Struct, frozen=True):
    id: str
    function: FunctionBody


class MessageBody(msgspec.Struct, frozen=True):
    role: Literal["assistant"] = "assistant"
    content: str = ""
    thinking: str | UnsetType = UNSET
    tool_calls: tuple[ToolCallBody, ...] | UnsetType = UNSET


class Extension(msgspec.Struct, frozen=True, omit_defaults=True):
    """What gemstead adds under its own name; official clients pass it by."""

    warnings: tuple[Warning, ...] = ()
    reasoning_tokens: int | None = None
    dropped_messages: int = 0


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What the objects of both endpoints share; the numbers are in the last one only.

    Durations in nanoseconds. `prompt_eval_count` is the whole prompt, and `prompt_eval_cached_count` the part of it
    that was not evaluated again: `prompt_eval_duration` is about the rest. What the engine did not say is left out.
    """

    model: str
    created_at: str
    done: bool
    done_reason: str | UnsetType = UNSET
    total_duration: int | UnsetType = UNSET
    load_duration: int | UnsetType = UNSET
    prompt_eval_count: int | UnsetType = UNSET
    prompt_eval_cached_count: int | UnsetType = UNSET
    prompt_eval_duration: int | UnsetType = UNSET
    eval_count: int | UnsetType = UNSET
    eval_duration: int | UnsetType = UNSET
    gemstead: Extension | UnsetType = UNSET


class ChatBody(Body, frozen=True, kw_only=True):
    message: MessageBody


class GenerateBody(Body, frozen=True, kw_only=True):
    response: str
    thinking: str | UnsetType = UNSET


Shape: TypeAlias = Callable[[ReplyHead, MessageBody, dict[str, Any]], Body]
"""(head, what is said, the numbers) -> the object of one of the two endpoints; `done` is among the numbers."""

_encode_json = msgspec.json.Encoder().encode


def chat_shape(head: ReplyHead, said: MessageBody, numbers: dict[str, Any]) -> Body:
    return ChatBody(model=head.model, created_at=timestamp(head.created_s), message=said, **numbers)


def generate_shape(head: ReplyHead, said: MessageBody, numbers: dict[str, Any]) -> Body:
    return GenerateBody(
        model=head.model,
        created_at=timestamp(head.created_s),
        response=said.content,
        thinking=said.thinking,
        **numbers,
    )


def encode_chat_reply(head: ReplyHead, request: ChatRequest, reply: FoldedReply) -> bytes:
    return _encode_json(_whole(chat_shape, head, request, reply))


def encode_generate_reply(head: ReplyHead, request: ChatRequest, reply: FoldedReply) -> bytes:
    return _encode_json(_whole(generate_shape, head, request, reply))


def chat_stream(head: ReplyHead, request: ChatRequest) -> OllamaStream:
    return OllamaStream(chat_shape, head, request)


def generate_stream(head: ReplyHead, request: ChatRequest) -> OllamaStream:
    return OllamaStream(generate_shape, head, request)


class OllamaStream:
    """Encodes one reply's events as lines of JSON.

    A tool call leaves whole, because its arguments are an object here: when the next begins, or at the end. Warnings
    wait for the last line.
    """

    def __init__(self, shape: Shape, head: ReplyHead, request: ChatRequest) -> None:
        self._shape = shape
        self._head = head
        self._request = request
        self._rest = ReplyFold()
        self._calls = ReplyFold()
        self._num_calls = 0
        self._open_call: int | None = None

    def feed(self, event: Event) -> bytes:
        """Raises: EngineRefused for a tool call whose arguments are no JSON object."""
        match event:
            case TextDelta(text=text):
                return self._flush_call() + self._line(MessageBody(content=text))
            case ReasoningDelta(text=text):
                return self._flush_call() + self._line(MessageBody(thinking=text))
            case ToolCallDelta(index=index):
                before = b"" if index == self._open_call else self._flush_call()
                self._open_call = index
                self._calls.add(event)
                return before
            case Finish():
                self._rest.add(event)
                return self._flush_call()
            case _:
                self._rest.add(event)
                return b""

    def close(self) -> bytes:
        said = MessageBody()
        return self._encode(said, _numbers(self._head, self._request, self._rest.reply()))

    def fail(self, error: GemsteadError) -> bytes:
        """An error object where a line would be, and no `done`: official clients raise it."""
        return encode_error(error) + b"\n"

    def _flush_call(self) -> bytes:
        if self._open_call is None:
            return b""
        self._calls.add(Finish("tool_calls"))
        calls = _call_bodies(self._calls.reply(), self._num_calls)
        self._num_calls += len(calls)
        self._calls, self._open_call = ReplyFold(), None
        return self._line(MessageBody(tool_calls=calls))

    def _line(self, said: MessageBody) -> bytes:
        return self._encode(said, {"done": False})

    def _encode(self, said: MessageBody, numbers: dict[str, Any]) -> bytes:
        return _encode_json(self._shape(self._head, said, numbers)) + b"\n"


@lru_cache(maxsize=64)
def timestamp(unix_s: float) -> str:
    """RFC 3339, UTC. Remembered, because every line of a reply carries the same."""
    return utc_text(unix_s)


def _whole(shape: Shape, head: ReplyHead, request: ChatRequest, reply: FoldedReply) -> Body:
    said = MessageBody(content=reply.text, thinking=reply.reasoning or UNSET, tool_calls=_call_bodies(reply) or UNSET)
    return shape(head, said, _numbers(head, request, reply))


def _call_bodies(reply: FoldedReply, start: int = 0) -> tuple[ToolCallBody, ...]:
    return tuple(
        ToolCallBody(call.id, FunctionBody(start + place, call.name, _arguments(call.name, call.arguments)))
        for place, call in enumerate(reply.tool_calls)
    )


def _arguments(name: str, text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise EngineRefused(
            f"the model called {name[:128]!r} with arguments that are no JSON object", why=str(exc), hint="try again"
        ) from exc


def _numbers(head: ReplyHead, request: ChatRequest, reply: FoldedReply) -> dict[str, Any]:
    """What the last object says about the whole reply."""
    if request.is_load:
        reason = "unload" if request.keep_alive_s == 0 else "load"
        return {"done": True, "done_reason": reason, "gemstead": _extension(reply)}
    numbers = {"done": True, "done_reason": DONE_REASONS[reply.finish_reason], "gemstead": _extension(reply)}
    numbers["total_duration"] = _ns(head.elapsed_s())
    usage = reply.usage
    if usage is None:
        return numbers
    timings = usage.timings or Timings()
    return numbers | {
        "load_duration": _ns(timings.load_s or 0.0),
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_cached_count": UNSET if usage.cached_tokens is None else usage.cached_tokens,
        "prompt_eval_duration": _ns(timings.prefill_s),
        "eval_count": usage.completion_tokens,
        "eval_duration": _ns(timings.decode_s),
    }


def _extension(reply: FoldedReply) -> Extension | UnsetType:
    usage = reply.usage or Usage(0, 0)
    extension = Extension(reply.warnings, usage.reasoning_tokens, usage.dropped_messages)
    return UNSET if extension == Extension() else extension


def _ns(seconds: float | None) -> int | UnsetType:
    return UNSET if seconds is None else round(seconds * 1e9)
