"""The values in Gemma 4's tool calls: read back what the template writes, and JSON; refuse what has two meanings."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemstead.gemma.depth import MAX_DEPTH
from gemstead.gemma.template_values import value_text
from gemstead.gemma.tokens import QUOTE
from gemstead.gemma.values import MAX_ARGUMENTS_CHARS, ValueInvalid, read_arguments

BLANKS = " \t\r\n"


def is_bare_key(key: str) -> bool:
    return key == key.strip(BLANKS) and key[0] not in "\"'," and QUOTE not in key


bare_keys = st.text(st.characters(exclude_characters=":}", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    is_bare_key
)
strings = st.text(max_size=30).filter(lambda text: QUOTE not in text)
numbers = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)


def objects(keys: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    leaves = st.none() | st.booleans() | numbers | strings
    values = st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
    )
    return st.dictionaries(keys, values, max_size=4)


@settings(max_examples=100, deadline=None)
@given(arguments=objects(bare_keys))
def test_arguments_as_the_template_writes_them_are_read_back(arguments: dict[str, Any]) -> None:
    read = read_arguments(value_text(arguments, has_quoted_keys=False))
    assert json.loads(read.json_text) == arguments
    assert not read.is_repaired


@settings(max_examples=75, deadline=None)
@given(arguments=objects(strings))
def test_keys_between_string_delimiters_may_be_anything(arguments: dict[str, Any]) -> None:
    read = read_arguments(value_text(arguments, has_quoted_keys=True))
    assert json.loads(read.json_text) == arguments


@settings(max_examples=75, deadline=None)
@given(arguments=objects(st.text(max_size=10)), indent=st.none() | st.integers(0, 3), is_ascii=st.booleans())
def test_ordinary_json_is_read_as_what_it_is(arguments: dict[str, Any], indent: int | None, is_ascii: bool) -> None:
    read = read_arguments(json.dumps(arguments, indent=indent, ensure_ascii=is_ascii))
    assert json.loads(read.json_text) == arguments


fragments = st.sampled_from(
    ["{", "}", "[", "]", "a:", ":", ",", QUOTE, '"', "'", "\\", "1", "-", "e9", "null", "True", " "]
)


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(fragments | st.text(max_size=3), max_size=20), may_close=st.booleans())
def test_whatever_the_text_the_result_is_a_json_object_or_it_is_refused(parts: list[str], may_close: bool) -> None:
    text = "{" + "".join(parts)
    try:
        read = read_arguments(text, may_close=may_close)
    except ValueInvalid:
        return
    assert isinstance(msgspec.json.decode(read.json_text), dict)
    assert 0 < read.end <= len(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {}),
        ("{ \n}", {}),
        ("{a: 1 , b:[ ] }", {"a": 1, "b": []}),
        ("{two words:1}", {"two words": 1}),
        ("{a,b{:1}", {"a,b{": 1}),
        ('{"a:1}', {'"a': 1}),
        ('{a:<|"|>it\'s {"x"}, \\n <|tool_call><|"|>}', {"a": 'it\'s {"x"}, \\n <|tool_call>'}),
        ("{a:-0.5e-3}", {"a": -0.0005}),
    ],
)
def test_what_the_rules_allow_is_read_without_repair(text: str, expected: dict[str, Any]) -> None:
    read = read_arguments(text)
    assert json.loads(read.json_text) == expected
    assert read.end == len(text)
    assert not read.is_repaired


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a" : "b"}', {"a": "b"}),
        ('{a:"line\nbreak"}', {"a": "line\nbreak"}),
        ("{'a':'b','c':['d']}", {"a": "b", "c": ["d"]}),
        ("{a:True,b:False,c:None}", {"a": True, "b": False, "c": None}),
        ("{a:north_east}", {"a": "north_east"}),
        ("{a:1,}", {"a": 1}),
        ("{a:[1,],}", {"a": [1]}),
    ],
)
def test_other_spellings_with_one_meaning_are_read_and_noted(text: str, expected: dict[str, Any]) -> None:
    read = read_arguments(text)
    assert json.loads(read.json_text) == expected
    assert read.is_repaired


def test_an_object_is_read_from_its_place_and_says_where_it_ends() -> None:
    read = read_arguments("call:f{a:1} and more", 6)
    assert (read.json_text, read.end) == ('{"a":1}', 11)


def test_open_brackets_close_only_if_the_writer_has_said_that_this_is_all() -> None:
    assert read_arguments("{a:[1,{b:2", may_close=True).json_text == '{"a":[1,{"b":2}]}'
    with pytest.raises(ValueInvalid):
        read_arguments("{a:[1,{b:2")


def test_numbers_keep_their_digits() -> None:
    digits = "12345678901234567890.12345678901234567890"
    assert read_arguments(f"{{a:{digits},b:0.10}}").json_text == f'{{"a":{digits},"b":0.10}}'


@pytest.mark.parametrize("may_close", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        *("", "a:1}", "[1]", "{:1}", "{a}", "{a:}", "{a:1 b:2}", "{,}", "{a:1,,b:2}", "{a:[1,2}", "{a:{]}"),
        *("{a:01}", "{a:.5}", "{a:+1}", "{a:1.}", "{a:1e999}", "{a:" + "9" * 65 + "}", "{a:NaN}", "{a:-Infinity}"),
        *("{a:1,a:2}", '{a:1,"a":2}', "{a:two words}", "{a:http://b}", "{a:1,", '{a:"b}', '{a:<|"|>b}', "{a:'it's'}"),
        *('{a:"\\x"}', '{a:"\\ud800"}', '{"\\udfff":1}', '{a<|"|>b:1}', '{a:b<|"|>}'),
    ],
)
def test_what_is_no_value_or_has_two_meanings_is_refused(text: str, may_close: bool) -> None:
    with pytest.raises(ValueInvalid):
        read_arguments(text, may_close=may_close)


def test_a_refusal_says_what_is_wrong_and_where() -> None:
    with pytest.raises(ValueInvalid, match="no value at character 3: 'NaN}'"):
        read_arguments("{a:NaN}")


def test_nesting_is_bounded() -> None:
    def nested(depth: int) -> str:
        return "{a:" + "[" * (depth - 1) + "]" * (depth - 1) + "}"

    assert read_arguments(nested(MAX_DEPTH)).json_text.count("[") == MAX_DEPTH - 1
    for depth in (MAX_DEPTH + 1, 50_000):
        with pytest.raises(ValueInvalid, match="deep"):
            read_arguments(nested(depth))


def test_length_is_bounded() -> None:
    text = "{a:" + QUOTE + "x" * MAX_ARGUMENTS_CHARS + QUOTE + "}"
    with pytest.raises(ValueInvalid, match="characters"):
        read_arguments(text)
