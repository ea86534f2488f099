"""The messages and tools of a chat request as Ollama writes them, and as canonical ones."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from gemstead.api.ollama.media import decode_image
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Message, Part, TextPart, Tool, ToolCall

ToolName: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]
Images: TypeAlias = Annotated[list[str], msgspec.Meta(max_length=64)]


class CalledFunction(msgspec.Struct, frozen=True):
    """`index` comes back with a call and says nothing that the order of the calls does not."""

    name: str
    arguments: dict[str, Any] = {}
    index: int | None = None


class OllamaToolCall(msgspec.Struct, frozen=True):
    function: CalledFunction
    id: str | None = None
    type: Literal["function"] | None = None


class OllamaMessage(msgspec.Struct, frozen=True):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: Images | None = None
    tool_calls: Annotated[list[OllamaToolCall], msgspec.Meta(max_length=128)] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class Function(msgspec.Struct, frozen=True):
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None


class OllamaTool(msgspec.Struct, frozen=True):
    function: Function
    type: Literal["function"] | None = None


def canonical_tools(tools: list[OllamaTool]) -> tuple[Tool, ...]:
    """Raises: RequestInvalid if two tools have one name: a call could not say which it means."""
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if tool.function.name in names:
            raise RequestInvalid(f"two tools are named {tool.function.name!r}", param=f"tools[{index}].function.name")
        names.add(tool.function.name)
    return tuple(
        Tool(tool.function.name, tool.function.description or "", tool.function.parameters or {}) for tool in tools
    )


def canonical_messages(messages: list[OllamaMessage]) -> tuple[Message, ...]:
    """A call gets an id where it has none, and a tool's result the id of the call it answers.

    Raises: RequestInvalid naming the message, for media that cannot be taken and tool results nobody asked for.
    """
    waiting: list[ToolCall] = []
    num_calls = 0
    result = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        calls = tuple(
            ToolCall(call.id or f"call_{num_calls + place}", call.function.name, _json_text(call.function.arguments))
            for place, call in enumerate(message.tool_calls or ())
        )
        num_calls += len(calls)
        waiting += calls
        answered = _answered(message, waiting, path) if message.role == "tool" else None
        result.append(_canonical(message, calls, answered, path))
    return tuple(result)


def content_parts(text: str | None, images: list[str] | None, path: str) -> tuple[Part, ...]:
    """Pictures first, as Gemma reads them best. Raises: RequestInvalid."""
    prefix = f"{path}." if path else ""
    pictures = tuple(decode_image(image, f"{prefix}images[{place}]") for place, image in enumerate(images or ()))
    return (*pictures, TextPart(text)) if text else pictures


def _canonical(message: OllamaMessage, calls: tuple[ToolCall, ...], answered: ToolCall | None, path: str) -> Message:
    if message.role != "assistant" and (calls or message.thinking):
        name = "tool_calls" if calls else "thinking"
        raise RequestInvalid(f"a message of role {message.role!r} has no {name}", param=f"{path}.{name}")
    return Message(
        role=message.role,
        content=content_parts(message.content, message.images, path),
        tool_calls=calls,
        tool_call_id=answered.id if answered else None,
        name=answered.name if answered else None,
        reasoning=message.thinking or None,
    )


def _answered(message: OllamaMessage, waiting: list[ToolCall], path: str) -> ToolCall:
    """The earliest call without an answer that the message may mean; it waits no longer."""
    for place, call in enumerate(waiting):
        if message.tool_call_id not in (None, "", call.id) or message.tool_name not in (None, "", call.name):
            continue
        return waiting.pop(place)
    named = message.tool_call_id or message.tool_name
    raise RequestInvalid(
        f"no earlier assistant message waits for a result of {named!r}"
        if named
        else "no earlier tool call waits for it",
        param=f"{path}.tool_call_id" if message.tool_call_id else f"{path}.tool_name",
    )


def _json_text(arguments: dict[str, Any]) -> str:
    return msgspec.json.encode(arguments).decode()
