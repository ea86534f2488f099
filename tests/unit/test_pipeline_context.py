import msgspec
import pytest

from door_fakes import FakeEngine, ask
from gemstead.core.errors import ContextOverflow
from gemstead.core.types import ChatRequest, Message, Sampling, TextPart, Tool, ToolCall
from gemstead.gemma.template import render
from gemstead.pipeline.context import Fitted, fit_context, prompt_bounds, split_turns


class CountingFake(FakeEngine):
    """Counts a token for each word of all messages."""

    async def count_tokens(self, request: ChatRequest) -> int:
        self.counted.append(request)
        return sum(len(message.text.split()) for message in request.messages)


def said(role: str, num_words: int) -> Message:
    return msgspec.structs.replace(Message("user", (TextPart("word " * num_words),)), role=role)


def dialogue(num_turns: int, words_per_message: int = 20) -> ChatRequest:
    """A system message of 10 words, then turns of a question and an answer; the last has no answer yet."""
    turns = [said(role, words_per_message) for _ in range(num_turns) for role in ("user", "assistant")]
    return ChatRequest("fake", (said("system", 10), *turns[:-1]))


async def drop(request: ChatRequest, context_length: int) -> tuple[Fitted, CountingFake]:
    engine = CountingFake(context_length=context_length)
    return await fit_context(engine, request, "drop_oldest"), engine


async def test_a_prompt_that_leaves_no_room_is_refused_with_the_numbers() -> None:
    engine = FakeEngine(context_length=100, num_tokens=100)
    with pytest.raises(ContextOverflow, match=r"100 tokens and the context length is 100") as caught:
        await fit_context(engine, ask())
    assert (caught.value.prompt_tokens, caught.value.context_length) == (100, 100)
    assert caught.value.hint


async def test_one_token_of_room_is_enough() -> None:
    request = ask()
    assert await fit_context(FakeEngine(context_length=100, num_tokens=99), request) == Fitted(request)


async def test_an_answer_that_will_be_cut_short_is_warned_about() -> None:
    engine = FakeEngine(context_length=100, num_tokens=80)
    (warning,) = (await fit_context(engine, ask(sampling=Sampling(max_tokens=21)))).warnings
    assert warning.param == "max_tokens"
    assert "only 20 fit" in warning.message
    assert (await fit_context(engine, ask(sampling=Sampling(max_tokens=20)))).warnings == ()


async def test_a_short_prompt_is_not_counted_and_a_long_one_is() -> None:
    engine = FakeEngine(context_length=4096)
    await fit_context(engine, ask("hi"))
    assert engine.counted == []
    await fit_context(engine, ask("x" * 4000))
    assert len(engine.counted) == 1


async def test_a_short_prompt_is_counted_if_the_answer_may_be_long() -> None:
    engine = FakeEngine(context_length=4096)
    await fit_context(engine, ask("hi", sampling=Sampling(max_tokens=4000)))
    assert len(engine.counted) == 1


async def test_media_whose_tokens_are_bounded_need_no_count_and_others_do() -> None:
    engine = FakeEngine(context_length=4096)
    await fit_context(engine, ask(), media_tokens=1122)
    assert engine.counted == []
    await fit_context(engine, ask(), media_tokens=None)
    assert len(engine.counted) == 1


async def test_a_long_conversation_is_refused_unless_the_policy_drops() -> None:
    with pytest.raises(ContextOverflow):
        await fit_context(CountingFake(context_length=100), dialogue(10))


async def test_as_few_of_the_oldest_turns_are_left_out_as_make_room_for_the_answer() -> None:
    request = dialogue(10)
    fitted, _ = await drop(request, context_length=200)
    # Room for an answer is a quarter, 50 tokens; 10 are the system's and 20 the last question's: 3 turns of 40 fit.
    assert fitted.request.messages == (request.messages[0], *request.messages[-7:])
    assert fitted.dropped_messages == 12
    (warning,) = fitted.warnings
    assert (warning.code, warning.param) == ("context_dropped", "messages")
    assert warning.message == "dropped 12 of 20 messages; prompt 150 of 200 tokens"


async def test_a_small_max_tokens_makes_do_with_less_room() -> None:
    request = msgspec.structs.replace(dialogue(10), sampling=Sampling(max_tokens=1))
    fitted, _ = await drop(request, context_length=191)
    assert fitted.dropped_messages == 12 - 2


@pytest.mark.parametrize("num_turns", [2, 3, 9, 100, 1000])
async def test_the_engine_is_asked_few_times_however_long_the_conversation(num_turns: int) -> None:
    fitted, engine = await drop(dialogue(num_turns), context_length=80)
    assert fitted.dropped_messages == 2 * (num_turns - 1)
    assert len(engine.counted) <= 3 + num_turns.bit_length()


async def test_the_last_turn_stays_whole_and_is_refused_if_even_it_does_not_fit() -> None:
    request = dialogue(3)
    long = msgspec.structs.replace(request, messages=(*request.messages[:-1], said("user", 100)))
    with pytest.raises(ContextOverflow, match="even with every turn but the last left out") as caught:
        await drop(long, context_length=100)
    assert caught.value.prompt_tokens == 110


async def test_a_conversation_of_one_turn_has_nothing_to_leave_out() -> None:
    with pytest.raises(ContextOverflow, match=r"the context length is 100$"):
        await drop(ChatRequest("fake", (said("user", 100), said("assistant", 5))), context_length=100)


async def test_the_last_turn_may_leave_less_room_than_is_reserved() -> None:
    fitted, _ = await drop(dialogue(2), context_length=31)
    assert fitted.dropped_messages == 2


async def test_nothing_is_left_out_of_what_fits() -> None:
    request = dialogue(3)
    fitted, engine = await drop(request, context_length=1000)
    assert fitted == Fitted(request)
    assert len(engine.counted) == 1


def test_a_turn_is_a_question_and_all_that_answers_it() -> None:
    call = ToolCall("1", "look", "{}")
    messages = (
        said("system", 1),
        said("assistant", 1),
        said("user", 1),
        Message("assistant", tool_calls=(call,)),
        Message("tool", (TextPart("found"),), tool_call_id="1"),
        said("assistant", 1),
        said("system", 1),
        said("user", 1),
    )
    assert split_turns(messages) == [[1], [2, 3, 4, 5], [7]]


@pytest.mark.parametrize("text", ["", "plain", "käse", "日本語", "🏔" * 10, "\x00" * 50])
def test_no_bound_is_below_one_token_a_byte(text: str) -> None:
    guessed, measured = prompt_bounds(ask(text), template="gemma4-small")
    assert guessed >= len(text.encode()) + 32
    assert measured >= len(render(ask(text), "gemma4-small").encode())


def test_tools_count_towards_the_bound() -> None:
    (plain,), (offered,) = prompt_bounds(ask()), prompt_bounds(ask(tools=(Tool("look", "x" * 1000),)))
    assert offered - plain >= 1000


def test_media_of_unknown_length_have_no_bound() -> None:
    assert list(prompt_bounds(ask(), None, "gemma4-small")) == []


def test_a_gemma_prompt_is_measured_where_a_guess_about_templates_is_too_much() -> None:
    parameters = {"type": "object", "properties": {f"field_{number}": {"type": "string"} for number in range(40)}}
    guessed, measured = prompt_bounds(ask("hi", tools=(Tool("look", "Looks.", parameters),)), template="gemma4-small")
    assert measured < guessed
