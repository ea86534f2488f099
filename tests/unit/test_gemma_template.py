"""Our renderer of Gemma 4's chat template against what the official one, published 2026-07-09, printed."""

import json
from typing import Any

import msgspec
import pytest

from gemma_oracle import CASES, GOLDEN, LATER, OSLO, WEATHER, calling, chat, result, user
from gemstead.core.errors import RequestInvalid
from gemstead.core.facts import TemplateName
from gemstead.core.types import ChatRequest, Tool, ToolCall, ToolChoice
from gemstead.gemma.template import render

PRINTED: dict[str, dict[TemplateName, str]] = json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_every_case_has_an_official_print() -> None:
    assert PRINTED.keys() == CASES.keys()


@pytest.mark.parametrize("case", CASES)
def test_a_conversation_is_printed_as_the_official_template_prints_it(case: str) -> None:
    for template, text in PRINTED[case].items():
        assert render(CASES[case], template) == text


def test_the_variants_differ_only_in_the_empty_thought_that_large_ones_begin_with() -> None:
    question = chat(user("Hi"))
    small, large = render(question, "gemma4-small"), render(question, "gemma4-large")
    assert large == small + "<|channel>thought\n<channel|>"


def test_without_a_generation_prompt_the_text_ends_with_the_last_turn() -> None:
    request = chat(user("Hi"))
    assert render(request, "gemma4-large", add_generation_prompt=False) == "<bos><|turn>user\nHi<turn|>\n"


def test_a_named_function_is_the_only_one_offered() -> None:
    request = msgspec.structs.replace(
        chat(user("Hi"), tools=(WEATHER, Tool("now"))), tool_choice=ToolChoice("named", "now")
    )
    assert render(request, "gemma4-small") == render(chat(user("Hi"), tools=(Tool("now"),)), "gemma4-small")


def test_a_raw_prompt_stands_as_it_is() -> None:
    assert render(ChatRequest("m", (), prompt="Once <|turn>"), "gemma4-large") == "<bos>Once <|turn>"


@pytest.mark.parametrize("arguments", ["", " ", "null", "{}"])
def test_a_call_may_have_no_arguments(arguments: str) -> None:
    request = chat(user("W?"), calling(ToolCall("c3", "odd", arguments)), result("c3", "1"))
    assert render(request, "gemma4-small") == render(
        chat(user("W?"), calling(LATER), result("c3", "1")), "gemma4-small"
    )


@pytest.mark.parametrize("arguments", ["{", "[1]", '"text"', "3", '{"a":' * 5000 + "1" + "}" * 5000])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    request = chat(user("W?"), calling(ToolCall("c", "f", arguments)))
    with pytest.raises(RequestInvalid):
        render(request, "gemma4-small")


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "properties": ["city"]},
        {"type": "object", "properties": {"a": {"type": "object", "required": True}}},
        {"type": "object", "required": "city"},
        {"type": "object", "properties": {"a": {"type": "array", "items": {"type": 3}}}},
    ],
)
def test_parameters_that_are_no_schema_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(RequestInvalid) as refused:
        render(chat(user("Hi"), tools=(Tool("f", "", parameters),)), "gemma4-small")
    assert refused.value.param == "tools"


@pytest.mark.parametrize("key", ["properties", "items", "enum"])
def test_a_schema_nested_too_deeply_is_refused(key: str) -> None:
    deep: Any = {"type": "string"}
    for _ in range(100):
        deep = (
            {"type": "object", "properties": {"a": deep}} if key == "properties" else {"type": "array", "items": deep}
        )
    if key == "enum":
        deep = {"type": "string", "enum": [deep]}
    with pytest.raises(RequestInvalid, match="nested deeper"):
        render(chat(user("Hi"), tools=(Tool("f", "", {"type": "object", "properties": {"a": deep}}),)), "gemma4-small")


def test_arguments_nested_as_deep_as_allowed_are_printed() -> None:
    arguments = '{"a":' * 60 + "1" + "}" * 60
    text = render(chat(user("W?"), calling(msgspec.structs.replace(OSLO, arguments=arguments))), "gemma4-small")
    assert "{a:" * 60 + "1" + "}" * 60 in text
