"""The messages of a chat request as OpenAI writes them, and as canonical messages."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from gemstead.api.media import decode_audio, decode_image
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Message, Part, TextPart, ToolCall


class TextContent(msgspec.Struct, frozen=True, tag="text"):
    text: str


class RefusalContent(msgspec.Struct, frozen=True, tag="refusal"):
    refusal: str


class ImageUrl(msgspec.Struct, frozen=True):
    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImageContent(msgspec.Struct, frozen=True, tag="image_url"):
    image_url: ImageUrl


class InputAudio(msgspec.Struct, frozen=True):
    data: str
    format: str


class AudioContent(msgspec.Struct, frozen=True, tag="input_audio"):
    input_audio: InputAudio


UserContent: TypeAlias = TextContent | ImageContent | AudioContent
AssistantContent: TypeAlias = TextContent | RefusalContent


class CalledFunction(msgspec.Struct, frozen=True):
    name: str
    arguments: str


class FunctionCall(msgspec.Struct, frozen=True, tag="function"):
    id: str
    function: CalledFunction


class SystemMessage(msgspec.Struct, frozen=True, tag_field="role", tag="system"):
    content: str | list[TextContent]
    name: str | None = None


class DeveloperMessage(msgspec.Struct, frozen=True, tag_field="role", tag="developer"):
    content: str | list[TextContent]
    name: str | None = None


class UserMessage(msgspec.Struct, frozen=True, tag_field="role", tag="user"):
    content: str | list[UserContent]
    name: str | None = None


class AssistantMessage(msgspec.Struct, frozen=True, tag_field="role", tag="assistant"):
    """`reasoning_content` (or `reasoning`) gives back what the model thought; `annotations` come back with a reply."""

    content: str | list[AssistantContent] | None = None
    refusal: str | None = None
    tool_calls: list[FunctionCall] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    name: str | None = None
    annotations: list[Any] | None = None
    audio: dict[str, Any] | None = None
    function_call: dict[str, Any] | None = None


class ToolMessage(msgspec.Struct, frozen=True, tag_field="role", tag="tool"):
    content: str | list[TextContent]
    tool_call_id: str
    name: str | None = None


OpenAIMessage: TypeAlias = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


def canonical_messages(messages: list[OpenAIMessage]) -> tuple[Message, ...]:
    """Raises: RequestInvalid naming the message, for media that cannot be taken and tool results nobody asked for."""
    called: set[str] = set()
    result = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if isinstance(message, AssistantMessage):
            _refuse_superseded(message, path)
            called.update(call.id for call in message.tool_calls or ())
        elif isinstance(message, ToolMessage) and message.tool_call_id not in called:
            raise RequestInvalid(
                f"no earlier assistant message has a tool call {message.tool_call_id!r}", param=f"{path}.tool_call_id"
            )
        result.append(_canonical(message, path))
    return tuple(result)


def _canonical(message: OpenAIMessage, path: str) -> Message:
    match message:
        case SystemMessage() | DeveloperMessage():
            return Message("system", _parts(message.content, path), name=message.name)
        case UserMessage():
            return Message("user", _parts(message.content, path), name=message.name)
        case ToolMessage():
            content = _parts(message.content, path)
            return Message("tool", content, tool_call_id=message.tool_call_id, name=message.name)
        case AssistantMessage():
            content = _parts(message.content, path)
            refusal = (TextPart(message.refusal),) if message.refusal else ()
            calls = tuple(
                ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
                for call in message.tool_calls or ()
            )
            reasoning = message.reasoning_content or message.reasoning
            return Message("assistant", content + refusal, tool_calls=calls, name=message.name, reasoning=reasoning)


def _refuse_superseded(message: AssistantMessage, path: str) -> None:
    if message.function_call is not None:
        raise RequestInvalid(
            "function_call is not supported", param=f"{path}.function_call", hint="send the call in tool_calls"
        )
    if message.audio is not None:
        raise RequestInvalid("audio replies are not supported", param=f"{path}.audio", hint="send the text in content")


def _parts(content: str | list[Any] | None, path: str) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple(_part(part, f"{path}.content[{index}]") for index, part in enumerate(content))


def _part(part: UserContent | AssistantContent, path: str) -> Part:
    match part:
        case TextContent():
            return TextPart(part.text)
        case RefusalContent():
            return TextPart(part.refusal)
        case ImageContent():
            return decode_image(part.image_url.url, f"{path}.image_url.url", part.image_url.detail)
        case AudioContent():
            return decode_audio(part.input_audio.data, part.input_audio.format, f"{path}.input_audio")
