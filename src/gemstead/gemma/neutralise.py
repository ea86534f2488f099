"""Control tokens that people, documents or tools have typed are broken before an engine sees the request.

An engine reads the text of a control token as that token wherever it stands: a typed `<|turn>` would end the user's
turn and begin one of the system. So every text that a chat template may print is looked through.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ChatRequest, Message, Part, ResponseFormat, TextPart, Tool, ToolCall, ToolChoice
from gemstead.gemma.depth import check_depth
from gemstead.gemma.token_breaker import TokenBreaker, token_breaker

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Neutralised(msgspec.Struct, frozen=True):
    """`request` is the one that was given where nothing was found. `fields` are the places, as in `messages[0].name`.

    `count` is how many control tokens were broken.
    """

    request: ChatRequest
    count: int = 0
    fields: tuple[str, ...] = ()


def neutralise(request: ChatRequest, control_tokens: frozenset[str]) -> Neutralised:
    """`request` with every control token broken that stands in it, or that joined texts would form.

    Looked through are messages (texts, reasoning, names, call ids, calls), tools with their schemas, the tool choice,
    the response format and a raw prompt. JSON, in arguments and in what tools answered, is looked at as what it means:
    an escaped `\\u003c` hides nothing.

    Raises: RequestInvalid if JSON with a control token in it is nested too deeply to be looked through.
    """
    search = _Search(token_breaker(control_tokens))
    replaced = {
        "messages": search.messages(request.messages),
        "tools": search.tools(request.tools),
        "tool_choice": search.tool_choice(request.tool_choice),
        "response_format": search.response_format(request.response_format),
        "prompt": search.optional(request.prompt, "prompt"),
    }
    if not search.count:
        return Neutralised(request)
    return Neutralised(msgspec.structs.replace(request, **replaced), search.count, tuple(search.fields))


class _Search:
    """One pass over a request: each method returns what it was given, with its tokens broken."""

    def __init__(self, breaker: TokenBreaker) -> None:
        self._breaker = breaker
        self.count = 0
        self.fields: dict[str, None] = {}

    def messages(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        return tuple(self._apart([self._message(message, index) for index, message in enumerate(messages)]))

    def tools(self, tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
        """Looked through as one JSON text first: most have nothing in them."""
        if not tools or not self._breaker.json.search(_json_text(tools, "tools")):
            return tools
        return tuple(self._tool(tool, f"tools[{index}]") for index, tool in enumerate(tools))

    def tool_choice(self, choice: ToolChoice) -> ToolChoice:
        """A named tool is still the one that `tools` has: both names are broken alike."""
        name = self.optional(choice.name, "tool_choice")
        return choice if name is choice.name else msgspec.structs.replace(choice, name=name)

    def response_format(self, wanted: ResponseFormat) -> ResponseFormat:
        if wanted.schema is None or not self._breaker.json.search(_json_text(wanted, "response_format")):
            return wanted
        name = self.optional(wanted.name, "response_format.name")
        return msgspec.structs.replace(wanted, name=name, schema=self._value(wanted.schema, "response_format.schema"))

    def optional(self, text: str | None, field: str) -> str | None:
        return None if text is None else self._text(text, field)

    def _text(self, text: str, field: str) -> str:
        if self._breaker.text.search(text) is None:
            return text
        broken, count = self._breaker.break_tokens(text)
        self._found(field, count)
        return broken

    def _found(self, field: str, count: int = 1) -> None:
        self.count += count
        self.fields[field] = None

    def _message(self, message: Message, index: int) -> Message:
        before = self.count
        path = f"messages[{index}]"
        if message.role == "tool":
            content = self._result(message.content, f"{path}.content")
        else:
            content = tuple(self._part(part, path) for part in message.content)
        calls = tuple(self._call(call, f"{path}.tool_calls[{place}]") for place, call in enumerate(message.tool_calls))
        call_id = self.optional(message.tool_call_id, f"{path}.tool_call_id")
        name = self.optional(message.name, f"{path}.name")
        reasoning = self.optional(message.reasoning, f"{path}.reasoning")
        if self.count == before:
            return message
        return msgspec.structs.replace(
            message, content=content, tool_calls=calls, tool_call_id=call_id, name=name, reasoning=reasoning
        )

    def _part(self, part: Part, path: str) -> Part:
        if not isinstance(part, TextPart):
            return part
        text = self._text(part.text, f"{path}.content")
        return part if text is part.text else TextPart(text)

    def _call(self, call: ToolCall, path: str) -> ToolCall:
        before = self.count
        call_id = self._text(call.id, f"{path}.id")
        name = self._text(call.name, f"{path}.name")
        arguments = self._json(call.arguments, f"{path}.arguments")
        if self.count == before:
            return call
        return msgspec.structs.replace(call, id=call_id, name=name, arguments=arguments)

    def _result(self, content: tuple[Part, ...], field: str) -> tuple[Part, ...]:
        """What a tool answered, as one text: engines read it as JSON if it is some, and print what the JSON means."""
        joined = "".join(part.text for part in content if isinstance(part, TextPart))
        text = self._json(joined, field)
        return content if text is joined else (TextPart(text), *(part for part in content if not _is_text(part)))

    def _json(self, text: str, field: str) -> str:
        """A text that may be JSON. If it is, it is written anew; if not, what looks like an escape is broken too."""
        search = self._breaker.text.search
        if search(text) is None and ("\\" not in text or search(_unescaped(text)) is None):
            return text
        before = self.count
        try:
            rewritten = _json_text(self._value(msgspec.json.decode(text), field), field)
        except (msgspec.DecodeError, RecursionError):
            rewritten = self._text(text, field)
            if search(_unescaped(rewritten)):
                rewritten = rewritten.replace("\\", "\\" + self._breaker.mark)
        if self.count == before:  # it was hidden in an escape, or in a repeated key that is not written again
            self._found(field)
        return rewritten

    def _tool(self, tool: Tool, path: str) -> Tool:
        return msgspec.structs.replace(
            tool,
            name=self._text(tool.name, f"{path}.name"),
            description=self._text(tool.description, f"{path}.description"),
            parameters=self._value(tool.parameters, f"{path}.parameters"),
        )

    def _value(self, value: Any, field: str, depth: int = 0) -> Any:
        """Keys and texts of a JSON value, all the way down."""
        if isinstance(value, str):
            return self._text(value, field)
        if isinstance(value, dict):
            check_depth(depth)
            return {self._text(key, field): self._value(item, field, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            check_depth(depth)
            return [self._value(item, field, depth + 1) for item in value]
        return value

    def _apart(self, messages: list[Message]) -> list[Message]:
        """Where texts that a template prints side by side would form a token, a mark ends each but the last."""
        for places in _side_by_side(messages):
            texts = [messages[index].content[part].text for index, part in places]  # type: ignore[union-attr]
            stripped = [text.strip() for text in texts]
            if not any(self._breaker.text.search("".join(joined)) for joined in (texts, stripped)):
                continue
            for (index, place), text in zip(places[:-1], texts[:-1], strict=True):
                content = list(messages[index].content)
                content[place] = TextPart(text + self._breaker.mark)
                messages[index] = msgspec.structs.replace(messages[index], content=tuple(content))
                self._found(f"messages[{index}].content")
        return messages


def _side_by_side(messages: list[Message]) -> list[list[tuple[int, int]]]:
    """Places (message, part) of texts that end up side by side: of one message, and of one turn of the model.

    Media between two texts do not count as a wall: some templates print them elsewhere.
    """
    runs: list[list[tuple[int, int]]] = []
    turn: list[tuple[int, int]] | None = None
    for index, message in enumerate(messages):
        places = [(index, place) for place, part in enumerate(message.content) if isinstance(part, TextPart)]
        if message.role == "assistant" and turn is not None:
            turn += places
            continue
        runs.append(places)
        if message.role != "tool":
            turn = places if message.role == "assistant" else None
    return [places for places in runs if len(places) > 1]


def _is_text(part: Part) -> bool:
    return isinstance(part, TextPart)


def _unescaped(text: str) -> str:
    """`text` as it would read if its JSON escapes were what they stand for."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _SHORT.get(match[2], match[2]), text)


def _json_text(value: Any, field: str) -> str:
    """Raises: RequestInvalid if `value` is nested deeper than it can be written."""
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError as exc:
        raise RequestInvalid(f"{field} is nested too deeply", param=field, hint="flatten it") from exc
