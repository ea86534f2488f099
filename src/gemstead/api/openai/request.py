"""A chat completions body, decoded: bytes in, canonical request and warnings out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from gemstead.api.dialect import Decoded
from gemstead.api.openai.fields import REASONING_BUDGET_TOKENS, apply_table, warn_unknown
from gemstead.api.openai.messages import ImageUrl, OpenAIMessage, canonical_messages
from gemstead.api.openai.tools import OpenAITool, OpenAIToolChoice, canonical_tool_choice, canonical_tools
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ChatRequest, ResponseFormat, Sampling, Thinking, Warning

MAX_WARNINGS = 16
"""Warnings said one by one; a body with a thousand odd fields gets these and a count."""

StopText: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
Penalty: TypeAlias = Annotated[float, msgspec.Meta(ge=-2, le=2)]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
RepeatPenalty: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=10)]
MaxTokens: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Bias: TypeAlias = Annotated[float, msgspec.Meta(ge=-100, le=100)]


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


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class TemplateKwargs(msgspec.Struct, frozen=True):
    enable_thinking: bool | None = None


class ChatCompletionRequest(msgspec.Struct, frozen=True):
    """The honoured fields only; `fields.CHAT_FIELDS` deals with the others."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    messages: Annotated[list[OpenAIMessage], msgspec.Meta(min_length=1)]
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: Annotated[dict[str, Bias], msgspec.Meta(max_length=1024)] | None = None
    max_completion_tokens: MaxTokens | None = None
    max_tokens: MaxTokens | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    safety_identifier: str | None = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: StopText | Annotated[list[StopText], msgspec.Meta(max_length=16)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    tool_choice: OpenAIToolChoice | None = None
    tools: Annotated[list[OpenAITool], msgspec.Meta(max_length=128)] | None = None
    top_p: Share | None = None
    user: str | None = None
    chat_template_kwargs: TemplateKwargs | None = None
    min_p: Share | None = None
    repeat_penalty: RepeatPenalty | None = None
    repetition_penalty: RepeatPenalty | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None


def decode_chat(payload: bytes) -> Decoded:
    """Raises: RequestInvalid whose `param` is the field's path, such as `messages[2].content[0].text`."""
    body = _decode_json(payload)
    warnings = list(apply_table(body))
    try:
        asked = msgspec.convert(body, ChatCompletionRequest)
    except msgspec.ValidationError as exc:
        raise _explain(exc) from exc
    warnings += _warn_inside(body, asked)
    tools = canonical_tools(asked.tools or [])
    tool_choice, tools = canonical_tool_choice(asked.tool_choice, tools)
    request = ChatRequest(
        model=asked.model,
        messages=canonical_messages(asked.messages),
        tools=tools,
        tool_choice=tool_choice,
        response_format=_response_format(asked),
        sampling=_sampling(asked),
        thinking=_thinking(asked),
        has_parallel_tool_calls=asked.parallel_tool_calls is not False,
        is_stream=bool(asked.stream),
        user=asked.user or asked.safety_identifier,
        raw=_raw(asked),
    )
    return Decoded(request, _bounded(warnings))


def _decode_json(payload: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(payload)
    except RecursionError as exc:
        raise RequestInvalid("the body is nested too deep") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise RequestInvalid("the body is not valid JSON", why=str(exc)) from exc
    if not isinstance(body, dict):
        raise RequestInvalid("the body is not a JSON object", hint='{"model": ..., "messages": [...]}')
    return body


def _explain(error: msgspec.ValidationError) -> RequestInvalid:
    """The validator's own sentence, `<what> - at `$.<path>``, taken apart."""
    what, _, place = str(error).partition(" - at `$")
    path = place.rstrip("`").removeprefix(".")
    missing = what.removeprefix("Object missing required field `")
    if missing != what:
        name = missing.rstrip("`")
        path = f"{path}.{name}" if path else name
        return RequestInvalid(f"{path} is missing", param=path)
    return RequestInvalid(f"{path or 'body'}: {what[:1].lower()}{what[1:]}", param=path or None)


def _warn_inside(body: dict[str, Any], asked: ChatCompletionRequest) -> Iterator[Warning]:
    """Warnings for what is below the top level: `apply_table` has dealt with the top."""
    yield from _warn_unknown_below(body, asked, "")
    if asked.stream_options is not None and asked.stream_options.include_obfuscation:
        message = "stream_options.include_obfuscation is ignored: chunks are not padded"
        yield Warning(code="field_ignored", message=message, param="stream_options.include_obfuscation")
    if isinstance(asked.response_format, JsonSchemaFormat) and asked.response_format.json_schema.description:
        path = "response_format.json_schema.description"
        yield Warning(code="field_ignored", message=f"{path} is ignored: say it in the prompt", param=path)


def _warn_unknown_below(given: dict[str, Any], taken: msgspec.Struct, prefix: str) -> Iterator[Warning]:
    """The structs and lists of structs inside `taken`, each beside the JSON it was made of."""
    for name, value in given.items():
        if type(value) is dict:
            if isinstance(inner := getattr(taken, name, None), msgspec.Struct):
                yield from _warn_unknown(value, inner, prefix + name)
        elif type(value) is list and isinstance(items := getattr(taken, name, None), list):
            for index, (item, inner) in enumerate(zip(value, items, strict=True)):
                if isinstance(inner, msgspec.Struct):
                    yield from _warn_unknown(item, inner, f"{prefix}{name}[{index}]")


def _warn_unknown(given: dict[str, Any], taken: msgspec.Struct, path: str) -> Iterator[Warning]:
    """One warning per key that the struct has no field for, here and below."""
    known, tag_field = taken.__struct_encode_fields__, taken.__struct_config__.tag_field
    for name in given:
        if name not in known and name != tag_field:
            yield warn_unknown(f"{path}.{name}")
    yield from _warn_unknown_below(given, taken, f"{path}.")
    if isinstance(taken, ImageUrl) and taken.detail not in (None, "auto"):
        message = f"{path}.detail is ignored: the engine chooses how many tokens a picture gets"
        yield Warning(code="field_ignored", message=message, param=f"{path}.detail")


def _bounded(warnings: list[Warning]) -> tuple[Warning, ...]:
    if len(warnings) <= MAX_WARNINGS:
        return tuple(warnings)
    rest = len(warnings) - MAX_WARNINGS
    return (*warnings[:MAX_WARNINGS], Warning(code="more_warnings", message=f"and {rest} more fields were ignored"))


def _sampling(asked: ChatCompletionRequest) -> Sampling:
    return Sampling(
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        min_p=asked.min_p,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        repeat_penalty=_same("repeat_penalty", asked.repeat_penalty, "repetition_penalty", asked.repetition_penalty),
        seed=asked.seed,
        stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
        max_tokens=_same("max_completion_tokens", asked.max_completion_tokens, "max_tokens", asked.max_tokens),
        logit_bias=_logit_bias(asked.logit_bias or {}),
    )


def _same(name: str, value: Any, other_name: str, other: Any) -> Any:
    """Two names of one thing: one may be given, or both alike."""
    if value is not None and other is not None and value != other:
        raise RequestInvalid(f"{name} and {other_name} contradict each other", param=other_name, hint=f"send {name}")
    return other if value is None else value


def _logit_bias(biases: dict[str, float]) -> dict[int, float]:
    for token in biases:
        if not (token.isascii() and token.isdigit() and len(token) <= 9):
            raise RequestInvalid(f"{token[:40]!r} is not a token id", param="logit_bias")
    return {int(token): bias for token, bias in biases.items()}


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


def _raw(asked: ChatCompletionRequest) -> dict[str, Any]:
    """What only this dialect's encoder reads back."""
    if asked.stream_options is None:
        return {}
    if not asked.stream:
        raise RequestInvalid("stream_options needs stream", param="stream_options", hint='set "stream": true')
    return {"include_usage": bool(asked.stream_options.include_usage)}
