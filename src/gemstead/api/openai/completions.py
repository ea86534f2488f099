"""Completions: a raw prompt continued, without a template. Bodies decoded, replies and streams encoded."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.body import apply_fields, bounded, decode_json, take_fields, warn_unknown_below
from gemstead.api.dialect import Decoded, ReplyHead
from gemstead.api.extension import ReplyExtension, reply_extension
from gemstead.api.openai.errors import encode_error
from gemstead.api.openai.reply import FINISH_REASONS, UsageBody, usage_body
from gemstead.api.openai.rest_fields import COMPLETION_EXTRA_FIELDS, COMPLETION_FIELDS, DEFAULT_MAX_TOKENS
from gemstead.api.openai.sampling import GenerationFields, canonical_sampling, stream_raw, warn_stream_options
from gemstead.core.errors import GemsteadError, RequestInvalid
from gemstead.core.types import ChatRequest, Event, Finish, ReasoningDelta, TextDelta, Usage, Warning
from gemstead.pipeline.fold import FoldedReply

FIELDS = COMPLETION_FIELDS | COMPLETION_EXTRA_FIELDS

ECHO = "echo"
"""In `ChatRequest.raw`: the prompt comes before its continuation."""

Prompt: TypeAlias = str | list[str | int | list[int]]


class CompletionRequest(GenerationFields, frozen=True, kw_only=True):
    """The honoured fields only; `rest_fields.COMPLETION_FIELDS` deals with the others."""

    prompt: Prompt
    echo: bool | None = None


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    index: int = 0
    text: str
    finish_reason: str | None
    logprobs: None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply and a piece of a streamed one have one shape."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str | None
    choices: tuple[Choice, ...]
    usage: UsageBody | UnsetType | None = UNSET
    gemstead: ReplyExtension | UnsetType = UNSET


def decode_completion(payload: bytes) -> Decoded:
    """Raises: RequestInvalid whose `param` is the field's path."""
    body = decode_json(payload, example='{"model": ..., "prompt": ...}')
    warnings = list(apply_fields(body, FIELDS))
    asked = take_fields(body, CompletionRequest)
    warnings += [*warn_unknown_below(body, asked), *warn_stream_options(asked)]
    request = ChatRequest(
        model=asked.model,
        messages=(),
        prompt=_one_prompt(asked.prompt),
        sampling=canonical_sampling(asked, DEFAULT_MAX_TOKENS if asked.max_tokens is None else asked.max_tokens),
        is_stream=bool(asked.stream),
        user=asked.user,
        raw=stream_raw(asked) | ({ECHO: True} if asked.echo else {}),
    )
    return Decoded(request, bounded(warnings))


def _one_prompt(prompt: Prompt) -> str:
    """One request is one exchange, with its own place in line and its own record: so one prompt, too."""
    if isinstance(prompt, list) and any(not isinstance(item, str) for item in prompt):
        raise RequestInvalid(
            "prompts of token ids are not taken",
            param="prompt",
            why="ids of another tokenizer would silently mean another text",
            hint="send the text",
        )
    texts = [prompt] if isinstance(prompt, str) else [item for item in prompt if isinstance(item, str)]
    if len(texts) != 1:
        raise RequestInvalid(f"{len(texts)} prompts: exactly one is taken", param="prompt", hint="send each by itself")
    if not texts[0]:
        raise RequestInvalid("the prompt is empty", param="prompt")
    return texts[0]


def encode_reply(head: ReplyHead, request: ChatRequest, reply: FoldedReply) -> bytes:
    text = _echoed(request) + reply.reasoning + reply.text
    choice = Choice(text=text, finish_reason=FINISH_REASONS[reply.finish_reason])
    usage = None if reply.usage is None else usage_body(reply.usage, has_reasoning=bool(reply.reasoning))
    return msgspec.json.encode(_completion(head, (choice,), usage, reply.warnings))


class CompletionStream:
    """Encodes one reply's events as server-sent events. With `include_usage` every piece has `usage`: null until the
    last one, which has no choices. Warnings wait for the next piece. Thinking is text like any other here.
    """

    def __init__(self, head: ReplyHead, request: ChatRequest) -> None:
        self._head = head
        self._has_usage_field = bool(request.raw.get("include_usage"))
        self._echo = _echoed(request)
        self._usage: Usage | None = None
        self._warnings: list[Warning] = []

    def feed(self, event: Event) -> bytes:
        match event:
            case TextDelta(text=text) | ReasoningDelta(text=text):
                return self._piece(text)
            case Finish(reason=reason):
                return self._piece("", FINISH_REASONS[reason])
            case Usage():
                self._usage = event
            case Warning():
                self._warnings.append(event)
        return b""

    def close(self) -> bytes:
        if not self._has_usage_field or self._usage is None:
            return b"data: [DONE]\n\n"
        return self._event((), usage_body(self._usage, has_reasoning=False)) + b"data: [DONE]\n\n"

    def fail(self, error: GemsteadError) -> bytes:
        """An error object where a piece would be, and no `[DONE]`: official clients raise it as an APIError."""
        return b"data: " + encode_error(error) + b"\n\n"

    def _piece(self, text: str, finish_reason: str | None = None) -> bytes:
        echo, self._echo = self._echo, ""
        return self._event((Choice(text=echo + text, finish_reason=finish_reason),))

    def _event(self, choices: tuple[Choice, ...], usage: UsageBody | None = None) -> bytes:
        warnings, self._warnings = tuple(self._warnings), []
        body = _completion(self._head, choices, usage if self._has_usage_field else UNSET, warnings)
        return b"data: " + msgspec.json.encode(body) + b"\n\n"


def _echoed(request: ChatRequest) -> str:
    return request.prompt or "" if request.raw.get(ECHO) else ""


def _completion(
    head: ReplyHead,
    choices: tuple[Choice, ...],
    usage: UsageBody | UnsetType | None,
    warnings: tuple[Warning, ...],
) -> Completion:
    return Completion(
        id=f"cmpl-{head.token}",
        created=head.created_s,
        model=head.model,
        system_fingerprint=head.fingerprint,
        choices=choices,
        usage=usage,
        gemstead=reply_extension(warnings),
    )
