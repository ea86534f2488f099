"""Mended, asked for again once, or refused: whole and streamed, against a fake engine that is told what to say."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest

from door_fakes import FakeEngine, FakeReplies, ask, fake_exchange
from gemstead.core.errors import EngineBusy, EngineFailed, ReplyBroken, RequestInvalid
from gemstead.core.facts import ModelFacts
from gemstead.core.types import (
    Event,
    Finish,
    ReasoningDelta,
    ResponseFormat,
    Sampling,
    TextDelta,
    Tool,
    ToolCallDelta,
    ToolChoice,
    Usage,
    Warning,
)
from gemstead.pipeline.admission import Admission
from gemstead.pipeline.catches import Catch
from gemstead.pipeline.outcome import Outcome
from gemstead.pipeline.retry import RETRY_TEMPERATURE, ask_again

GEMMA = ModelFacts(template="gemma4-small")
GOOD = (TextDelta("Oslo"), Usage(5, 1), Finish("stop"))
GARBAGE = (TextDelta("<unused24>"), Finish("length"))
LOOP = (*[TextDelta("and so on ") for _ in range(1000)], Finish("length"))
CITY = ResponseFormat("json_schema", {"type": "object", "required": ["city"]})


class Run:
    """What one exchange gave, and what it came to."""

    def __init__(self, engine: FakeEngine, **asked: Any) -> None:
        self.engine = engine
        self.asked = asked
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []
        self.error: Exception | None = None

    async def go(self) -> "Run":
        exchange = fake_exchange(self.engine, self.outcomes.append, facts=GEMMA)
        try:
            self.events = [event async for event in self._noting(exchange.chat(ask(**self.asked)))]
        except ReplyBroken as exc:
            self.error = exc
        return self

    async def _noting(self, events: Any) -> Any:
        async for event in events:
            self.events.append(event)
            yield event

    @property
    def catches(self) -> list[tuple[str, str]]:
        (outcome,) = self.outcomes
        return [(catch.kind, catch.action) for catch in outcome.catches]

    @property
    def warnings(self) -> list[str]:
        return [event.code for event in self.events if isinstance(event, Warning)]

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))


async def run(*replies: Sequence[Any], **asked: Any) -> Run:
    return await Run(FakeReplies(*map(tuple, replies)), **asked).go()


both = pytest.mark.parametrize("is_stream", [True, False])


@both
async def test_a_sound_reply_is_asked_for_once_and_given_as_it_came(is_stream: bool) -> None:
    done = await run(GOOD, is_stream=is_stream)
    assert done.events == list(GOOD)
    assert (done.catches, len(done.engine.requests)) == ([], 1)


@both
async def test_a_broken_reply_is_asked_for_again_and_the_warning_comes_first(is_stream: bool) -> None:
    done = await run(GARBAGE, GOOD, is_stream=is_stream)
    assert isinstance(done.events[0], Warning)
    assert done.events[0].code == "reply_retried"
    assert "unused_run" in done.events[0].message
    assert done.events[1:] == list(GOOD)
    assert done.catches == [("unused_run", "retried")]


@both
async def test_a_reply_broken_twice_is_refused_and_there_is_no_third_attempt(is_stream: bool) -> None:
    done = await run(GARBAGE, (Finish("stop"),), GOOD, is_stream=is_stream)
    assert isinstance(done.error, ReplyBroken)
    assert done.error.kind == "empty_reply"
    assert done.catches == [("unused_run", "retried"), ("empty_reply", "refused")]
    assert len(done.engine.requests) == 2
    assert done.outcomes[0].error_code == "reply_broken"


async def test_what_was_streamed_cannot_be_asked_for_again() -> None:
    done = await run((TextDelta("It is "), *GARBAGE[:1] * 3, Finish("length")), GOOD, is_stream=True)
    assert isinstance(done.error, ReplyBroken)
    assert done.text.startswith("It is ")
    assert done.catches == [("unused_run", "refused")]
    assert len(done.engine.requests) == 1


async def test_a_whole_reply_broken_at_its_end_is_asked_for_again() -> None:
    done = await run(
        (TextDelta('{"town": "Oslo"}'), Finish("stop")),
        (TextDelta('{"city": 1}'), Finish("stop")),
        response_format=CITY,
    )
    assert done.text == '{"city": 1}'
    assert done.catches == [("json_off_schema", "retried")]


async def test_a_streamed_reply_broken_at_its_end_is_an_error() -> None:
    done = await run((TextDelta('{"town": "Oslo"}'), Finish("stop")), GOOD, response_format=CITY, is_stream=True)
    assert isinstance(done.error, ReplyBroken)
    assert done.catches == [("json_off_schema", "refused")]
    assert len(done.engine.requests) == 1


async def test_a_streamed_call_is_whole_and_valid_before_it_is_given_so_it_can_be_asked_for_again() -> None:
    tool = Tool("look", parameters={"required": ["at"]})
    bad = (ToolCallDelta(0, "a", "look", '{"on"'), ToolCallDelta(0, arguments=":1}"), Finish("tool_calls"))
    good = (ToolCallDelta(0, "b", "look", '{"at":1}'), Finish("tool_calls"))
    done = await run(bad, good, tools=(tool,), is_stream=True)
    assert done.warnings == ["reply_retried"]
    assert done.events[1:] == [*good]


async def test_text_instead_of_a_required_call_is_asked_for_again_even_streamed() -> None:
    good = (ToolCallDelta(0, "b", "look", "{}"), Finish("tool_calls"))
    done = await run(GOOD, good, tools=(Tool("look"),), tool_choice=ToolChoice("named", "look"), is_stream=True)
    assert done.events[1:] == [*good]
    assert done.catches == [("tool_choice_ignored", "retried")]


@both
async def test_what_was_mended_is_said_and_counted(is_stream: bool) -> None:
    done = await run((TextDelta("Oslo<turn|>"), Usage(5, 2), Finish("stop")), is_stream=is_stream)
    assert done.text == "Oslo"
    assert done.warnings == ["reply_repaired"]
    assert done.catches == [("leaked_token", "repaired")]


async def test_what_was_mended_in_a_reply_that_was_thrown_away_is_not_counted() -> None:
    done = await run((TextDelta("<turn|>"), Finish("stop")), GOOD)
    assert done.warnings == ["reply_retried"]
    assert done.catches == [("empty_reply", "retried")]


async def test_a_streamed_loop_is_cut_and_ends_at_length() -> None:
    done = await run((TextDelta("Well: "), *LOOP), is_stream=True)
    assert done.text.startswith("Well: and so on and so on ")
    assert len(done.text) < 10_000
    assert done.warnings == ["repetition_loop"]
    assert done.events[-1] == Finish("length")
    assert done.catches == [("repetition_loop", "repaired")]
    assert done.engine.is_closed.is_set()


async def test_a_whole_loop_is_asked_for_again_and_cut_if_it_comes_again() -> None:
    again = await run(LOOP, GOOD)
    assert again.text == "Oslo"
    twice = await run(LOOP, (TextDelta("Well: "), *LOOP))
    assert twice.text.startswith("Well: and so on ")
    assert twice.warnings == ["reply_retried", "repetition_loop"]
    assert twice.events[-1] == Finish("length")
    assert twice.catches == [("repetition_loop", "retried"), ("repetition_loop", "repaired")]


@pytest.mark.parametrize("own", [TextDelta, ReasoningDelta])
async def test_a_loop_that_came_in_one_piece_is_shown_as_far_as_it_says_something(own: Any) -> None:
    piece = own("and so on " * 1000)
    done = await run((piece, Finish("stop")), is_stream=True)
    shown = [event for event in done.events if isinstance(event, own)]
    assert shown == [own(piece.text[:500])]
    assert done.events[-1] == Finish("length")


async def test_a_loop_behind_a_broken_call_is_refused_for_the_call() -> None:
    reply = (TextDelta("Well: "), ToolCallDelta(0, "a", "nobody", "{}"), *LOOP)
    done = await run(reply, is_stream=True)
    assert isinstance(done.error, ReplyBroken)
    assert done.catches == [("unknown_tool", "refused")]


async def test_an_error_of_the_engine_itself_is_not_asked_for_again() -> None:
    engine = FakeReplies((EngineFailed("it crashed"),), GOOD)
    with pytest.raises(EngineFailed):
        await Run(engine).go()
    assert len(engine.requests) == 1


async def test_an_engine_without_a_slot_for_the_second_attempt_says_so() -> None:
    exchange_run = Run(FakeReplies(GARBAGE, (EngineBusy("no slot"),)))
    with pytest.raises(EngineBusy):
        await exchange_run.go()
    assert exchange_run.catches == [("unused_run", "retried")]


async def test_usage_is_that_of_the_reply_that_was_given() -> None:
    done = await run((TextDelta("<unused24>"), Usage(5, 900), Finish("length")), GOOD)
    assert done.outcomes[0].usage == Usage(5, 1)


async def test_the_time_to_the_first_token_is_that_of_the_reply_that_was_given() -> None:
    moment_s = 0.0

    def clock() -> float:
        nonlocal moment_s
        moment_s += 1
        return moment_s

    outcomes: list[Outcome] = []
    thought = (ReasoningDelta("hm"), *GARBAGE)
    wired = fake_exchange(FakeReplies(thought, GOOD), outcomes.append, facts=GEMMA)
    exchange = type(wired)(wired.admit, wired.engine_for, wired.record, clock=clock)
    assert [event async for event in exchange.chat(ask())][1:] == list(GOOD)
    # Ticks: asked, admitted, the thought, the warning, the text.
    assert (outcomes[0].ttft_s, outcomes[0].ttft_reasoning_s) == (4.0, None)


async def test_the_place_is_kept_through_both_attempts_and_given_back() -> None:
    admission = Admission(max_running=1, max_waiting=0, wait_limit_s=1)
    gate = asyncio.Event()
    engine = FakeReplies(GARBAGE, (gate, *GOOD))
    exchange = fake_exchange(engine, admit=lambda _request: admission.place(), facts=GEMMA)
    first = asyncio.create_task(_collect(exchange.chat(ask())))
    await engine.is_asked_again.wait()
    with pytest.raises(EngineBusy):
        await _collect(exchange.chat(ask()))
    gate.set()
    await first
    async with admission.place():
        pass


@both
async def test_leaving_during_the_second_attempt_closes_the_engine(is_stream: bool) -> None:
    engine = FakeReplies(GARBAGE, (asyncio.Event(),))
    outcomes: list[Outcome] = []
    reader = asyncio.create_task(_collect(fake_exchange(engine, outcomes.append).chat(ask(is_stream=is_stream))))
    await engine.is_asked_again.wait()
    engine.is_closed.clear()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert engine.is_closed.is_set()
    assert outcomes[0].catches == (Catch("unused_run", "retried"),)


async def test_the_first_attempt_is_closed_before_the_second_begins() -> None:
    closed_at_start: list[bool] = []

    class Watched(FakeReplies):
        async def chat(self, request: Any) -> Any:
            closed_at_start.append(self.is_closed.is_set())
            self.is_closed.clear()
            async with aclosing(super().chat(request)) as events:
                async for event in events:
                    yield event

    await Run(Watched(GARBAGE, GOOD)).go()
    assert closed_at_start == [False, True]


async def test_a_schema_that_is_none_is_refused_before_the_engine_is_asked() -> None:
    engine = FakeEngine()
    with pytest.raises(RequestInvalid):
        await Run(engine, tools=(Tool("x", parameters={"type": "strin"}),)).go()
    assert engine.requests == []


def test_the_second_attempt_differs_by_its_seed_only() -> None:
    first = ask(sampling=Sampling(seed=7, temperature=0.8))
    again, warning = ask_again(first, "empty_reply")
    assert again == ask(sampling=Sampling(seed=8, temperature=0.8))
    assert "seed 8" in warning.message


def test_a_seed_is_drawn_where_none_was_given() -> None:
    seeds = {ask_again(ask(), "empty_reply")[0].sampling.seed for _ in range(5)}
    assert None not in seeds
    assert len(seeds) > 1


@pytest.mark.parametrize("seed", [2**63 - 1, -(2**63), 2**31 - 1, -1])
def test_a_seed_at_the_edge_stays_one_that_engines_take(seed: int) -> None:
    again = ask_again(ask(sampling=Sampling(seed=seed)), "empty_reply")[0].sampling.seed
    assert again is not None
    assert 0 <= again < 2**31
    assert again != seed


def test_a_temperature_of_zero_is_raised_and_the_warning_says_so() -> None:
    again, warning = ask_again(ask(sampling=Sampling(temperature=0.0)), "empty_reply")
    assert again.sampling.temperature == RETRY_TEMPERATURE
    assert f"temperature {RETRY_TEMPERATURE}" in warning.message


async def _collect(events: Any) -> list[Event]:
    return [event async for event in events]
