"""A ChatRequest as the body of an OpenAI-style `/chat/completions` or `/completions`: what its engines share.

Source: OpenAI API reference, "Create chat completion" and "Create completion" (read 2026-11).
"""

from __future__ import annotations

import base64
from typing import Any

from gemstead.core.errors import RequestInvalid
from gemstead.core.types import (
    AudioPart,
    ChatRequest,
    ImagePart,
    Message,
    Part,
    ResponseFormat,
    Sampling,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
)

AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
"""Media types an engine of this dialect takes, and the word its `format` field has for them."""


def base_body(request: ChatRequest) -> dict[str, Any]:
    """Messages, tools, response format and sampling; always streamed, with usage at the end.

    Raises: RequestInvalid for what the dialect cannot carry. No messages are one such thing: engines answer them.
    """
    if not request.messages:
        raise RequestInvalid("there are no messages", param="messages")
    return {
        "model": request.model,
        "messages": [encode_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **_tools(request.tools, request.tool_choice, request.has_parallel_tool_calls),
        **_response_format(request.response_format),
        **_sampling(request.sampling),
    }


def prompt_body(request: ChatRequest) -> dict[str, Any]:
    """The body of `/completions`: the raw prompt and sampling; always streamed, with usage at the end."""
    return {
        "model": request.model,
        "prompt": request.prompt,
        "stream": True,
        "stream_options": {"include_usage": True},
        **_sampling(request.sampling),
    }


def encode_message(message: Message) -> dict[str, Any]:
    """One turn. Plain text stays a string, which every template takes; media make it a list of parts.

    Media travel inside the request as base64, never as a URL: an engine must not fetch what a caller names.
    """
    encoded: dict[str, Any] = {"role": message.role, "content": _content(message.content)}
    if message.tool_calls:
        encoded["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        encoded["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        encoded["name"] = message.name
    if message.reasoning is not None:
        encoded["reasoning_content"] = message.reasoning
    return encoded


def _content(parts: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    if all(isinstance(part, TextPart) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, TextPart))
    return [_part(part) for part in parts]


def _part(part: Part) -> dict[str, Any]:
    match part:
        case TextPart(text=text):
            return {"type": "text", "text": text}
        case ImagePart(content=content, media_type=media_type):
            return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{_base64(content)}"}}
        case AudioPart(content=content, media_type=media_type) if media_type in AUDIO_FORMATS:
            audio = {"data": _base64(content), "format": AUDIO_FORMATS[media_type]}
            return {"type": "input_audio", "input_audio": audio}
    raise RequestInvalid(
        f"the engine does not take {part.media_type}",
        param="messages",
        hint=f"send images, or audio as one of {', '.join(AUDIO_FORMATS)}",
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _tools(tools: tuple[Tool, ...], choice: ToolChoice, is_parallel: bool) -> dict[str, Any]:
    """A named function becomes "required" with only that tool offered: engines ignore the name, or the whole choice."""
    if not tools:
        return {}
    if choice.mode == "named":
        tools = tuple(tool for tool in tools if tool.name == choice.name)
        if not tools:
            raise RequestInvalid(f"tool_choice names {choice.name!r}, which is not offered", param="tool_choice")
    body: dict[str, Any] = {
        "tools": [_tool(tool) for tool in tools],
        "tool_choice": "required" if choice.mode == "named" else choice.mode,
    }
    # True only allows several calls: what the model's template can do stays the default.
    return body if is_parallel else {**body, "parallel_tool_calls": False}


def _tool(tool: Tool) -> dict[str, Any]:
    # Templates walk `properties`: a function without parameters still needs the empty object.
    parameters = tool.parameters or {"type": "object", "properties": {}}
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


def _response_format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.kind == "text":
        return {}
    if wanted.kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    schema = {"name": wanted.name or "answer", "schema": wanted.schema or {}, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _sampling(sampling: Sampling) -> dict[str, Any]:
    """Only what the caller set: everything else stays the model's own default."""
    fields = ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repeat_penalty")
    body: dict[str, Any] = {
        field: value for field in (*fields, "seed", "max_tokens") if (value := getattr(sampling, field)) is not None
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    return body
