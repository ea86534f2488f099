"""The turns of a request as Anthropic writes them, and as canonical messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from gemstead.api.anthropic.blocks import (
    AnyBlock,
    AssistantBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    UserBlock,
    parts_of,
)
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Message, Part, TextPart, ToolCall

TURN_BREAK = TextPart("\n\n")
"""Between two turns of one role that become one."""


class UserMessage(msgspec.Struct, frozen=True, tag_field="role", tag="user"):
    content: str | list[UserBlock]


class AssistantMessage(msgspec.Struct, frozen=True, tag_field="role", tag="assistant"):
    content: str | list[AssistantBlock]


class SystemMessage(msgspec.Struct, frozen=True, tag_field="role", tag="system"):
    content: str | list[TextBlock]


AnthropicMessage: TypeAlias = UserMessage | AssistantMessage | SystemMessage


def canonical_messages(
    system: str | list[TextBlock] | None, messages: list[AnthropicMessage], *, is_thinking: bool
) -> tuple[Message, ...]:
    """Raises: RequestInvalid naming the block, for media that cannot be taken, results nobody asked for, and a last
    turn that cannot be continued.
    """
    called: set[str] = set()
    result: list[Message] = [Message("system", _texts(system))] if system else []
    for index, message in enumerate(messages):
        for turn in _turns(message, f"messages[{index}].content", called):
            _append(result, turn)
    if result[-1].role == "assistant":
        _check_continuable(result[-1], f"messages[{len(messages) - 1}]", is_thinking=is_thinking)
    return tuple(result)


def every_block(messages: list[AnthropicMessage]) -> Iterator[tuple[str, AnyBlock]]:
    """Each block with its path, those inside tool results too."""
    for index, message in enumerate(messages):
        yield from _blocks(message.content, f"messages[{index}].content")


def _blocks(content: Any, path: str) -> Iterator[tuple[str, AnyBlock]]:
    if not isinstance(content, list):
        return
    for index, block in enumerate(content):
        place = f"{path}[{index}]"
        yield place, block
        if isinstance(block, ToolResultBlock):
            yield from _blocks(block.content, f"{place}.content")


def _turns(message: AnthropicMessage, path: str, called: set[str]) -> Iterator[Message]:
    """Results come before what the user says with them: they belong to the calls of the turn before."""
    match message:
        case SystemMessage(content=content):
            yield Message("system", _texts(content))
        case AssistantMessage(content=content):
            turn = _assistant(content)
            called.update(call.id for call in turn.tool_calls)
            yield turn
        case UserMessage(content=str(text)):
            yield Message("user", (TextPart(text),))
        case UserMessage(content=list(blocks)):
            said: list[Part] = []
            for index, block in enumerate(blocks):
                place = f"{path}[{index}]"
                if isinstance(block, ToolResultBlock):
                    yield _result(block, place, called)
                else:
                    said += parts_of(block, place)
            if said or not blocks:
                yield Message("user", tuple(said))


def _assistant(content: str | list[AssistantBlock]) -> Message:
    if isinstance(content, str):
        return Message("assistant", (TextPart(content),))
    thoughts = [block.thinking for block in content if isinstance(block, ThinkingBlock) and block.thinking]
    return Message(
        "assistant",
        tuple(TextPart(block.text) for block in content if isinstance(block, TextBlock)),
        tool_calls=tuple(
            ToolCall(block.id, block.name, msgspec.json.encode(block.input).decode())
            for block in content
            if isinstance(block, ToolUseBlock)
        ),
        reasoning="\n\n".join(thoughts) or None,
    )


def _result(block: ToolResultBlock, path: str, called: set[str]) -> Message:
    if block.tool_use_id not in called:
        raise RequestInvalid(
            f"no earlier assistant turn has a tool_use {block.tool_use_id[:128]!r}", param=f"{path}.tool_use_id"
        )
    failed: tuple[Part, ...] = (TextPart("Error: "),) if block.is_error else ()
    if isinstance(block.content, str):
        parts: tuple[Part, ...] = (TextPart(block.content),)
    else:
        inner = enumerate(block.content or ())
        parts = tuple(part for index, item in inner for part in parts_of(item, f"{path}.content[{index}]"))
    return Message("tool", failed + parts, tool_call_id=block.tool_use_id)


def _append(result: list[Message], turn: Message) -> None:
    """Turns of one role in a row are one, as the API has it."""
    last = result[-1] if result else None
    if last is None or last.role != turn.role or turn.role not in ("user", "assistant"):
        result.append(turn)
        return
    gap = (TURN_BREAK,) if last.content and turn.content else ()
    thoughts = [thought for thought in (last.reasoning, turn.reasoning) if thought]
    result[-1] = Message(
        turn.role,
        last.content + gap + turn.content,
        tool_calls=last.tool_calls + turn.tool_calls,
        reasoning="\n\n".join(thoughts) or None,
    )


def _check_continuable(last: Message, path: str, *, is_thinking: bool) -> None:
    if last.tool_calls:
        raise RequestInvalid(
            "the last turn calls tools and has no results", param=path, hint="add a user turn with their tool_result"
        )
    if is_thinking:
        raise RequestInvalid(
            "a last assistant turn cannot be continued with thinking on", param=path, hint="leave thinking out"
        )


def _texts(content: str | list[TextBlock]) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple(TextPart(block.text) for block in content)
