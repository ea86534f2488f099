"""A chat completions body, decoded: bytes in, canonical request and warnings out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from gemstead.api.body import apply_fields, bounded, decode_json, take_fields, warn_ignored, warn_unknown_below
from gemstead.api.context_policy import read_policy
from gemstead.api.dialect import Decoded
from gemstead.api.openai.fields import ALL_FIELDS, REASONING_BUDGET_TOKENS
from gemstead.api.openai.messages import OpenAIMessage, canonical_messages
from gemstead.api.openai.sampling import (
    GenerationFields,
    MaxTokens,
    canonical_sampling,
    merged,
    stream_raw,
    warn_stream_options,
)
from gemstead.api.openai.tools import OpenAITool, OpenAIToolChoice, canonical_tool_choice, canonical_tools
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ChatRequest, ContextPolicy, ResponseFormat, Thinking, Warning


class TextFormat(msgspec.Struct, frozen=True, tag="text"):
    pass


class JsonObjectFormat(msgspec.Struct, frozen=True, tag="json_object"):
    pass


class JsonSchema(msgspec.Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    schema: dict[str, Any] = {}
    description: str | None = None
    strict: bool | None = None


class JsonSchemaFormat(msgspec.Struct, frozen=True, tag="json_schema"):
    json_schema: JsonSchema


class TemplateKwargs(msgspec.Struct, frozen=True):
    enable_thinking: bool | None = None


class GemsteadOptions(msgspec.Struct, frozen=True):
    context_policy: str | None = None


class ChatCompletionRequest(GenerationFields, frozen=True, kw_only=True):
    """The honoured fields only; `fields.CHAT_FIELDS` deals with the others."""

    messages: Annotated[list[OpenAIMessage], msgspec.Meta(min_length=1)]
    max_completion_tokens: MaxTokens | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    safety_identifier: str | None = None
    tool_choice: OpenAIToolChoice | None = None
    tools: Annotated[list[OpenAITool], msgspec.Meta(max_length=128)] | None = None
    chat_template_kwargs: TemplateKwargs | None = None
    gemstead: GemsteadOptions | None = None


def decode_chat(payload: bytes) -> Decoded:
    """Raises: RequestInvalid whose `param` is the field's path, such as `messages[2].content[0].text`."""
    body = decode_json(payload, example='{"model": ..., "messages": [...]}')
    warnings = list(apply_fields(body, ALL_FIELDS))
    asked = take_fields(body, ChatCompletionRequest)
    warnings += _warn_inside(body, asked)
    tools = canonical_tools(asked.tools or [])
    tool_choice, tools = canonical_tool_choice(asked.tool_choice, tools)
    request = ChatRequest(
        model=asked.model,
        messages=canonical_messages(asked.messages),
        tools=tools,
        tool_choice=tool_choice,
        response_format=_response_format(asked),
        sampling=canonical_sampling(
            asked, merged("max_completion_tokens", asked.max_completion_tokens, "max_tokens", asked.max_tokens)
        ),
        thinking=_thinking(asked),
        has_parallel_tool_calls=asked.parallel_tool_calls is not False,
        is_stream=bool(asked.stream),
        user=asked.user or asked.safety_identifier,
        context_policy=_context_policy(asked.gemstead),
        raw=stream_raw(asked),
    )
    return Decoded(request, bounded(warnings))


def _warn_inside(body: dict[str, Any], asked: ChatCompletionRequest) -> Iterator[Warning]:
    """Warnings for what is below the top level: `apply_fields` has dealt with the top."""
    yield from warn_unknown_below(body, asked)
    yield from warn_stream_options(asked)
    if isinstance(asked.response_format, JsonSchemaFormat) and asked.response_format.json_schema.description:
        yield warn_ignored("response_format.json_schema.description", "say it in the prompt")


def _context_policy(options: GemsteadOptions | None) -> ContextPolicy | None:
    if options is None or options.context_policy is None:
        return None
    return read_policy(options.context_policy, "gemstead.context_policy")


def _thinking(asked: ChatCompletionRequest) -> Thinking:
    """Off unless asked for: the API's own models think by default, the ones here answer at once."""
    template = asked.chat_template_kwargs
    is_enabled = template.enable_thinking if template is not None else None
    effort = asked.reasoning_effort
    if effort is None:
        return Thinking(is_on=bool(is_enabled))
    if is_enabled is not None and is_enabled != (effort != "none"):
        raise RequestInvalid(
            f"reasoning_effort {effort!r} and chat_template_kwargs.enable_thinking contradict each other",
            param="reasoning_effort",
        )
    return Thinking(is_on=effort != "none", budget_tokens=REASONING_BUDGET_TOKENS.get(effort))


def _response_format(asked: ChatCompletionRequest) -> ResponseFormat:
    match asked.response_format:
        case JsonObjectFormat():
            return ResponseFormat("json_object")
        case JsonSchemaFormat(json_schema=json_schema):
            return ResponseFormat("json_schema", schema=json_schema.schema, name=json_schema.name)
        case _:
            return ResponseFormat()
