"""The bodies of /api/chat and /api/generate, decoded: bytes in, canonical request and warnings out."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from gemstead.api.body import apply_fields, bounded, decode_json, take_fields, warn_unknown_below
from gemstead.api.dialect import Decoded
from gemstead.api.ollama.durations import keep_alive_s
from gemstead.api.ollama.fields import CHAT_FIELDS, GENERATE_FIELDS, THINK_BUDGET_TOKENS
from gemstead.api.ollama.messages import (
    Images,
    OllamaMessage,
    OllamaTool,
    canonical_messages,
    canonical_tools,
    content_parts,
)
from gemstead.api.ollama.options import option_warnings, sampling_of, take_options
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ChatRequest, ContextPolicy, Message, ResponseFormat, TextPart, Thinking

Think: TypeAlias = bool | Literal["low", "medium", "high", "max"]
ModelText: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class _Common(msgspec.Struct, frozen=True, kw_only=True):
    """What chat and generate share; the honoured fields only."""

    model: ModelText
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    options: dict[str, Any] | None = None
    keep_alive: float | str | None = None
    think: Think | None = None
    truncate: bool | None = None


class OllamaChatRequest(_Common, frozen=True, kw_only=True):
    messages: list[OllamaMessage] | None = None
    tools: Annotated[list[OllamaTool], msgspec.Meta(max_length=128)] | None = None


class OllamaGenerateRequest(_Common, frozen=True, kw_only=True):
    prompt: str | None = None
    system: str | None = None
    images: Images | None = None
    raw: bool | None = None


def decode_chat(payload: bytes) -> Decoded:
    """Raises: RequestInvalid whose `param` is the field's path, such as `messages[2].images[0]`."""
    body = decode_json(payload, example='{"model": ..., "messages": [...]}')
    warnings = list(apply_fields(body, CHAT_FIELDS))
    asked = take_fields(body, OllamaChatRequest)
    warnings += [*warn_unknown_below(body, asked), *option_warnings(asked.options or {})]
    request = msgspec.structs.replace(
        _common(asked), messages=canonical_messages(asked.messages or []), tools=canonical_tools(asked.tools or [])
    )
    return Decoded(request, bounded(warnings))


def decode_generate(payload: bytes) -> Decoded:
    """Raises: as `decode_chat`."""
    body = decode_json(payload, example='{"model": ..., "prompt": ...}')
    warnings = list(apply_fields(body, GENERATE_FIELDS))
    asked = take_fields(body, OllamaGenerateRequest)
    warnings += option_warnings(asked.options or {})
    request = _common(asked)
    if asked.raw and asked.prompt:
        _check_raw(asked)
        request = msgspec.structs.replace(request, prompt=asked.prompt)
    elif asked.prompt or asked.images:
        request = msgspec.structs.replace(request, messages=_conversation(asked))
    return Decoded(request, bounded(warnings))


def _common(asked: _Common) -> ChatRequest:
    options = take_options(asked.options or {})
    return ChatRequest(
        model=asked.model,
        messages=(),
        response_format=_response_format(asked.format),
        sampling=sampling_of(options),
        thinking=_thinking(asked.think),
        is_stream=asked.stream is not False,
        context_policy=_context_policy(asked.truncate),
        keep_alive_s=keep_alive_s(asked.keep_alive),
        wanted_context=options.num_ctx,
    )


def _conversation(asked: OllamaGenerateRequest) -> tuple[Message, ...]:
    user = Message("user", content_parts(asked.prompt, asked.images, ""))
    return (Message("system", (TextPart(asked.system),)), user) if asked.system else (user,)


def _check_raw(asked: OllamaGenerateRequest) -> None:
    """Raises: RequestInvalid for what only a template could put into a prompt."""
    for name in ("system", "images", "think"):
        if getattr(asked, name):
            raise RequestInvalid(
                f"{name} does not go with raw", param=name, why="a raw prompt is continued as it stands"
            )


def _response_format(value: str | dict[str, Any] | None) -> ResponseFormat:
    if isinstance(value, dict):
        return ResponseFormat("json_schema", schema=value)
    if not value:
        return ResponseFormat()
    if value != "json":
        raise RequestInvalid(f"format {value[:40]!r} is not known", param="format", hint='use "json" or a JSON schema')
    return ResponseFormat("json_object")


def _thinking(value: Think | None) -> Thinking:
    """Off unless asked for: the models here answer at once."""
    if isinstance(value, str):
        return Thinking(is_on=True, budget_tokens=THINK_BUDGET_TOKENS[value])
    return Thinking(is_on=bool(value))


def _context_policy(truncate: bool | None) -> ContextPolicy | None:
    if truncate is None:
        return None
    return "drop_oldest" if truncate else "refuse"
