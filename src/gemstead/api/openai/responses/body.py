"""The response object: every field the API promises, as asked or as it is."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.conversations import Memory
from gemstead.api.dialect import ReplyHead
from gemstead.api.errors import full_message
from gemstead.api.extension import ReplyExtension, UsageExtension, reply_extension, usage_extension
from gemstead.api.openai.errors import CODES
from gemstead.api.openai.request import JsonObjectFormat, TextFormat
from gemstead.api.openai.responses.items import Item
from gemstead.api.openai.responses.request import Asked, JsonSchemaFormat, ReasoningConfig, TextConfig
from gemstead.api.openai.responses.tools import FunctionChoice, FunctionTool
from gemstead.core.errors import GemsteadError
from gemstead.core.types import ChatRequest, FinishReason, Usage, Warning

ResponseStatus: TypeAlias = Literal["in_progress", "completed", "incomplete", "failed"]

INCOMPLETE_REASONS: dict[FinishReason, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why a reply that ended so is incomplete; one that ended in another way is complete."""


class TextBody(msgspec.Struct, frozen=True):
    format: TextFormat | JsonObjectFormat | JsonSchemaFormat


class ReasoningBody(msgspec.Struct, frozen=True):
    effort: str | None = None
    summary: str | None = None


class InputDetails(msgspec.Struct, frozen=True):
    """Nothing is written to a cache that is paid for."""

    cached_tokens: int
    cache_write_tokens: int = 0


class OutputDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: int


class UsageBody(msgspec.Struct, frozen=True):
    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int
    gemstead: UsageExtension | UnsetType = UNSET


class ErrorBody(msgspec.Struct, frozen=True):
    code: str
    message: str


class IncompleteDetails(msgspec.Struct, frozen=True):
    reason: str


class ResponseBody(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: ResponseStatus = "in_progress"
    background: Literal[False] = False
    error: ErrorBody | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    model: str
    output: tuple[Item, ...] = ()
    parallel_tool_calls: bool
    previous_response_id: str | None
    presence_penalty: float
    frequency_penalty: float
    prompt_cache_key: str | None
    reasoning: ReasoningBody
    safety_identifier: str | None
    service_tier: Literal["default"] = "default"
    store: bool
    temperature: float
    text: TextBody
    tool_choice: FunctionChoice
    tools: tuple[FunctionTool, ...]
    top_logprobs: Literal[0] = 0
    top_p: float
    truncation: Literal["auto", "disabled"]
    usage: UsageBody | None = None
    user: str | None
    gemstead: ReplyExtension | UnsetType = UNSET


def asked_of(request: ChatRequest) -> Asked:
    asked = request.raw["asked"]
    assert isinstance(asked, Asked)
    return asked


def begin_body(head: ReplyHead, request: ChatRequest) -> ResponseBody:
    """The response before its first token. What the request left open about sampling was filled in before."""
    asked = asked_of(request)
    body, sampling = asked.body, request.sampling
    return ResponseBody(
        id=f"resp_{head.token}",
        created_at=head.created_s,
        instructions=body.instructions,
        max_output_tokens=body.max_output_tokens,
        max_tool_calls=body.max_tool_calls,
        metadata=body.metadata or {},
        model=head.model,
        parallel_tool_calls=request.has_parallel_tool_calls,
        previous_response_id=body.previous_response_id,
        presence_penalty=sampling.presence_penalty or 0.0,
        frequency_penalty=sampling.frequency_penalty or 0.0,
        prompt_cache_key=asked.prompt_cache_key,
        reasoning=_reasoning(body.reasoning),
        safety_identifier=body.safety_identifier,
        store=asked.is_kept,
        temperature=1.0 if sampling.temperature is None else sampling.temperature,
        text=_text(body.text),
        tool_choice=body.tool_choice or "auto",
        tools=tuple(msgspec.structs.replace(tool, strict=tool.strict is not False) for tool in body.tools or ()),
        top_p=1.0 if sampling.top_p is None else sampling.top_p,
        truncation=body.truncation or "disabled",
        user=body.user,
    )


def _reasoning(reasoning: ReasoningConfig | None) -> ReasoningBody:
    if reasoning is None:
        return ReasoningBody()
    return ReasoningBody(reasoning.effort, reasoning.summary or reasoning.generate_summary)


def _text(text: TextConfig | None) -> TextBody:
    match text.format if text is not None else None:
        case None:
            return TextBody(TextFormat())
        case JsonSchemaFormat() as schema:
            return TextBody(msgspec.structs.replace(schema, strict=bool(schema.strict)))
        case other:
            return TextBody(other)


def end_body(
    body: ResponseBody, memory: Memory, reason: FinishReason, output: tuple[Item, ...], usage: Usage | None
) -> ResponseBody:
    """The response once its last token is known. `truncation` is auto where turns were left out, whoever wanted it."""
    why = INCOMPLETE_REASONS.get(reason)
    is_cut = usage is not None and usage.dropped_messages > 0
    return msgspec.structs.replace(
        body,
        status="completed" if why is None else "incomplete",
        completed_at=memory.now_s() if why is None else None,
        incomplete_details=None if why is None else IncompleteDetails(why),
        output=output,
        truncation="auto" if is_cut else body.truncation,
        usage=None if usage is None else _usage_body(usage),
    )


def fail_body(body: ResponseBody, error: GemsteadError, output: tuple[Item, ...]) -> ResponseBody:
    failure = ErrorBody(code=CODES.get(error.code, error.code), message=full_message(error))
    return msgspec.structs.replace(body, status="failed", error=failure, output=output)


def with_warnings(body: ResponseBody, warnings: tuple[Warning, ...]) -> ResponseBody:
    return msgspec.structs.replace(body, gemstead=reply_extension(warnings))


def warn_unknown_usage(usage: Usage | None, *, has_reasoning: bool) -> tuple[Warning, ...]:
    """The API has a number where an engine may say nothing: then it is 0, and said to be unknown."""
    if usage is None:
        return ()
    unknown = [
        *(["input_tokens_details.cached_tokens"] if usage.cached_tokens is None else []),
        *(["output_tokens_details.reasoning_tokens"] if usage.reasoning_tokens is None and has_reasoning else []),
    ]
    return tuple(
        Warning(code="usage_unknown", message=f"usage.{name} is 0 because the engine does not say", param="usage")
        for name in unknown
    )


def _usage_body(usage: Usage) -> UsageBody:
    return UsageBody(
        input_tokens=usage.prompt_tokens,
        input_tokens_details=InputDetails(usage.cached_tokens or 0),
        output_tokens=usage.completion_tokens,
        output_tokens_details=OutputDetails(usage.reasoning_tokens or 0),
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        gemstead=usage_extension(usage),
    )
