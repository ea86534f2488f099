"""Items as canonical messages: what an assistant thought, said and called in one turn is one message."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gemstead.api.media import decode_audio, decode_image
from gemstead.api.openai.responses.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    InputText,
    Item,
    MessageContent,
    MessageItem,
    OutputText,
    ReasoningItem,
    Refusal,
)
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Message, Part, TextPart, ToolCall


def canonical_turns(items: Iterable[tuple[str, Item]]) -> tuple[Message, ...]:
    """`items` come with the path that names each in an error.

    Raises: RequestInvalid naming the item, for media that cannot be taken and outputs of calls nobody made.
    """
    messages: list[Message] = []
    called: set[str] = set()
    for path, item in items:
        match item:
            case MessageItem():
                _add_message(messages, item, path)
            case ReasoningItem() if item.text:
                messages.append(Message("assistant", reasoning=item.text))
            case FunctionCallItem():
                called.add(item.call_id)
                _add_call(messages, item)
            case FunctionCallOutputItem():
                if item.call_id not in called:
                    raise RequestInvalid(
                        f"no earlier item is a function call {item.call_id[:100]!r}", param=f"{path}.call_id"
                    )
                messages.append(Message("tool", _parts(item.output, f"{path}.output"), tool_call_id=item.call_id))
    return tuple(messages)


def _add_message(messages: list[Message], item: MessageItem, path: str) -> None:
    content = _parts(item.content, f"{path}.content")
    if item.role != "assistant":
        role = "system" if item.role == "developer" else item.role
        if role == "system" and any(not isinstance(part, TextPart) for part in content):
            raise RequestInvalid(f"messages of role {item.role} are text only", param=f"{path}.content")
        messages.append(Message(role, content))
    elif (thought := _open_turn(messages)) is not None and not thought.content and not thought.tool_calls:
        messages[-1] = msgspec.structs.replace(thought, content=content)
    else:
        messages.append(Message("assistant", content))


def _add_call(messages: list[Message], item: FunctionCallItem) -> None:
    call = ToolCall(id=item.call_id, name=item.name, arguments=item.arguments)
    if (turn := _open_turn(messages)) is not None:
        messages[-1] = msgspec.structs.replace(turn, tool_calls=(*turn.tool_calls, call))
    else:
        messages.append(Message("assistant", tool_calls=(call,)))


def _open_turn(messages: list[Message]) -> Message | None:
    return messages[-1] if messages and messages[-1].role == "assistant" else None


def _parts(content: str | tuple[MessageContent, ...], path: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple(_part(part, f"{path}[{index}]") for index, part in enumerate(content))


def _part(part: MessageContent, path: str) -> Part:
    match part:
        case InputText() | OutputText():
            return TextPart(part.text)
        case Refusal():
            return TextPart(part.refusal)
        case InputImage():
            return _image(part, path)
        case InputAudio():
            return decode_audio(part.input_audio.data, part.input_audio.format, f"{path}.input_audio")


def _image(part: InputImage, path: str) -> Part:
    if part.image_url is None:
        raise RequestInvalid(
            "a picture without image_url is not taken",
            param=f"{path}.file_id" if part.file_id else f"{path}.image_url",
            why="files are not stored here",
            hint="send the picture itself: data:image/png;base64,...",
        )
    return decode_image(part.image_url, f"{path}.image_url", part.detail)
