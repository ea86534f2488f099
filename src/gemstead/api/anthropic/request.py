"""A Messages body, decoded: bytes in, canonical request and warnings out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from gemstead.api.anthropic.blocks import (
    DocumentBlock,
    ImageBlock,
    RedactedThinkingBlock,
    SearchResultBlock,
    TextBlock,
)
from gemstead.api.anthropic.fields import ALL_FIELDS, EFFORT_BUDGET_TOKENS
from gemstead.api.anthropic.messages import AnthropicMessage, canonical_messages, every_block
from gemstead.api.anthropic.tools import (
    AnthropicToolChoice,
    CustomTool,
    canonical_tool_choice,
    canonical_tools,
    is_parallel,
    refuse_vendor_tools,
)
from gemstead.api.body import apply_fields, bounded, decode_json, take_fields, warn_ignored, warn_unknown_below
from gemstead.api.dialect import Decoded
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ChatRequest, ResponseFormat, Sampling, Thinking, Warning

MIN_BUDGET_TOKENS = 1024
"""The least thinking the API takes an order for."""

StopText: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Display: TypeAlias = Literal["summarized", "omitted"]


class ThinkingEnabled(msgspec.Struct, frozen=True, tag="enabled"):
    budget_tokens: Annotated[int, msgspec.Meta(ge=MIN_BUDGET_TOKENS, le=2**31 - 1)]
    display: Display | None = None


class ThinkingAdaptive(msgspec.Struct, frozen=True, tag="adaptive"):
    display: Display | None = None


class ThinkingDisabled(msgspec.Struct, frozen=True, tag="disabled"):
    pass


class JsonFormat(msgspec.Struct, frozen=True, tag_field="type", tag="json_schema"):
    schema: dict[str, Any]


class OutputConfig(msgspec.Struct, frozen=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonFormat | None = None


class Metadata(msgspec.Struct, frozen=True):
    user_id: str | None = None


class CountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The honoured fields that shape a prompt; `fields.ALL_FIELDS` deals with the others."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    messages: Annotated[list[AnthropicMessage], msgspec.Meta(min_length=1, max_length=100_000)]
    output_config: OutputConfig | None = None
    output_format: JsonFormat | None = None
    system: str | list[TextBlock] | None = None
    thinking: ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | None = None
    tool_choice: AnthropicToolChoice | None = None
    tools: Annotated[list[CustomTool], msgspec.Meta(max_length=128)] | None = None


class MessagesRequest(CountRequest, frozen=True, kw_only=True):
    max_tokens: Count
    metadata: Metadata | None = None
    stop_sequences: Annotated[list[StopText], msgspec.Meta(max_length=64)] | None = None
    stream: bool | None = None
    temperature: Share | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    top_p: Share | None = None


def decode_messages(payload: bytes) -> Decoded:
    """Raises: RequestInvalid whose `param` is the field's path, such as `messages[2].content[0].text`."""
    body, warnings = _open(payload)
    asked = take_fields(body, MessagesRequest)
    _check_budget(asked)
    request = msgspec.structs.replace(
        _prompt(asked),
        sampling=Sampling(
            temperature=asked.temperature,
            top_p=asked.top_p,
            top_k=asked.top_k,
            stop=tuple(asked.stop_sequences or ()),
            max_tokens=asked.max_tokens,
        ),
        is_stream=bool(asked.stream),
        user=asked.metadata.user_id if asked.metadata is not None else None,
        raw=_raw(asked),
    )
    return Decoded(request, bounded([*warnings, *_warn_inside(body, asked)]))


def decode_count(payload: bytes) -> Decoded:
    """A body to be counted: as one to be answered, and `max_tokens` need not be in it. Raises: as `decode_messages`."""
    body, warnings = _open(payload)
    asked = take_fields(body, CountRequest)
    return Decoded(_prompt(asked), bounded([*warnings, *_warn_inside(body, asked)]))


def _open(payload: bytes) -> tuple[dict[str, Any], list[Warning]]:
    body = decode_json(payload, example='{"model": ..., "max_tokens": ..., "messages": [...]}')
    warnings = list(apply_fields(body, ALL_FIELDS))
    refuse_vendor_tools(body.get("tools"))
    return body, warnings


def _prompt(asked: CountRequest) -> ChatRequest:
    """What the model is shown, and how it is asked."""
    tools = canonical_tools(asked.tools or [])
    thinking = _thinking(asked)
    return ChatRequest(
        model=asked.model,
        messages=canonical_messages(asked.system, asked.messages, is_thinking=thinking.is_on),
        tools=tools,
        tool_choice=canonical_tool_choice(asked.tool_choice, tools),
        response_format=_response_format(asked),
        thinking=thinking,
        has_parallel_tool_calls=is_parallel(asked.tool_choice),
    )


def _thinking(asked: CountRequest) -> Thinking:
    """Off unless asked for. Where it is adaptive, the effort says how long it may take."""
    match asked.thinking:
        case ThinkingEnabled(budget_tokens=budget_tokens):
            return Thinking(is_on=True, budget_tokens=budget_tokens)
        case ThinkingAdaptive():
            effort = asked.output_config.effort if asked.output_config is not None else None
            return Thinking(is_on=True, budget_tokens=EFFORT_BUDGET_TOKENS[effort] if effort else None)
        case _:
            return Thinking()


def _check_budget(asked: MessagesRequest) -> None:
    if isinstance(asked.thinking, ThinkingEnabled) and asked.thinking.budget_tokens >= asked.max_tokens:
        raise RequestInvalid(
            f"thinking.budget_tokens is {asked.thinking.budget_tokens} and max_tokens {asked.max_tokens}",
            param="thinking.budget_tokens",
            why="thinking is part of max_tokens",
            hint="send a larger max_tokens",
        )


def _response_format(asked: CountRequest) -> ResponseFormat:
    new = asked.output_config.format if asked.output_config is not None else None
    old = asked.output_format
    if new is not None and old is not None and new != old:
        raise RequestInvalid(
            "output_config.format and output_format contradict each other",
            param="output_format",
            hint="send output_config.format",
        )
    wanted = new or old
    return ResponseFormat() if wanted is None else ResponseFormat("json_schema", schema=wanted.schema)


def _raw(asked: MessagesRequest) -> dict[str, Any]:
    """What only this dialect's encoder reads back."""
    is_omitted = isinstance(asked.thinking, ThinkingEnabled | ThinkingAdaptive) and asked.thinking.display == "omitted"
    return {"omits_thinking": True} if is_omitted else {}


def _warn_inside(body: dict[str, Any], asked: CountRequest) -> Iterator[Warning]:
    """Warnings for what is below the top level: the table has dealt with the top."""
    yield from warn_unknown_below(body, asked)
    places = dict(_unused(asked))
    for field, path in places.items():
        yield warn_ignored(path, UNUSED[field])
    if (
        asked.output_config is not None
        and asked.output_config.effort
        and not isinstance(asked.thinking, ThinkingAdaptive)
    ):
        yield warn_ignored("output_config.effort", "it is for adaptive thinking")


UNUSED = {
    "cache_control": "the engine finds a common prefix by itself",
    "citations": "replies cite nothing",
    "transformations": "the engine chooses how a picture is scaled",
    "input_examples": "say them in the description",
    "defer_loading": "all tools are shown to the model",
    "redacted_thinking": "nobody here can read it",
}
"""What may be asked for below the top level and is not done, once a request however often it is asked."""


def _unused(asked: CountRequest) -> Iterator[tuple[str, str]]:
    """(what, path), the last of each."""
    texts = asked.system if isinstance(asked.system, list) else []
    tools = [(f"tools[{index}]", tool) for index, tool in enumerate(asked.tools or ())]
    blocks = [(f"system[{index}]", block) for index, block in enumerate(texts)]
    for path, holder in [*blocks, *every_block(asked.messages), *tools]:
        if getattr(holder, "cache_control", None) is not None:
            yield "cache_control", f"{path}.cache_control"
        match holder:
            case DocumentBlock(citations=citations) | SearchResultBlock(citations=citations) if (
                citations is not None and citations.enabled
            ):
                yield "citations", f"{path}.citations"
            case ImageBlock(transformations=transformations) if transformations:
                yield "transformations", f"{path}.transformations"
            case RedactedThinkingBlock():
                yield "redacted_thinking", path
            case CustomTool():
                if holder.input_examples:
                    yield "input_examples", f"{path}.input_examples"
                if holder.defer_loading:
                    yield "defer_loading", f"{path}.defer_loading"
