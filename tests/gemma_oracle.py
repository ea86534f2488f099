"""What Gemma 4's official chat template prints for a request, rendered by jinja as engines render it; and requests.

The template published on 2026-07-09 does not come with the engine; what it printed for `CASES` is in
`tests/golden/gemma`. To write that file anew from the template's own texts, as ollama/ollama keeps them in
model/renderers/testdata:

    python tests/gemma_oracle.py gemma4_e2b_chat_template.jinja2 gemma4_31b_chat_template.jinja2
"""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import msgspec
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gemstead.core.types import (
    AudioPart,
    ChatRequest,
    ImagePart,
    Message,
    Part,
    TextPart,
    Thinking,
    Tool,
    ToolCall,
    VideoPart,
)

GOLDEN = Path(__file__).parent / "golden" / "gemma" / "template.json"

KINDS = {ImagePart: "image", AudioPart: "audio", VideoPart: "video"}


def official(source: str, request: ChatRequest) -> str:
    """The prompt, by the template `source`: trim_blocks and lstrip_blocks are on, as in transformers and llama.cpp."""
    return _compiled(source).render(
        messages=[_message(message) for message in request.messages],
        tools=[_tool(tool) for tool in request.tools] or None,
        bos_token="<bos>",
        enable_thinking=request.thinking.is_on,
        add_generation_prompt=True,
    )


@lru_cache
def _compiled(source: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = _refuse
    return environment.from_string(source)


def _refuse(reason: str) -> NoReturn:
    raise jinja2.TemplateError(reason)


def _message(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": _content(message.content)}
    if message.tool_calls:
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.loads(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        fields["name"] = message.name
    if message.reasoning is not None:
        fields["reasoning_content"] = message.reasoning
    return fields


def _content(parts: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    if all(isinstance(part, TextPart) for part in parts):
        return "".join(part.text for part in parts)
    return [
        {"type": "text", "text": part.text} if isinstance(part, TextPart) else {"type": KINDS[type(part)]}
        for part in parts
    ]


def _tool(tool: Tool) -> dict[str, Any]:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }


def text(value: str) -> tuple[TextPart, ...]:
    return (TextPart(value),)


def user(value: str) -> Message:
    return Message("user", text(value))


def calling(*calls: ToolCall, content: str = "", reasoning: str | None = None) -> Message:
    return Message("assistant", text(content) if content else (), tool_calls=calls, reasoning=reasoning)


def result(call_id: str | None, value: str, name: str | None = None) -> Message:
    return Message("tool", text(value), tool_call_id=call_id, name=name)


IMAGE = ImagePart(b"", "image/png")
WEATHER = Tool(
    "get_weather",
    "Get the weather",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "City name"},
            "days": {"type": "integer", "nullable": True},
            "unit": {"type": "string", "enum": ["c", "f"]},
            "tags": {"type": "array", "items": {"type": "string", "minLength": 1}},
            "loc": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]},
        },
        "required": ["city"],
    },
)
ODD_SCHEMA = Tool(
    "odd",
    "",
    {
        "type": "object",
        "properties": {
            "type": {"type": "string", "description": 'named "type"'},
            "description": True,
            "Zeta": {"type": ["string", "null"]},
            "alpha": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "free": {"type": "object", "additionalProperties": {"type": "string"}},
            "empty": {"type": "object", "properties": {}},
            "rows": {
                "type": "array",
                "nullable": True,
                "items": {
                    "type": ["object", "null"],
                    "description": None,
                    "properties": {"nullable": {"type": "boolean"}},
                    "required": [],
                    "additionalProperties": False,
                },
            },
            "grid": {"type": "array", "items": {"type": "array", "items": {"type": "number", "default": None}}},
            "any": {"type": "array", "items": {}},
        },
    },
)
OSLO = ToolCall("c1", "get_weather", '{"city": "Oslo", "days": 2, "hot": false, "loc": {"lat": 59.9}, "x": null}')
ROME = ToolCall("c2", "get_weather", '{"tags": ["a", "b", [], {"k": null}], "City": "Rome", "n": -0.5e-7}')
LATER = ToolCall("c3", "odd", "{}")
THINKS = Thinking(is_on=True)
SILENT = Thinking()


def chat(*messages: Message, tools: tuple[Tool, ...] = (), thinking: Thinking = SILENT) -> ChatRequest:
    return ChatRequest("m", messages, tools=tools, thinking=thinking)


CASES: dict[str, ChatRequest] = {
    "no messages": chat(),
    "one question": chat(user(" Hi \n")),
    "one question, thinking": chat(user("Hi"), thinking=THINKS),
    "system": chat(Message("system", text(" Be brief.\n")), user("Hi")),
    "system, thinking": chat(Message("system", text("Be brief.")), user("Hi"), thinking=THINKS),
    "system with a picture": chat(Message("system", (TextPart(" See "), IMAGE, TextPart("this"))), user("Hi")),
    "a second system message": chat(user("Hi"), Message("system", text("Now in French.")), user("Go on")),
    "empty contents": chat(user(""), Message("assistant"), user("Hi")),
    "a schema": chat(user("Weather?"), tools=(WEATHER,)),
    "a schema with odd corners": chat(user("Weather?"), tools=(WEATHER, ODD_SCHEMA)),
    "a tool without parameters": chat(user("Hi"), tools=(Tool("now"),)),
    "parameters without a type": chat(user("Hi"), tools=(Tool("x", "d", {"properties": {"a": {"type": "string"}}}),)),
    "a call without a result": chat(user("Weather?"), calling(OSLO)),
    "calls in a row": chat(user("Weather?"), calling(OSLO, ROME, LATER)),
    "a trailing result": chat(user("Weather?"), calling(OSLO), result("c1", '{"temp": 22}')),
    "a trailing result, thinking": chat(user("W?"), calling(OSLO), result("c1", "22"), thinking=THINKS),
    "results answered": chat(
        user("W?"), calling(OSLO, ROME), result("c2", "hot"), result("c1", " cold "), Message("assistant", text("Ok."))
    ),
    "results, then a new question": chat(user("W?"), calling(OSLO), result("c1", "22"), user("And tomorrow?")),
    "a call with text and a result": chat(user("W?"), calling(OSLO, content="Let me see. "), result("c1", "22")),
    "a result by name": chat(user("W?"), calling(OSLO), result("other", "22", name="clock"), result(None, "23")),
    "a result behind no call": chat(user("W?"), result("c1", "22"), user("Well?")),
    "a picture as a result": chat(
        user("W?"), calling(OSLO), Message("tool", (TextPart("map:"), IMAGE, TextPart(" end")), tool_call_id="c1")
    ),
    "a loop of tools, thinking": chat(
        user("W?"),
        calling(OSLO, reasoning="Ask."),
        result("c1", "22"),
        calling(ROME, reasoning="Ask again."),
        result("c2", "30"),
        Message("assistant", text("Rome is hotter."), reasoning="Compare."),
        tools=(WEATHER,),
        thinking=THINKS,
    ),
    "thoughts of earlier turns": chat(
        user("1"), Message("assistant", text("one"), reasoning="easy"), user("2"), thinking=THINKS
    ),
    "a thought inside an answer": chat(
        user("1"), Message("assistant", text("a<|channel>thought\nhm<channel|> b <|channel>rest")), user("2")
    ),
    "two answers in a row": chat(user("1"), Message("assistant", text(" one")), Message("assistant", text("two "))),
    "media": chat(
        Message(
            "user",
            (
                IMAGE,
                TextPart(" and \n"),
                AudioPart(b"", "audio/wav"),
                VideoPart(b"", "video/mp4"),
                TextPart("?"),
                TextPart(" !"),
            ),
        )
    ),
    "an answer in parts": chat(
        user("1"), Message("assistant", (TextPart("on"), TextPart("e ")), name="bot"), user("2")
    ),
}
"""By name. Where a tool is named by the tool choice see the tests of `render`: the template knows no tool choice."""


def write_golden(small: Path, large: Path) -> None:
    sources = {"gemma4-small": small.read_text(encoding="utf-8"), "gemma4-large": large.read_text(encoding="utf-8")}
    printed = {
        name: {template: official(source, request) for template, source in sources.items()}
        for name, request in CASES.items()
    }
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_bytes(msgspec.json.format(msgspec.json.encode(printed), indent=1) + b"\n")


if __name__ == "__main__":
    write_golden(Path(sys.argv[1]), Path(sys.argv[2]))
