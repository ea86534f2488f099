"""Control tokens, calls left in the text, garbage and loops."""

import itertools

import pytest

from gemstead.core.errors import ReplyBroken
from gemstead.core.facts import ModelFacts
from gemstead.core.types import ChatRequest, Event, FinishReason, ReasoningDelta, TextDelta, ToolCallDelta, Warning
from gemstead.pipeline.catches import Repairs
from gemstead.pipeline.text_check import TextCheck
from gemstead.pipeline.token_filter import TokenFilter, token_set

GEMMA = ModelFacts(template="gemma4-large")
CHATML = ModelFacts(control_tokens=frozenset({"<|im_start|>", "<|im_end|>", "<filename>", "</s>", "<start_of_turn>"}))
ASKED = ChatRequest("m", ())


def read(
    *pieces: Event, facts: ModelFacts = GEMMA, reason: FinishReason = "stop"
) -> tuple[str, str, list[ToolCallDelta], list[str]]:
    """The text, the reasoning, the calls, and what was repaired."""
    repairs = Repairs()
    check = TextCheck(ASKED, facts, repairs)
    events: list[Event] = []
    for piece in pieces:
        assert isinstance(piece, TextDelta | ReasoningDelta)
        events += check.feed(piece.text) if isinstance(piece, TextDelta) else check.feed_reasoning(piece.text)
    events += check.close(reason)
    return (
        "".join(event.text for event in events if isinstance(event, TextDelta)),
        "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        [event for event in events if isinstance(event, ToolCallDelta)],
        list(repairs.kinds),
    )


def test_clean_text_and_reasoning_pass_as_they_are() -> None:
    assert read(ReasoningDelta("a < b"), TextDelta("so b > a, <b>")) == ("so b > a, <b>", "a < b", [], [])


@pytest.mark.parametrize("token", ["<turn|>", "<|turn>", "<channel|>", "<tool_call|>", "<eos>", '<|"|>', "<|image|>"])
def test_a_control_token_in_the_text_is_left_out_wherever_it_is_cut(token: str) -> None:
    for cut in range(len(token)):
        text, _, _, repairs = read(TextDelta("Oslo" + token[:cut]), TextDelta(token[cut:]))
        assert text == "Oslo"
        assert repairs == ["leaked_token"]


def test_a_thought_in_the_text_goes_where_it_belongs() -> None:
    text, thought, _, repairs = read(TextDelta("<|channel>thought\nhm\n<channel|>Oslo"))
    assert (text, thought, repairs) == ("Oslo", "hm", ["leaked_token"])


def test_an_answer_in_the_reasoning_goes_where_it_belongs() -> None:
    text, thought, _, repairs = read(ReasoningDelta("hm\n<channel|>Os"), ReasoningDelta("lo"))
    assert (text, thought, repairs) == ("Oslo", "hm", ["leaked_token"])


def test_what_the_reasoning_held_back_comes_before_the_text() -> None:
    assert read(ReasoningDelta("a <"), TextDelta("b")) == ("b", "a <", [], [])


def test_dashes_before_a_thought_are_left_out() -> None:
    assert read(TextDelta('---\n<|channel>thought\n<channel|>{"a":1}'))[0] == '{"a":1}'


@pytest.mark.parametrize("own", [TextDelta, ReasoningDelta])
def test_a_call_that_the_engine_left_unread_is_read(own: type[TextDelta] | type[ReasoningDelta]) -> None:
    _, _, calls, repairs = read(own('<|tool_call>call:look{at:<|"|>sky "}<|"|>}<tool_call|>'))
    assert [(call.name, call.arguments) for call in calls] == [("look", '{"at":"sky \\"}"}')]
    assert repairs == ["unparsed_call"]


def test_a_call_that_cannot_be_read_is_an_error_with_its_text() -> None:
    with pytest.raises(ReplyBroken, match="cannot be read") as caught:
        read(TextDelta("<|tool_call>call:look{at:{{<tool_call|>"))
    assert caught.value.kind == "unparsed_call"
    assert "call:look{at:{{" in str(caught.value.why)


def test_a_call_cut_with_the_reply_is_only_warned_about() -> None:
    repairs = Repairs()
    check = TextCheck(ASKED, GEMMA, repairs)
    check.feed("<|tool_call>call:look{at:")
    (warning,) = check.close("length")
    assert isinstance(warning, Warning)
    assert (warning.code, warning.param, repairs.kinds) == ("call_cut", "max_tokens", [])


def test_a_thought_cut_with_the_reply_is_no_leak() -> None:
    assert read(ReasoningDelta("hm, le"), reason="length") == ("", "hm, le", [], [])


def test_another_models_own_control_tokens_are_left_out() -> None:
    text, _, _, repairs = read(TextDelta("Paris<|im"), TextDelta("_end|>"), facts=CHATML)
    assert (text, repairs) == ("Paris", ["leaked_token"])


def test_another_model_may_write_about_the_tokens_of_gemma() -> None:
    assert read(TextDelta("<|turn> opens a turn"), facts=CHATML) == ("<|turn> opens a turn", "", [], [])


def test_words_that_people_write_are_no_leaks_though_they_are_tokens() -> None:
    assert read(TextDelta("cp <filename> <s>x</s>"), facts=CHATML) == ("cp <filename> <s>x</s>", "", [], [])


def test_a_filter_gives_the_same_text_however_it_is_cut() -> None:
    whole = "a<|im_start|>b<|im_<|im_end|>c<<|im"
    tokens = token_set(CHATML.control_tokens)
    for first, second in itertools.combinations(range(len(whole) + 1), 2):
        cut = TokenFilter(tokens)
        pieces = [cut.feed(whole[:first]), cut.feed(whole[first:second]), cut.feed(whole[second:]), cut.close()]
        assert "".join(pieces) == "ab<|im_c<<|im"
        assert cut.has_cut


def test_a_model_without_tokens_of_its_own_passes_everything() -> None:
    assert token_set(frozenset({"<s>"})) is None
    assert read(TextDelta("<|im_end|>"), facts=ModelFacts())[0] == "<|im_end|>"


@pytest.mark.parametrize("facts", [GEMMA, CHATML, ModelFacts()])
@pytest.mark.parametrize("own", [TextDelta, ReasoningDelta])
def test_unused_tokens_are_an_error_at_the_first(
    own: type[TextDelta] | type[ReasoningDelta], facts: ModelFacts
) -> None:
    with pytest.raises(ReplyBroken) as caught:
        read(own("<unused24>"), facts=facts)
    assert caught.value.kind == "unused_run"


@pytest.mark.parametrize("own", [TextDelta, ReasoningDelta])
def test_a_loop_is_an_error(own: type[TextDelta] | type[ReasoningDelta]) -> None:
    with pytest.raises(ReplyBroken) as caught:
        read(*[own("and so it goes on ")] * 400)
    assert caught.value.kind == "repetition_loop"


def test_a_leak_in_a_text_that_must_have_none_is_named() -> None:
    assert TextCheck(ASKED, GEMMA, Repairs()).find_leak('{"city":"<|"|>Oslo<|"|>"}') == '<|"|>'
    assert TextCheck(ASKED, CHATML, Repairs()).find_leak("x<|im_end|>") == "<|im_end|>"
    assert TextCheck(ASKED, ModelFacts(), Repairs()).find_leak("<|im_end|>") is None
