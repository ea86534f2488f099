"""The stream of an OpenAI-style `/chat/completions` or `/completions` as canonical events. Several engines speak it.

Source: OpenAI API reference, "chat.completion.chunk" (read 2026-11); `timings` and `reasoning_content` are llama.cpp's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from gemstead.core.errors import EngineFailed
from gemstead.core.types import (
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    Timings,
    ToolCallDelta,
    Usage,
)
from gemstead.engines.openai_errors import error_from_stream

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
"""An engine's words for the closed set; any other word is an error of the engine."""


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    """`delta` is a piece of a chat's answer, `text` one of a raw prompt's continuation."""

    index: int = 0
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Timings(msgspec.Struct):
    prompt_n: int | None = None
    prompt_ms: float | None = None
    predicted_n: int | None = None
    predicted_ms: float | None = None
    draft_n: int | None = None
    draft_n_accepted: int | None = None


class _Verbose(msgspec.Struct):
    stopping_word: str | None = None


class _Chunk(msgspec.Struct):
    """`verbose` is llama.cpp's, sent where the request asked for it."""

    verbose: _Verbose | None = msgspec.field(default=None, name="__verbose")
    choices: list[_Choice] = []
    usage: _Usage | None = None
    timings: _Timings | None = None
    error: Any = None


_CHUNKS = msgspec.json.Decoder(_Chunk)


class OpenAiStreamDecoder:
    """One reply: deltas as they come, then Usage (if the engine told it), then exactly one Finish.

    The finish reason arrives before the usage, so both wait for the end of the stream: `[DONE]`, or the engine closing
    it. An engine that closes before it gave a finish reason has failed, whatever it sent before.
    """

    def __init__(self) -> None:
        self._finish: FinishReason | None = None
        self._usage: _Usage | None = None
        self._timings: _Timings | None = None
        self._stop_text: str | None = None
        self._is_done = False

    def feed(self, payload: bytes) -> Iterable[Event]:
        """Events of one chunk. Raises: EngineFailed for a broken chunk, or what the engine's error event says."""
        if self._is_done:
            return ()
        if payload == b"[DONE]":
            return self.close()
        try:
            chunk = _CHUNKS.decode(payload)
        except msgspec.DecodeError as exc:  # ValidationError is one too
            raise EngineFailed(f"the engine sent a broken chunk: {exc}", why=_shown(payload)) from exc
        if chunk.error is not None:
            raise error_from_stream(chunk.error)
        self._usage = chunk.usage or self._usage
        self._timings = chunk.timings or self._timings
        if chunk.verbose is not None:
            self._stop_text = chunk.verbose.stopping_word or None
        return self._deltas(chunk.choices)

    def close(self) -> Iterable[Event]:
        """Usage and Finish. Raises: EngineFailed if no finish reason has come."""
        if self._is_done:
            return ()
        if self._finish is None:
            raise EngineFailed("the engine ended its answer without a finish reason")
        self._is_done = True
        finish = Finish(self._finish, self._stop_text)
        return (_usage(self._usage, self._timings), finish) if self._usage else (finish,)

    def _deltas(self, choices: list[_Choice]) -> Iterator[Event]:
        for choice in choices:
            if choice.index != 0:
                raise EngineFailed(f"the engine sent choice {choice.index}, only one was asked for")
            if choice.delta is not None:
                yield from _events(choice.delta)
            if choice.text:
                yield TextDelta(choice.text)
            if choice.finish_reason is not None:
                self._finish = _finish_reason(choice.finish_reason)


def _events(delta: _Delta) -> Iterator[Event]:
    if thought := delta.reasoning_content or delta.reasoning:
        yield ReasoningDelta(thought)
    if delta.content:
        yield TextDelta(delta.content)
    for call in delta.tool_calls or ():
        function = call.function or _Function()
        yield ToolCallDelta(call.index, call.id, function.name, function.arguments or "")


def _finish_reason(word: str) -> FinishReason:
    if word not in FINISH_REASONS:
        raise EngineFailed(f"the engine gave an unknown finish reason {word!r}")
    return FINISH_REASONS[word]


def _usage(usage: _Usage, timings: _Timings | None) -> Usage:
    return Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None,
        reasoning_tokens=usage.completion_tokens_details.reasoning_tokens if usage.completion_tokens_details else None,
        timings=_seconds(timings) if timings else None,
    )


def _seconds(timings: _Timings) -> Timings:
    return Timings(
        prefill_tokens=timings.prompt_n,
        prefill_s=None if timings.prompt_ms is None else timings.prompt_ms / 1000,
        decode_tokens=timings.predicted_n,
        decode_s=None if timings.predicted_ms is None else timings.predicted_ms / 1000,
        drafted_tokens=timings.draft_n,
        accepted_tokens=timings.draft_n_accepted,
    )


def _shown(payload: bytes) -> str:
    return payload[:200].decode("utf-8", "replace")
