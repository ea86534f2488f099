"""Gemma 4's chat template: a request as the very text the model reads.

Equal, byte for byte, to what Google's template published on 2026-07-09 prints when jinja renders the request in the
OpenAI spelling with arguments as objects, `enable_thinking` from the request and `preserve_thinking` unset.

What is easily missed:
- Calls, their results and the answer after them are one turn of the model. After a trailing result no turn is opened.
- Thoughts stay only on turns after the last user message.
- Content is trimmed; in a list of parts each part is, and nothing is put between them.
- The small variants (E2B, E4B) and the large ones (12B, 26B-A4B, 31B) differ in one thing: with thinking off, the large
  ones are given an empty thought to begin with.

Source: the templates' texts as ollama/ollama keeps them for its tests (model/renderers/testdata, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from gemstead.core.errors import RequestInvalid
from gemstead.core.facts import TemplateName
from gemstead.core.types import AudioPart, ChatRequest, ImagePart, Message, Part, TextPart, Tool, ToolCall, VideoPart
from gemstead.gemma.template_tools import declaration
from gemstead.gemma.template_values import braced, by_key, quoted, value_text
from gemstead.gemma.tokens import (
    AUDIO,
    BOS,
    CHANNEL_CLOSE,
    CHANNEL_OPEN,
    IMAGE,
    THINK,
    THOUGHT_OPEN,
    TOOL_CALL_CLOSE,
    TOOL_CALL_OPEN,
    TOOL_CLOSE,
    TOOL_OPEN,
    TOOL_RESPONSE_CLOSE,
    TOOL_RESPONSE_OPEN,
    TURN_CLOSE,
    TURN_OPEN,
    VIDEO,
)

MODEL_TURN = f"{TURN_OPEN}model\n"

_MEDIA: dict[type[Part], str] = {ImagePart: IMAGE, AudioPart: AUDIO, VideoPart: VIDEO}

_Turn: TypeAlias = tuple[Message, tuple[Message, ...]]
"""A message and the tool results that stand right behind it."""


def render(request: ChatRequest, template: TemplateName, *, add_generation_prompt: bool = True) -> str:
    """The prompt of `request`, from the beginning-of-text token on; media are one placeholder token each.

    A tool choice that names a function offers only that one. A raw `prompt` stands as it is behind the first token.

    Raises: RequestInvalid if a call's arguments are no JSON object, or a tool's parameters no schema of an object.
    """
    if request.prompt is not None:
        return BOS + request.prompt
    messages = request.messages
    has_system = bool(messages) and messages[0].role == "system"
    texts = [BOS]
    if has_system or request.thinking.is_on or request.tools:
        texts.append(_system_turn(messages[0].content if has_system else (), _offered(request), request.thinking.is_on))
    turns = _turns(messages[has_system:])
    last_user = max((index for index, (message, _) in enumerate(turns) if message.role == "user"), default=-1)
    texts += [_turn(turns, index, is_after_user=index > last_user) for index in range(len(turns))]
    if add_generation_prompt:
        texts.append(_generation_prompt(turns[-1] if turns else None, template, request.thinking.is_on))
    return "".join(texts)


def _offered(request: ChatRequest) -> tuple[Tool, ...]:
    choice = request.tool_choice
    return tuple(tool for tool in request.tools if choice.mode != "named" or tool.name == choice.name)


def _system_turn(content: tuple[Part, ...], tools: tuple[Tool, ...], is_thinking: bool) -> str:
    think = f"{THINK}\n" if is_thinking else ""
    declarations = "".join(f"{TOOL_OPEN}{declaration(tool)}{TOOL_CLOSE}" for tool in tools)
    return f"{TURN_OPEN}system\n{think}{_system_text(content)}{declarations}{TURN_CLOSE}\n"


def _system_text(content: tuple[Part, ...]) -> str:
    """Beside media, which are not printed here, each part is followed by a space."""
    if not _has_media(content):
        return _joined(content).strip()
    return "".join((part.text.strip() if isinstance(part, TextPart) else "") + " " for part in content)


def _turns(messages: tuple[Message, ...]) -> list[_Turn]:
    """Results that stand behind no call are in nobody's turn: they are never printed."""
    turns: list[tuple[Message, list[Message]]] = []
    for message in messages:
        if message.role != "tool":
            turns.append((message, []))
        elif turns and turns[-1][0].tool_calls:
            turns[-1][1].append(message)
    return [(message, tuple(results)) for message, results in turns]


def _turn(turns: list[_Turn], index: int, *, is_after_user: bool) -> str:
    """One message with its results; several of the assistant in a row share a turn."""
    message, results = turns[index]
    is_model = message.role == "assistant"
    is_last = index + 1 == len(turns)
    texts = []
    if not (is_model and index > 0 and turns[index - 1][0].role == "assistant"):
        texts.append(MODEL_TURN if is_model else f"{TURN_OPEN}{message.role}\n")
    if message.reasoning and is_after_user:
        texts.append(f"{THOUGHT_OPEN}{message.reasoning}\n{CHANNEL_CLOSE}")
    texts += [_call(call) for call in message.tool_calls]
    texts += [_result(result, message.tool_calls) for result in results]
    content = _content(message.content, _without_thoughts if is_model else str.strip)
    texts.append(content)
    if message.tool_calls and not results:
        texts.append(TOOL_RESPONSE_OPEN)
    elif is_model and not is_last and turns[index + 1][0].role == "assistant":
        pass
    elif not results or content.strip() or not is_last:
        texts.append(f"{TURN_CLOSE}\n")
    return "".join(texts)


def _generation_prompt(last: _Turn | None, template: TemplateName, is_thinking: bool) -> str:
    if last is not None and last[1]:
        return THOUGHT_OPEN if is_thinking else ""
    if last is not None and last[0].tool_calls:
        return ""
    if template == "gemma4-large" and not is_thinking:
        return f"{MODEL_TURN}{THOUGHT_OPEN}{CHANNEL_CLOSE}"
    return MODEL_TURN


def _call(call: ToolCall) -> str:
    arguments = ((key, value_text(value, has_quoted_keys=False)) for key, value in by_key(_arguments(call)))
    return f"{TOOL_CALL_OPEN}call:{call.name}{braced(arguments)}{TOOL_CALL_CLOSE}"


def _arguments(call: ToolCall) -> dict[str, Any]:
    """No text at all, and null, are a call without arguments."""
    if not call.arguments.strip():
        return {}
    try:
        return msgspec.json.decode(call.arguments, type=dict[str, Any] | None) or {}
    except (msgspec.DecodeError, RecursionError) as exc:
        raise RequestInvalid(
            f"the arguments of the call of {call.name!r} are {call.arguments[:80]!r}",
            param="messages",
            why=str(exc),
            hint="send the arguments as the JSON text of an object",
        ) from exc


def _result(result: Message, calls: tuple[ToolCall, ...]) -> str:
    """Its text is one quoted value, JSON or not; media follow the block."""
    name = next((call.name for call in reversed(calls) if call.id == result.tool_call_id), result.name or "unknown")
    media = "".join(_MEDIA[type(part)] for part in result.content if not isinstance(part, TextPart))
    value = quoted(_joined(result.content))
    return f"{TOOL_RESPONSE_OPEN}response:{name}{braced([('value', value)])}{TOOL_RESPONSE_CLOSE}{media}"


def _content(content: tuple[Part, ...], trim: Callable[[str], str]) -> str:
    if not _has_media(content):
        return trim(_joined(content))
    return "".join(trim(part.text) if isinstance(part, TextPart) else _MEDIA[type(part)] for part in content)


def _has_media(content: tuple[Part, ...]) -> bool:
    return any(not isinstance(part, TextPart) for part in content)


def _joined(content: tuple[Part, ...]) -> str:
    return "".join(part.text for part in content if isinstance(part, TextPart))


def _without_thoughts(text: str) -> str:
    """An answer that was stored with its thinking channel is given back without it."""
    return "".join(piece.split(CHANNEL_OPEN)[0] for piece in text.split(CHANNEL_CLOSE)).strip()
