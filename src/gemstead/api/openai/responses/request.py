"""A Responses body, decoded: bytes and what is kept in, canonical request and warnings out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from gemstead.api.body import apply_fields, bounded, decode_json, take_fields, warn_ignored, warn_unknown_below
from gemstead.api.conversations import KeptResponse, Memory
from gemstead.api.dialect import Decoded
from gemstead.api.errors import PreviousResponseUnknown, ResponseUnknown
from gemstead.api.openai.fields import REASONING_BUDGET_TOKENS
from gemstead.api.openai.request import JsonObjectFormat, TextFormat
from gemstead.api.openai.responses.fields import ALL_RESPONSES_FIELDS
from gemstead.api.openai.responses.items import (
    InputItem,
    InputText,
    Item,
    ItemReference,
    MessageItem,
    ReasoningItem,
    response_id_of,
    with_types,
)
from gemstead.api.openai.responses.tools import (
    FunctionChoice,
    FunctionTool,
    canonical_choice,
    canonical_functions,
    refuse_other_tools,
)
from gemstead.api.openai.responses.turns import canonical_turns
from gemstead.api.openai.sampling import MaxTokens, Penalty, Share
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import (
    ChatRequest,
    ContextPolicy,
    Message,
    ResponseFormat,
    Sampling,
    TextPart,
    Thinking,
    Warning,
)

POLICIES: dict[str, ContextPolicy] = {"auto": "drop_oldest", "disabled": "refuse"}
"""By `truncation`; not given: as the operator has set it."""

EXAMPLE = '{"model": ..., "input": "..."}'

MetadataKey: TypeAlias = Annotated[str, msgspec.Meta(max_length=64)]
MetadataValue: TypeAlias = Annotated[str, msgspec.Meta(max_length=512)]


class JsonSchemaFormat(msgspec.Struct, frozen=True, kw_only=True, tag="json_schema"):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    description: str | None = None
    schema: dict[str, Any]
    strict: bool | None = None


class TextConfig(msgspec.Struct, frozen=True):
    format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningConfig(msgspec.Struct, frozen=True):
    """`generate_summary` is the older name of `summary`; `context` and `mode` change nothing and are warned about."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: str | None = None
    mode: str | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    include_obfuscation: bool | None = None


class ResponsesRequest(msgspec.Struct, frozen=True):
    """The honoured fields only; `fields.RESPONSES_FIELDS` deals with the others."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    input: str | list[InputItem] | None = None
    instructions: str | None = None
    previous_response_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    include: Annotated[list[str], msgspec.Meta(max_length=32)] | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], msgspec.Meta(max_length=16)] | None = None
    tools: Annotated[tuple[FunctionTool, ...], msgspec.Meta(max_length=128)] | None = None
    tool_choice: FunctionChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    max_output_tokens: MaxTokens | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    truncation: Literal["auto", "disabled"] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    min_p: Share | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    user: str | None = None
    safety_identifier: str | None = None


class Asked(msgspec.Struct, frozen=True):
    """What the encoder reads back of a request: the body, this turn's items, and what it went on from."""

    body: ResponsesRequest
    given: tuple[Item, ...]
    is_kept: bool
    prompt_cache_key: str | None = None
    previous: KeptResponse | None = None

    @property
    def has_summary(self) -> bool:
        """Whether thinking is to be given as a summary."""
        reasoning = self.body.reasoning
        return reasoning is not None and (reasoning.summary or reasoning.generate_summary) is not None


def decode_response(memory: Memory, payload: bytes) -> Decoded:
    """Raises: RequestInvalid whose `param` is the field's path; PreviousResponseUnknown."""
    raw = decode_json(payload, EXAMPLE)
    warnings = list(apply_fields(raw, ALL_RESPONSES_FIELDS))
    refuse_other_tools(raw.get("tools"))
    if isinstance(given := raw.get("input"), list):
        raw = raw | {"input": with_types(given)}
    body = take_fields(raw, ResponsesRequest)
    previous = _previous(memory, body.previous_response_id)
    items = tuple(_resolved(memory, body))
    if not items and previous is None:
        raise RequestInvalid("input is missing", param="input", hint=EXAMPLE)
    is_kept, not_kept = _keeping(memory, body, previous, len(payload))
    warnings += [*_warn_inside(raw, body), *not_kept]
    cache_key = raw.get("prompt_cache_key")
    asked = Asked(body, items, is_kept, cache_key if isinstance(cache_key, str) else None, previous)
    return Decoded(_canonical(asked), bounded(warnings))


def _canonical(asked: Asked) -> ChatRequest:
    body = asked.body
    tools = canonical_functions(body.tools or ())
    tool_choice, tools = canonical_choice(body.tool_choice, tools)
    return ChatRequest(
        model=body.model,
        messages=_messages(asked),
        tools=tools,
        tool_choice=tool_choice,
        response_format=_response_format(body.text),
        sampling=Sampling(
            temperature=body.temperature,
            top_p=body.top_p,
            top_k=body.top_k,
            min_p=body.min_p,
            presence_penalty=body.presence_penalty,
            frequency_penalty=body.frequency_penalty,
            seed=body.seed,
            max_tokens=body.max_output_tokens,
        ),
        thinking=_thinking(body.reasoning),
        has_parallel_tool_calls=body.parallel_tool_calls is not False,
        is_stream=bool(body.stream),
        user=body.user or body.safety_identifier,
        context_policy=POLICIES.get(body.truncation or ""),
        raw={"asked": asked},
    )


def _messages(asked: Asked) -> tuple[Message, ...]:
    """Instructions are this request's own: those of the responses before are not carried over."""
    first = (Message("system", (TextPart(asked.body.instructions),)),) if asked.body.instructions else ()
    past = asked.previous.conversation() if asked.previous else ()
    earlier = [("previous_response_id", msgspec.json.decode(item, type=Item)) for item in past]
    return first + canonical_turns([*earlier, *((f"input[{index}]", item) for index, item in enumerate(asked.given))])


def _previous(memory: Memory, response_id: str | None) -> KeptResponse | None:
    if response_id is None:
        return None
    try:
        return memory.find(response_id)
    except ResponseUnknown as exc:
        raise PreviousResponseUnknown(exc.what, param="previous_response_id", hint=exc.hint) from exc


def _resolved(memory: Memory, body: ResponsesRequest) -> Iterator[Item]:
    """This turn's items, references replaced by what they stand for."""
    if isinstance(body.input, str):
        yield MessageItem(role="user", content=(InputText(body.input),))
        return
    for index, item in enumerate(body.input or ()):
        yield _recall(memory, item.id, f"input[{index}].id") if isinstance(item, ItemReference) else item


def _recall(memory: Memory, item_id: str, path: str) -> Item:
    """Raises: ResponseUnknown if no kept response has the item."""
    missing = ResponseUnknown(f"there is no item {item_id[:100]!r}", param=path, hint="send the item itself")
    response_id = response_id_of(item_id)
    if response_id is None:
        raise missing
    try:
        response = memory.find(response_id)
    except ResponseUnknown as exc:
        raise missing from exc
    for kept in (*response.given, *response.made):
        item: Item = msgspec.json.decode(kept, type=Item)
        if item.id == item_id:
            return item
    raise missing


def _keeping(
    memory: Memory, body: ResponsesRequest, previous: KeptResponse | None, num_bytes: int
) -> tuple[bool, list[Warning]]:
    """Whether the response will be kept, and what to say if it was asked for and will not be."""
    if body.store is False:
        return False, []
    past = previous.conversation() if previous else ()
    if memory.can_keep(num_bytes + sum(len(item) for item in past)):
        return True, []
    why = "this server keeps no response, or none so large (settings: responses)"
    return False, [warn_ignored("store", why)] if body.store else []


def _response_format(text: TextConfig | None) -> ResponseFormat:
    match text.format if text is not None else None:
        case JsonObjectFormat():
            return ResponseFormat("json_object")
        case JsonSchemaFormat(name=name, schema=schema):
            return ResponseFormat("json_schema", schema=schema, name=name)
        case _:
            return ResponseFormat()


def _thinking(reasoning: ReasoningConfig | None) -> Thinking:
    """Off unless asked for: the API's own models think by default, the ones here answer at once."""
    if reasoning is None or reasoning.effort in (None, "none"):
        return Thinking()
    return Thinking(is_on=True, budget_tokens=REASONING_BUDGET_TOKENS[reasoning.effort])


def _warn_inside(raw: dict[str, Any], body: ResponsesRequest) -> Iterator[Warning]:
    """Warnings for what is below the top level: `apply_fields` has dealt with the top."""
    yield from warn_unknown_below(raw, body)
    yield from _warn_include(body.include or [])
    if body.stream_options is not None and body.stream_options.include_obfuscation:
        yield warn_ignored("stream_options.include_obfuscation", "events are not padded")
    if body.text is not None:
        yield from _warn_text(body.text)
    if body.reasoning is not None:
        yield from _warn_reasoning(body.reasoning)
    for index, item in enumerate(body.input if isinstance(body.input, list) else ()):
        if isinstance(item, ReasoningItem) and item.encrypted_content and not item.text:
            yield warn_ignored(f"input[{index}]", "its thinking is encrypted for another server")


def _warn_include(include: list[str]) -> Iterator[Warning]:
    for index, name in enumerate(include):
        path = f"include[{index}]"
        if name == "message.output_text.logprobs":
            raise RequestInvalid("log probabilities are not offered yet", param=path, hint=f"leave {name} out")
        if name == "reasoning.encrypted_content":
            yield warn_ignored(path, "thinking is not encrypted; it is the reasoning item's own content")
        elif name != "message.input_image.image_url":
            yield warn_ignored(path, f"{name[:80]} is nothing that a response here has")


def _warn_reasoning(reasoning: ReasoningConfig) -> Iterator[Warning]:
    if reasoning.summary or reasoning.generate_summary:
        message = "reasoning.summary: the thinking is given as it is, not summarised"
        yield Warning(code="field_altered", message=message, param="reasoning.summary")
    if reasoning.context not in (None, "auto"):
        yield warn_ignored("reasoning.context", "the model's template decides which earlier thinking it sees")
    if reasoning.mode not in (None, "standard"):
        yield warn_ignored("reasoning.mode", "there is one mode")


def _warn_text(text: TextConfig) -> Iterator[Warning]:
    if text.verbosity not in (None, "medium"):
        yield warn_ignored("text.verbosity", "a hint for a vendor's own models; say it in the prompt")
    if isinstance(text.format, JsonSchemaFormat) and text.format.description:
        yield warn_ignored("text.format.description", "say it in the prompt")
