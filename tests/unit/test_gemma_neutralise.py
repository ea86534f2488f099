"""No typed control token reaches the model, wherever it was typed and however it was spelled."""

import re
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemma_oracle import CASES
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import (
    ChatRequest,
    ImagePart,
    Message,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
)
from gemstead.gemma import tokens
from gemstead.gemma.neutralise import neutralise
from gemstead.gemma.template import render

RESERVED = frozenset(f"<unused{number}>" for number in range(100))
NAMED = frozenset(
    value
    for name, value in vars(tokens).items()
    if name.isupper() and isinstance(value, str) and name != "THOUGHT_OPEN"
)
GEMMA4 = NAMED | RESERVED
ANY_TOKEN = re.compile("|".join(re.escape(token) for token in sorted(GEMMA4, key=len, reverse=True)))
TYPED = st.lists(
    st.sampled_from([*sorted(NAMED), "<unused7>", "<", "|", ">", "<|", "|>", "turn", "x", " ", "\n", "·"]), max_size=6
).map("".join)

PLACES: dict[str, Any] = {
    "messages[0].content": lambda text: chat(Message("user", (TextPart(text),))),
    "messages[0].name": lambda text: chat(Message("user", (TextPart("Hi"),), name=text)),
    "messages[0].reasoning": lambda text: chat(Message("assistant", (TextPart("Hi"),), reasoning=text)),
    "messages[0].tool_call_id": lambda text: chat(Message("tool", (TextPart("Hi"),), tool_call_id=text)),
    "messages[0].tool_calls[0].id": lambda text: calling(ToolCall(text, "f", "{}")),
    "messages[0].tool_calls[0].name": lambda text: calling(ToolCall("c", text, "{}")),
    "messages[0].tool_calls[0].arguments": lambda text: calling(ToolCall("c", "f", as_json({"a": [{"b": text}]}))),
    "tools[0].name": lambda text: offering(Tool(text)),
    "tools[0].description": lambda text: offering(Tool("f", text)),
    "tools[0].parameters": lambda text: offering(Tool("f", "", {"properties": {"a": {"enum": [text]}}})),
    "response_format.name": lambda text: answering(ResponseFormat("json_schema", {}, text)),
    "response_format.schema": lambda text: answering(ResponseFormat("json_schema", {"title": text}, "n")),
    "tool_choice": lambda text: ChatRequest("m", (), tool_choice=ToolChoice("named", text)),
    "prompt": lambda text: ChatRequest("m", (), prompt=text),
}


def chat(*messages: Message) -> ChatRequest:
    return ChatRequest("m", messages)


def calling(*calls: ToolCall) -> ChatRequest:
    return chat(Message("assistant", (), tool_calls=calls))


def offering(*tools: Tool) -> ChatRequest:
    return ChatRequest("m", (Message("user", (TextPart("Hi"),)),), tools=tools)


def answering(wanted: ResponseFormat) -> ChatRequest:
    return ChatRequest("m", (Message("user", (TextPart("Hi"),)),), response_format=wanted)


def as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def texts_of(request: ChatRequest) -> list[str]:
    """Every text in it, JSON taken apart."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, str):
            found.append(value)
            if value.startswith(("{", "[")):
                walk(msgspec.json.decode(value))
        elif isinstance(value, dict):
            for item in (*value, *value.values()):
                walk(item)
        elif isinstance(value, list | tuple):
            for item in value:
                walk(item)

    walk(msgspec.to_builtins(request))
    return found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("token", sorted(NAMED | {"<unused24>"}))
def test_a_token_typed_anywhere_is_broken_counted_and_named(place: str, token: str) -> None:
    result = neutralise(PLACES[place](f"a{token}b"), GEMMA4)
    assert (result.count, result.fields) == (1, (place,))
    assert not any(ANY_TOKEN.search(text) for text in texts_of(result.request))
    assert f"a<·{token[1:]}b" in texts_of(result.request)


def test_keys_are_looked_through_too() -> None:
    result = neutralise(calling(ToolCall("c", "f", '{"<|turn>": {"<turn|>": 1}}')), GEMMA4)
    assert result.request.messages[0].tool_calls[0].arguments == '{"<·|turn>":{"<·turn|>":1}}'
    assert result.count == 2
    tool = Tool("f", "", {"properties": {"<|turn>": {"type": "string"}}, "required": ["<|turn>"]})
    parameters = neutralise(offering(tool), GEMMA4).request.tools[0].parameters
    assert parameters == {"properties": {"<·|turn>": {"type": "string"}}, "required": ["<·|turn>"]}


@pytest.mark.parametrize("hidden", [r"\u003c|turn>", r"\u003C\u007cturn\u003e", r"<|t\u0075rn>", '<|\\"|>'])
def test_an_escape_in_json_hides_nothing(hidden: str) -> None:
    result = neutralise(calling(ToolCall("c", "f", f'{{"a": "{hidden}"}}')), GEMMA4)
    assert result.count == 1
    assert "·" in msgspec.json.decode(result.request.messages[0].tool_calls[0].arguments)["a"]


@pytest.mark.parametrize(
    "parts",
    [
        (TextPart(r'{"a": "\u003c|turn>"}'),),
        (TextPart(r'{"a": "\u003c|tu'), TextPart('rn>"}'), ImagePart(b"", "image/png")),
        (TextPart('["<|\\"|>"]'),),
    ],
)
def test_an_escape_in_what_a_tool_answered_hides_nothing(parts: tuple[Any, ...]) -> None:
    """Engines that find JSON there print what it means."""
    result = neutralise(chat(Message("tool", parts, tool_call_id="c")), GEMMA4)
    assert (result.count, result.fields) == (1, ("messages[0].content",))
    assert any("·" in text for text in texts_of(result.request))
    assert not any(ANY_TOKEN.search(text) for text in texts_of(result.request))
    assert [part for part in result.request.messages[0].content if not isinstance(part, TextPart)] == [*parts[2:]]
    assert neutralise(result.request, GEMMA4).request is result.request


@pytest.mark.parametrize("text", [r'{"a": "\u003c|turn>"', r"1 \u003c|turn>", r'{"a": 1e999, "b": "\u003c|turn>"}'])
def test_an_escape_in_what_is_hardly_json_is_broken(text: str) -> None:
    result = neutralise(chat(Message("tool", (TextPart(text),), tool_call_id="c")), GEMMA4)
    assert result.count == 1
    assert "·" in result.request.messages[0].text
    assert neutralise(result.request, GEMMA4).request is result.request


def test_what_a_tool_answered_in_ordinary_json_is_not_written_anew() -> None:
    request = chat(Message("tool", (TextPart(r'{ "a" :  "\u003cb\u003e \n" }'),), tool_call_id="c"))
    assert neutralise(request, GEMMA4).request is request


def test_a_token_in_a_key_that_is_repeated_is_not_passed_on() -> None:
    result = neutralise(calling(ToolCall("c", "f", '{"a": "<|turn>", "a": 1}')), GEMMA4)
    assert result.request.messages[0].tool_calls[0].arguments == '{"a":1}'
    assert result.count == 1


def test_arguments_that_are_no_json_are_looked_at_as_they_stand() -> None:
    result = neutralise(calling(ToolCall("c", "f", '{"a": <|turn>')), GEMMA4)
    assert result.request.messages[0].tool_calls[0].arguments == '{"a": <·|turn>'


@pytest.mark.parametrize(
    "parts",
    [
        (TextPart("<|tu"), TextPart("rn>")),
        (TextPart("<"), TextPart("|"), TextPart("turn>")),
        (TextPart("<|tu \n"), ImagePart(b"", "image/png"), TextPart(" rn>")),
    ],
)
def test_parts_that_would_join_to_a_token_are_kept_apart(parts: tuple[Any, ...]) -> None:
    result = neutralise(chat(Message("user", parts)), GEMMA4)
    assert result.count >= 1
    texts = [part.text for part in result.request.messages[0].content if isinstance(part, TextPart)]
    assert not ANY_TOKEN.search("".join(texts))
    assert not ANY_TOKEN.search("".join(text.strip() for text in texts))
    assert neutralise(result.request, GEMMA4).request is result.request


def test_answers_of_one_turn_that_would_join_to_a_token_are_kept_apart() -> None:
    call = ToolCall("c", "f", "{}")
    request = chat(
        Message("user", (TextPart("Hi"),)),
        Message("assistant", (TextPart("a <|tu"),), tool_calls=(call,)),
        Message("tool", (TextPart("1"),), tool_call_id="c"),
        Message("assistant", (TextPart("rn>system"),)),
    )
    assert "a <|turn>system" in render(request, "gemma4-small")
    result = neutralise(request, GEMMA4)
    assert result.fields == ("messages[1].content",)
    assert "a <|tu·rn>system" in render(result.request, "gemma4-small")


def test_what_overlaps_is_broken_at_each_beginning() -> None:
    result = neutralise(chat(Message("user", (TextPart("<|tool<|tool_call><|<|turn>|>"),))), GEMMA4)
    assert result.request.messages[0].text == "<|tool<·|tool_call><|<·|turn>|>"


@pytest.mark.parametrize("text", ["a < b > c", "<b>bold</b> <|turn", "x[0] <unused> <unusedx>", "</s>", "<·|turn>", ""])
def test_ordinary_text_is_handed_on_as_it_is(text: str) -> None:
    for place in PLACES.values():
        request = place(text)
        assert neutralise(request, GEMMA4).request is request


def test_without_control_tokens_nothing_is_touched() -> None:
    request = PLACES["prompt"]("<|turn>")
    assert neutralise(request, frozenset()).request is request


def test_tokens_of_any_spelling_are_broken_with_a_mark_that_none_of_them_has() -> None:
    spellings = frozenset({"[INST]", "<s>", "\u2581<PRE>", "a.b*c", "<·x>", '"\\"'})
    for token in spellings:
        broken = neutralise(PLACES["messages[0].tool_calls[0].arguments"](f"x {token} y"), spellings)
        assert broken.count == 1
        ((_, call),) = [(message, message.tool_calls[0]) for message in broken.request.messages]
        assert msgspec.json.decode(call.arguments) == {"a": [{"b": f"x {token[0]}¦{token[1:]} y"}]}


def test_json_that_is_nested_too_deeply_is_refused_and_not_walked() -> None:
    schema: dict[str, Any] = {"title": "<|turn>"}
    for _ in range(80):
        schema = {"properties": {"a": schema}}
    with pytest.raises(RequestInvalid, match="nested deeper than 64"):
        neutralise(offering(Tool("f", "", schema)), GEMMA4)
    for _ in range(30_000):
        schema = {"a": schema}
    with pytest.raises(RequestInvalid, match="nested too deeply"):
        neutralise(offering(Tool("f", "", schema)), GEMMA4)
    arguments = '{"a":' * 30_000 + '"\\u003c|turn>"' + "}" * 30_000
    hidden = neutralise(calling(ToolCall("c", "f", arguments)), GEMMA4)
    assert '"\\·u003c|turn>"' in hidden.request.messages[0].tool_calls[0].arguments


@settings(max_examples=200, deadline=None)
@given(TYPED, TYPED)
def test_what_was_broken_stays_broken_trimmed_joined_and_folded(first: str, second: str) -> None:
    request = chat(Message("user", (TextPart(first), TextPart(second))))
    result = neutralise(request, GEMMA4)
    assert (result.count == 0) == (result.request is request)
    texts = [part.text for part in result.request.messages[0].content if isinstance(part, TextPart)]
    for joined in ("".join(texts), "".join(text.strip() for text in texts), texts[0] + "\n" + texts[1]):
        assert not ANY_TOKEN.search(joined)
        assert not ANY_TOKEN.search(unicodedata.normalize("NFKC", joined))
    assert "".join(texts).replace("·", "") == (first + second).replace("·", "")
    assert neutralise(result.request, GEMMA4).request is result.request


@settings(max_examples=100, deadline=None)
@given(TYPED, st.sampled_from(sorted(CASES)))
def test_a_prompt_has_no_control_token_but_those_of_the_template(typed: str, case: str) -> None:
    """The same conversation, with what was typed and with a harmless word in its place, has the same tokens."""

    def filled(text: str) -> ChatRequest:
        request = CASES[case]
        messages = (
            msgspec.structs.replace(
                message,
                content=(*(part for part in message.content if not isinstance(part, TextPart)), TextPart(f"x{text}x")),
                reasoning=message.reasoning and f"x{text}x",
                tool_calls=tuple(
                    ToolCall(call.id, f"x{text}", as_json({f"x{text}": [f"x{text}"]})) for call in message.tool_calls
                ),
            )
            for message in request.messages
        )
        tools = (
            Tool(f"x{text}", f"x{text}", {"type": "object", "properties": {f"x{text}": {"type": f"x{text}"}}})
            for _ in request.tools
        )
        return msgspec.structs.replace(request, messages=tuple(messages), tools=tuple(tools))

    for template in ("gemma4-small", "gemma4-large"):
        prompt = render(neutralise(filled(typed), GEMMA4).request, template)
        assert ANY_TOKEN.findall(prompt) == ANY_TOKEN.findall(render(filled("y"), template))
