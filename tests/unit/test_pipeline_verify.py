import pytest

from gemstead.core.errors import EngineError, EngineFailed
from gemstead.core.types import Event, Finish, ReasoningDelta, TextDelta, ToolCallDelta, Usage, Warning
from gemstead.pipeline.verify import ReplyCheck

USED = Usage(prompt_tokens=3, completion_tokens=7)


def through(*events: Event) -> tuple[list[Event], ReplyCheck]:
    check = ReplyCheck()
    passed = [passed for event in events for passed in check.feed(event)]
    check.close()
    return passed, check


def test_a_sound_reply_passes_unchanged_with_usage_before_the_finish() -> None:
    passed, check = through(USED, TextDelta("a"), Finish("stop"))
    assert passed == [TextDelta("a"), USED, Finish("stop")]
    assert check.catches == []


@pytest.mark.parametrize("output", [TextDelta("a"), ReasoningDelta("a"), ToolCallDelta(0, "id", "look")])
def test_text_or_reasoning_or_a_tool_call_is_something(output: Event) -> None:
    assert through(output, Finish("stop"))[1].catches == []


def test_an_empty_reply_is_refused_before_any_of_it_is_passed_on() -> None:
    check = ReplyCheck()
    assert list(check.feed(TextDelta(""))) == list(check.feed(ReasoningDelta(""))) == []
    assert list(check.feed(USED)) == []
    with pytest.raises(EngineError, match="empty") as caught:
        list(check.feed(Finish("stop")))
    assert caught.value.code == "engine_error"
    assert caught.value.why == "it counted 7 tokens and delivered none"
    assert check.catches == ["empty_reply"]


@pytest.mark.parametrize("usage", [(), (Usage(3, 0),)])
def test_a_model_that_stops_at_once_is_said_to(usage: tuple[Usage, ...]) -> None:
    with pytest.raises(EngineError) as caught:
        through(*usage, Finish("stop"))
    assert caught.value.why == "the model ended its turn at once"


def test_a_reply_cut_before_its_first_visible_token_passes_with_a_warning() -> None:
    passed, check = through(USED, Finish("length"))
    assert isinstance(passed[0], Warning)
    assert passed[1:] == [USED, Finish("length")]
    assert check.catches == ["empty_reply"]


def test_a_filtered_reply_may_be_empty() -> None:
    assert through(Finish("content_filter"))[0] == [Finish("content_filter")]


def test_a_reply_that_breaks_off_is_an_error_even_after_text() -> None:
    with pytest.raises(EngineFailed, match="broke off"):
        through(TextDelta("a"))


@pytest.mark.parametrize("reason", ["error", "cancelled"])
def test_an_engine_that_gives_up_without_a_reason_is_an_error(reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        through(TextDelta("a"), Finish(reason))  # type: ignore[arg-type]


def test_what_comes_after_the_finish_is_dropped_and_counted_once() -> None:
    passed, check = through(TextDelta("a"), Finish("stop"), TextDelta("b"), Finish("length"))
    assert passed == [TextDelta("a"), Finish("stop")]
    assert check.catches == ["event_after_finish"]
