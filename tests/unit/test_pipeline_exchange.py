import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from door_fakes import ANSWER, FakeEngine, ask, fake_exchange
from gemstead.core.errors import ContextOverflow, EngineBusy, EngineError, NameUnknown, ReplyBroken
from gemstead.core.types import ChatRequest, Event, Finish, ReasoningDelta, Sampling, TextDelta, Usage, Warning
from gemstead.pipeline.admission import Admission
from gemstead.pipeline.catches import Catch
from gemstead.pipeline.exchange import Exchange
from gemstead.pipeline.fold import fold_events
from gemstead.pipeline.outcome import Outcome


async def run(exchange: Exchange, request: ChatRequest) -> list[Event]:
    return [event async for event in exchange.chat(request)]


async def test_the_events_of_the_engine_come_out_and_the_outcome_is_recorded_once() -> None:
    outcomes: list[Outcome] = []
    assert await run(fake_exchange(FakeEngine(), outcomes.append), ask()) == list(ANSWER)
    (outcome,) = outcomes
    assert (outcome.model, outcome.finish_reason, outcome.error_code) == ("fake", "stop", None)
    assert outcome.usage == Usage(5, 2, cached_tokens=1)
    assert outcome.wait_s is not None
    assert outcome.ttft_s is not None
    assert 0 <= outcome.wait_s <= outcome.ttft_s <= outcome.duration_s


async def test_the_first_thinking_and_the_first_text_are_timed_apart() -> None:
    ticks = iter(range(100))
    outcomes: list[Outcome] = []
    engine = FakeEngine(ReasoningDelta("a"), ReasoningDelta("b"), TextDelta("c"), Finish("stop"))
    wired = fake_exchange(engine, outcomes.append)
    exchange = Exchange(wired.admit, wired.engine_for, wired.record, clock=lambda: float(next(ticks)))
    await run(exchange, ask())
    # Ticks: 0 asked, 1 admitted, then one an event, then the end.
    assert (outcomes[0].ttft_reasoning_s, outcomes[0].ttft_s, outcomes[0].duration_s) == (2.0, 4.0, 6.0)


async def test_what_the_context_check_says_comes_first() -> None:
    engine = FakeEngine(context_length=100, num_tokens=90)
    events = await run(fake_exchange(engine), ask(sampling=Sampling(max_tokens=50)))
    assert isinstance(events[0], Warning)
    assert events[1:] == list(ANSWER)


@pytest.mark.parametrize(
    ("engine", "request_", "error"),
    [
        ({}, ask(model="other"), NameUnknown),
        ({"context_length": 5}, ask(), ContextOverflow),
        ({"events": (EngineBusy("no slot"),)}, ask(), EngineBusy),
        ({"events": (Finish("stop"),)}, ask(), ReplyBroken),
        ({"events": (TextDelta("a"),)}, ask(), ReplyBroken),
    ],
)
async def test_every_error_is_recorded_once_with_its_code(
    engine: dict[str, Any], request_: ChatRequest, error: type[EngineError]
) -> None:
    outcomes: list[Outcome] = []
    fake = FakeEngine(*engine.pop("events", ()), **engine)
    with pytest.raises(error):
        await run(fake_exchange(fake, outcomes.append), request_)
    assert [(outcome.finish_reason, outcome.error_code) for outcome in outcomes] == [("error", error.code)]


async def test_a_bug_is_recorded_as_an_internal_error() -> None:
    outcomes: list[Outcome] = []
    with pytest.raises(ZeroDivisionError):
        await run(fake_exchange(FakeEngine(TextDelta("a"), ZeroDivisionError()), outcomes.append), ask())
    assert [(outcome.finish_reason, outcome.error_code) for outcome in outcomes] == [("error", "internal")]


async def test_closing_it_closes_the_engine_and_frees_the_place() -> None:
    outcomes: list[Outcome] = []
    admission = Admission(max_running=1, max_waiting=0, wait_limit_s=1)
    engine = FakeEngine(TextDelta("a"), is_endless=True)
    exchange = fake_exchange(engine, outcomes.append, admit=lambda _request: admission.place())
    async with aclosing(exchange.chat(ask(is_stream=True))) as events:
        await anext(events)
    assert engine.is_closed.is_set()
    assert [outcome.finish_reason for outcome in outcomes] == ["cancelled"]
    async with admission.place():
        pass


async def test_cancelling_its_reader_closes_the_engine() -> None:
    outcomes: list[Outcome] = []
    engine = FakeEngine(TextDelta("a"), asyncio.Event())
    reader = asyncio.create_task(fold_events(fake_exchange(engine, outcomes.append).chat(ask())))
    await engine.has_given.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert engine.is_closed.is_set()
    assert [outcome.finish_reason for outcome in outcomes] == ["cancelled"]


async def test_nothing_is_pulled_from_the_engine_before_it_is_wanted() -> None:
    engine = FakeEngine(TextDelta("a"), is_endless=True)
    async with aclosing(fake_exchange(engine).chat(ask(is_stream=True))) as events:
        assert engine.num_given == 0
        for wanted in range(1, 4):
            await anext(events)
            assert engine.num_given == wanted


async def test_broken_promises_are_in_the_outcome() -> None:
    outcomes: list[Outcome] = []
    engine = FakeEngine(TextDelta("a"), Finish("stop"), TextDelta("b"))
    await run(fake_exchange(engine, outcomes.append), ask())
    assert outcomes[0].catches == (Catch("event_after_finish", "repaired"),)
