import pytest

from gemstead.core.errors import ReplyBroken
from gemstead.core.facts import ModelFacts
from gemstead.core.types import (
    ChatRequest,
    Event,
    Finish,
    Message,
    ReasoningDelta,
    ResponseFormat,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    ToolChoice,
    Usage,
    Warning,
)
from gemstead.pipeline.verify import ReplyCheck

USED = Usage(prompt_tokens=3, completion_tokens=7)
LOOK = Tool("look", parameters={"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]})
ASKED = ChatRequest("m", (Message("user", (TextPart("hi"),)),), tools=(LOOK,))
GEMMA = ModelFacts(template="gemma4-small")
CALL = ToolCallDelta(0, "id", "look", '{"at":"sky"}')


def through(*events: Event, request: ChatRequest = ASKED, facts: ModelFacts = GEMMA) -> tuple[list[Event], list[str]]:
    """What was passed on, and what was repaired."""
    check = ReplyCheck(request, facts, max_chars=100_000)
    passed = [passed for event in events for passed in check.feed(event)]
    check.close()
    return passed, list(check.repairs.kinds)


def test_a_sound_reply_passes_unchanged_with_usage_before_the_finish() -> None:
    assert through(USED, TextDelta("a"), Finish("stop")) == ([TextDelta("a"), USED, Finish("stop")], [])


@pytest.mark.parametrize("output", [TextDelta("a"), ReasoningDelta("a")])
def test_text_or_reasoning_is_something(output: Event) -> None:
    assert through(output, Finish("stop")) == ([output, Finish("stop")], [])


def test_a_tool_call_is_something() -> None:
    assert through(CALL, Finish("tool_calls")) == ([CALL, Finish("tool_calls")], [])


def test_an_empty_reply_is_refused_before_any_of_it_is_passed_on() -> None:
    check = ReplyCheck(ASKED, GEMMA, 100)
    assert list(check.feed(TextDelta(""))) == list(check.feed(ReasoningDelta(""))) == []
    assert list(check.feed(USED)) == []
    with pytest.raises(ReplyBroken, match="empty") as caught:
        check.feed(Finish("stop"))
    assert caught.value.kind == "empty_reply"
    assert caught.value.why == "it counted 7 tokens and delivered none"


@pytest.mark.parametrize("usage", [(), (Usage(3, 0),)])
def test_a_model_that_stops_at_once_is_said_to(usage: tuple[Usage, ...]) -> None:
    with pytest.raises(ReplyBroken) as caught:
        through(*usage, Finish("stop"))
    assert caught.value.why == "the model ended its turn at once"


def test_a_text_to_continue_may_be_over_where_it_stands() -> None:
    request = ChatRequest("m", (), prompt="The end.")
    assert through(USED, Finish("stop"), request=request)[0] == [USED, Finish("stop")]


def test_a_text_to_continue_is_not_searched_for_tokens() -> None:
    request = ChatRequest("m", (), prompt="<|turn>model\n")
    assert through(TextDelta("a<turn|>b"), Finish("stop"), request=request) == (
        [TextDelta("a<turn|>b"), Finish("stop")],
        [],
    )


def test_a_reply_with_nothing_but_markers_in_it_is_empty() -> None:
    with pytest.raises(ReplyBroken) as caught:
        through(TextDelta("<turn|>"), Finish("stop"))
    assert caught.value.kind == "empty_reply"


def test_a_reply_of_nothing_but_dashes_is_empty() -> None:
    with pytest.raises(ReplyBroken) as caught:
        through(TextDelta("--"), TextDelta("-\n"), Finish("stop"))
    assert caught.value.kind == "empty_reply"


def test_dashes_before_an_answer_are_part_of_it() -> None:
    assert through(TextDelta("---\n"), TextDelta("# Oslo"), Finish("stop"))[0][0] == TextDelta("---\n# Oslo")


def test_a_reply_cut_before_its_first_visible_token_passes_with_a_warning() -> None:
    passed, repairs = through(USED, Finish("length"))
    assert isinstance(passed[0], Warning)
    assert passed[0].param == "max_tokens"
    assert passed[1:] == [USED, Finish("length")]
    assert repairs == []


def test_a_filtered_reply_may_be_empty() -> None:
    assert through(Finish("content_filter"))[0] == [Finish("content_filter")]


def test_a_reply_that_breaks_off_is_an_error_even_after_text() -> None:
    with pytest.raises(ReplyBroken, match="broke off") as caught:
        through(TextDelta("a"))
    assert caught.value.kind == "no_finish"


@pytest.mark.parametrize("reason", ["error", "cancelled"])
def test_an_engine_that_gives_up_without_a_reason_is_an_error(reason: str) -> None:
    with pytest.raises(ReplyBroken, match=reason) as caught:
        through(TextDelta("a"), Finish(reason))  # type: ignore[arg-type]
    assert caught.value.kind == "error_finish"


def test_what_comes_after_the_finish_is_dropped_and_counted_once() -> None:
    passed, repairs = through(TextDelta("a"), Finish("stop"), TextDelta("b"), Finish("length"))
    assert passed == [TextDelta("a"), Finish("stop")]
    assert repairs == ["event_after_finish"]


@pytest.mark.parametrize("endless", [TextDelta, ReasoningDelta])
def test_a_reply_without_an_end_is_ended(endless: type[TextDelta] | type[ReasoningDelta]) -> None:
    with pytest.raises(ReplyBroken) as caught:
        through(*[endless(f"{number} ") for number in range(50_000)])
    assert caught.value.kind == "endless_reply"


def test_arguments_without_an_end_are_ended() -> None:
    with pytest.raises(ReplyBroken) as caught:
        through(*[ToolCallDelta(0, arguments=f"{number} ") for number in range(50_000)])
    assert caught.value.kind == "endless_reply"


def test_what_the_engine_says_about_its_stop_is_kept() -> None:
    assert through(TextDelta("a"), Finish("stop", stop_text="END"))[0][-1] == Finish("stop", stop_text="END")


def test_text_is_held_back_where_a_call_is_required_and_comes_before_it() -> None:
    request = ChatRequest("m", ASKED.messages, tools=(LOOK,), tool_choice=ToolChoice("required"))
    check = ReplyCheck(request, GEMMA, 1000)
    assert check.feed(TextDelta("Let me look. ")) == []
    assert check.feed(CALL) == []
    assert check.feed(Finish("tool_calls")) == [TextDelta("Let me look. "), CALL, Finish("tool_calls")]


def test_a_call_left_in_the_text_of_a_json_reply_is_read() -> None:
    request = ChatRequest("m", ASKED.messages, tools=(LOOK,), response_format=ResponseFormat("json_object"))
    passed, repairs = through(
        TextDelta('<|tool_call>call:look{at:<|"|>sky<|"|>}<tool_call|>'), Finish("stop"), request=request
    )
    (call,) = [event for event in passed if isinstance(event, ToolCallDelta)]
    assert (call.name, call.arguments) == ("look", '{"at":"sky"}')
    assert passed[-1] == Finish("tool_calls")
    assert repairs == ["unparsed_call", "finish_mismatch"]
