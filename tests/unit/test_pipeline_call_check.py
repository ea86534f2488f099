"""Tool calls held to what was offered and asked for."""

from typing import Any

import pytest

from gemstead.core.errors import ReplyBroken, RequestInvalid
from gemstead.core.types import ChatRequest, Event, FinishReason, Tool, ToolCallDelta, ToolChoice, Warning
from gemstead.pipeline.call_check import MAX_CALLS, CallCheck
from gemstead.pipeline.catches import Repairs

WEATHER = Tool(
    "weather",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
)
TIME = Tool("time")
OSLO = '{"city":"Oslo"}'


def finish(
    *pieces: ToolCallDelta, reason: FinishReason = "tool_calls", has_text: bool = False, **asked: Any
) -> tuple[list[Event], FinishReason, list[str]]:
    """The events, the finish reason, and what was repaired."""
    repairs = Repairs()
    request = ChatRequest("m", (), **({"tools": (WEATHER, TIME)} | asked))
    check = CallCheck(request, lambda text: '<|"|>' if '<|"|>' in text else None, repairs)
    for piece in pieces:
        check.feed(piece)
    events, matching = check.finish(reason, has_text=has_text)
    return events, matching, list(repairs.kinds)


def broken(*pieces: ToolCallDelta, **asked: Any) -> ReplyBroken:
    with pytest.raises(ReplyBroken) as caught:
        finish(*pieces, **asked)
    return caught.value


def call(arguments: str = OSLO, name: str = "weather", index: int = 0, id_: str | None = "id") -> ToolCallDelta:
    return ToolCallDelta(index, id_, name, arguments)


def test_pieces_of_a_call_come_out_as_one_whole_call() -> None:
    pieces = (call('{"city"'), ToolCallDelta(0, arguments=':"Oslo"'), ToolCallDelta(0, arguments="}"))
    assert finish(*pieces) == ([call()], "tool_calls", [])


def test_arguments_stay_exactly_as_they_arrived() -> None:
    spaced = '{ "city" : "Oslo", "days": 2 }'
    assert finish(call(spaced))[0] == [call(spaced)]


def test_parallel_calls_keep_their_order_and_get_consecutive_indices() -> None:
    events, _, _ = finish(call(index=4, id_="b", name="time", arguments="{}"), call(index=2, id_="a"))
    assert events == [call(id_="a"), call("{}", "time", index=1, id_="b")]


def test_missing_and_repeated_ids_become_new_ones() -> None:
    events, _, _ = finish(call(id_=None), call(index=1, id_="x"), call(index=2, id_="x"))
    ids = [event.id for event in events if isinstance(event, ToolCallDelta)]
    assert ids[1] == "x"
    assert len(set(ids)) == 3
    assert all(ids)


def test_a_call_to_a_tool_that_was_not_offered_is_broken_and_names_what_was() -> None:
    error = broken(call(name="rm"))
    assert (error.kind, error.why) == ("unknown_tool", "offered: weather, time")


def test_a_call_where_no_tools_were_offered_is_broken() -> None:
    assert broken(call(), tools=()).kind == "unknown_tool"


@pytest.mark.parametrize("arguments", ['{"city":', "[1]", "7", "null", '"Oslo"', "{" * 5000, "{city:Oslo}", OSLO + "}"])
def test_arguments_that_are_no_object_are_broken(arguments: str) -> None:
    assert broken(call(arguments)).kind == "arguments_invalid"


@pytest.mark.parametrize("arguments", ["{}", '{"city":1}', '{"city":"Oslo","days":"two"}', '{"city":null}'])
def test_arguments_off_the_schema_are_broken_and_say_where(arguments: str) -> None:
    error = broken(call(arguments))
    assert error.kind == "arguments_off_schema"
    assert str(error.why).startswith("at ")


def test_no_arguments_at_all_are_none_where_none_are_needed() -> None:
    assert finish(call("", "time"))[0] == [call("{}", "time")]
    assert broken(call("")).kind == "arguments_off_schema"


def test_an_object_inside_a_string_is_taken_out() -> None:
    assert finish(call('"{\\"city\\":\\"Oslo\\"}"'))[0] == [call()]


def test_delimiters_left_in_the_arguments_are_broken_however_they_are_escaped() -> None:
    for value in ('<|\\"|>Oslo<|\\"|>', '\\u003c|\\"|>Oslo'):
        assert broken(call(f'{{"city":"{value}"}}')).kind == "leaked_token"


def test_stop_after_calls_becomes_tool_calls_and_says_so() -> None:
    events, reason, repairs = finish(call(), reason="stop")
    assert isinstance(events[0], Warning)
    assert events[1:] == [call()]
    assert (reason, repairs) == ("tool_calls", ["finish_mismatch"])


def test_tool_calls_without_a_call_is_broken() -> None:
    assert broken().kind == "finish_mismatch"


def test_an_end_without_calls_is_left_alone() -> None:
    for reason in ("stop", "length", "content_filter"):
        assert finish(reason=reason) == ([], reason, [])  # type: ignore[arg-type]


def test_a_call_cut_with_the_reply_is_left_out_with_a_warning() -> None:
    events, reason, repairs = finish(call(), call('{"ci', index=1), reason="length")
    assert isinstance(events[0], Warning)
    assert events[0].code == "call_cut"
    assert events[1:] == [call()]
    assert (reason, repairs) == ("length", [])


def test_a_call_where_calls_were_ruled_out_is_broken() -> None:
    assert broken(call(), tool_choice=ToolChoice("none")).kind == "tool_choice_ignored"


@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("named", "weather")])
def test_no_call_where_one_was_required_is_broken_unless_the_reply_was_cut(choice: ToolChoice) -> None:
    assert broken(reason="stop", tool_choice=choice).kind == "tool_choice_ignored"
    assert finish(reason="length", tool_choice=choice) == ([], "length", [])
    assert finish(call(arguments='{"ci'), reason="length", has_text=True, tool_choice=choice)[1] == "length"


def test_text_instead_of_a_required_call_is_broken_however_short_it_was_cut() -> None:
    error = broken(reason="length", has_text=True, tool_choice=ToolChoice("required"))
    assert error.kind == "tool_choice_ignored"


def test_a_call_to_another_function_than_the_named_one_is_broken() -> None:
    error = broken(call(), call("{}", "time", index=1), tool_choice=ToolChoice("named", "weather"))
    assert error.kind == "tool_choice_ignored"
    assert "time" in error.what


def test_the_named_call_is_given() -> None:
    assert finish(call(), tool_choice=ToolChoice("named", "weather"))[0] == [call()]


def test_only_the_first_call_is_given_where_parallel_calls_are_off() -> None:
    events, _, repairs = finish(call(), call("{}", "time", 1), has_parallel_tool_calls=False)
    assert isinstance(events[0], Warning)
    assert events[1:] == [call()]
    assert repairs == ["too_many_calls"]


def test_more_calls_than_anybody_makes_are_broken() -> None:
    assert broken(*[call("{}", "time", index) for index in range(MAX_CALLS + 1)]).kind == "too_many_calls"


def test_a_tool_whose_parameters_are_no_schema_is_the_callers_mistake() -> None:
    with pytest.raises(RequestInvalid) as caught:
        finish(tools=(TIME, Tool("x", parameters={"type": "strin"})))
    assert caught.value.param == "tools[1].parameters"
