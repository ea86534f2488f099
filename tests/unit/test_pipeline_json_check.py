"""Replies that were asked for as JSON."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.core.errors import ReplyBroken, RequestInvalid
from gemstead.core.types import FinishReason, ResponseFormat, TextDelta
from gemstead.pipeline.catches import Repairs
from gemstead.pipeline.json_check import JsonCheck

OBJECT = ResponseFormat("json_object")
CITY = ResponseFormat(
    "json_schema", {"type": "object", "properties": {"city": {"enum": ["Oslo", "Paris"]}}, "required": ["city"]}
)
OSLO = '{"city": "Oslo"}'


def read(
    *pieces: str, wanted: ResponseFormat = CITY, reason: FinishReason = "stop", has_calls: bool = False
) -> tuple[list[str], list[str]]:
    """The pieces that were passed on, and what was repaired."""
    repairs = Repairs()
    check = JsonCheck(wanted, repairs)
    events = [event for piece in pieces for event in check.feed(piece)]
    events += check.finish(reason, has_calls=has_calls)
    return [event.text for event in events if isinstance(event, TextDelta)], list(repairs.kinds)


def broken(*pieces: str, **given_: Any) -> str:
    with pytest.raises(ReplyBroken) as caught:
        read(*pieces, **given_)
    return caught.value.kind


def test_json_passes_piece_by_piece() -> None:
    assert read('{"ci', 'ty": ', '"Oslo"}', "\n") == (['{"ci', 'ty": ', '"Oslo"}'], [])


@pytest.mark.parametrize(
    "around", ["```json\n{}\n```", "---\n{}", "Here is the JSON [as asked]: {}", "{}\nDone.", "\n{} ```", "- {}"]
)
def test_text_around_the_value_is_cut_and_said(around: str) -> None:
    pieces = around.replace("{}", OSLO)
    assert read(*pieces) == (list(OSLO), ["text_around_json"])
    assert read(pieces) == ([OSLO], ["text_around_json"])


@pytest.mark.parametrize("text", ['{"city": "Rome"}', "{}", '{"city": 1}'])
def test_a_value_off_its_schema_is_broken(text: str) -> None:
    assert broken(text) == "json_off_schema"


@pytest.mark.parametrize(
    "text", ["", " \n", "Oslo", "---", '{"city": "Oslo"', '{"city": Oslo}', "{city}: " + OSLO, OSLO + OSLO, "[1]"]
)
def test_a_reply_that_is_not_one_json_value_is_broken(text: str) -> None:
    assert broken(text) == "json_invalid"


def test_any_object_will_do_where_no_schema_was_given() -> None:
    assert read('{"a": [1, {"b": null}]}', wanted=OBJECT) == (['{"a": [1, {"b": null}]}'], [])
    assert broken("[1]", wanted=OBJECT) == "json_invalid"


def test_brackets_and_quotes_inside_strings_do_not_end_the_value() -> None:
    text = '{"a": "}] \\" \\\\", "b": "{"}'
    assert read(*text, wanted=OBJECT) == (list(text), [])


@pytest.mark.parametrize("text", ['"Oslo {"', "-1.5", "true", "null"])
def test_a_value_that_is_neither_object_nor_array_is_given_at_the_end(text: str) -> None:
    assert read(text, wanted=ResponseFormat("json_schema", {})) == ([text], [])


def test_an_object_behind_a_word_is_found_where_a_scalar_would_do_too() -> None:
    assert read("the answer: [1]", wanted=ResponseFormat("json_schema", {})) == (["[1]"], ["text_around_json"])


def test_an_array_is_looked_for_where_an_array_was_asked_for() -> None:
    wanted = ResponseFormat("json_schema", {"type": "array", "items": {"type": "integer"}})
    assert read("{see}: [1, 2]", wanted=wanted) == (["[1, 2]"], ["text_around_json"])
    assert broken('["a"]', wanted=wanted) == "json_off_schema"


def test_a_reply_that_was_cut_is_what_its_finish_reason_says() -> None:
    assert read('{"city": "Os', reason="length") == (['{"city": "Os'], [])
    assert read("The answer", reason="length") == (["The answer"], [])


def test_a_value_that_was_whole_before_the_cut_is_held_to_its_schema() -> None:
    assert broken('{"city": "Rome"} and', reason="length") == "json_off_schema"


def test_a_model_that_calls_tools_has_not_answered_yet() -> None:
    assert read("Let me look.", reason="tool_calls", has_calls=True) == (["Let me look."], [])


def test_a_schema_that_is_none_is_the_callers_mistake() -> None:
    with pytest.raises(RequestInvalid) as caught:
        JsonCheck(ResponseFormat("json_schema", {"type": "strin"}), Repairs())
    assert caught.value.param == "response_format"


@given(st.text(alphabet='{}[]"\\,:a1 \n-', max_size=40), st.integers(0, 40))
def test_any_text_is_passed_or_broken_the_same_however_it_is_cut(text: str, cut: int) -> None:
    def outcome(*pieces: str) -> object:
        try:
            texts, repairs = read(*pieces, wanted=ResponseFormat("json_schema", {}))
        except ReplyBroken as exc:
            return exc.kind
        return "".join(texts), repairs

    assert outcome(text) == outcome(text[:cut], text[cut:])
