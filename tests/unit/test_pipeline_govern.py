import asyncio
from contextlib import AsyncExitStack, aclosing, suppress
from typing import Any

import msgspec
import pytest

from door_fakes import FakeEngine, ask, fake_exchange
from gemstead.access.fair_queue import FairQueue
from gemstead.access.limit_values import NO_LIMITS
from gemstead.access.limits import Claim, LimitKeeper
from gemstead.access.policy import Policy
from gemstead.core.errors import EngineBusy, EngineError, PolicyRefused, QuotaExceeded
from gemstead.core.types import ChatRequest, EmbedRequest, Event, Finish, Sampling, TextDelta, Tool, Usage, Warning
from gemstead.pipeline.exchange import Exchange
from gemstead.pipeline.govern import MAX_ASIDE, MAX_ASIDE_WAITING, Governed, KeyTerms
from gemstead.pipeline.outcome import Outcome
from policy_makers import MemoryLimits, caller, origin, policy, rule


class Door:
    """An exchange under a policy, around a fake engine that says it took 5 + 2 tokens."""

    def __init__(
        self,
        rules: Policy,
        *events: Any,
        max_running: int = 4,
        max_waiting: int = 4,
        store: MemoryLimits | None = None,
        **terms: Any,
    ) -> None:
        self.rules = rules
        self.engine = FakeEngine(*events, num_tokens=5)
        self.outcomes: list[Outcome] = []
        self.num_counted = 0
        self.keeper = LimitKeeper(store)
        self.queue = FairQueue(max_running, max_waiting, 60.0)
        self.governed = Governed(
            lambda: rules,
            self.keeper,
            self.queue,
            count_tokens=self.count,
            context_length=4096,
            terms=KeyTerms(**terms),
        )
        self.exchange: Exchange = fake_exchange(self.engine, self.outcomes.append, admit=self.governed.admit)

    async def count(self, _request: ChatRequest | EmbedRequest) -> int:
        self.num_counted += 1
        return 5

    async def chat(self, request: ChatRequest) -> list[Event]:
        return [event async for event in self.exchange.chat(request)]

    def claim(self) -> Claim:
        return self.keeper.claim(self.governed.decide(asked()), NO_LIMITS, caller(), "fake")

    def left(self, key_id: str = "k1") -> int | None:
        state = self.governed.state(asked(key_id))
        return state.tokens.remaining if state is not None and state.tokens is not None else None


def asked(key_id: str = "k1", *, label: str = "", max_tokens: int | None = None, **fields: Any) -> ChatRequest:
    return ask(origin=origin(key_id, label=label), sampling=Sampling(max_tokens=max_tokens), **fields)


def limited(**limits: int) -> Policy:
    return policy(rule("r", limits=limits))


async def test_what_the_engine_counted_is_what_is_charged() -> None:
    door = Door(limited(tokens_per_day=5000))
    await door.chat(asked(max_tokens=100))
    assert door.left() == 5000 - 7


async def test_a_request_that_the_policy_refuses_comes_to_no_engine_and_is_recorded() -> None:
    door = Door(policy(rule("r", groups=("other",))))
    with pytest.raises(PolicyRefused, match="no rule allows"):
        await door.chat(asked())
    assert not door.engine.requests
    assert [outcome.error_code for outcome in door.outcomes] == ["policy_refused"]


async def test_the_label_of_the_request_counts_and_without_one_the_policys_own() -> None:
    door = Door(policy(rule("r", labels=("public",)), default_label="confidential"))
    await door.chat(asked(label="public"))
    with pytest.raises(PolicyRefused):
        await door.chat(asked())


async def test_tools_and_the_keys_own_terms_are_asked_about() -> None:
    door = Door(policy(rule("r", tools=("read",))), labels=lambda _key: ("internal",))
    with pytest.raises(PolicyRefused, match="send"):
        await door.chat(asked(tools=(Tool("send"),)))
    with pytest.raises(PolicyRefused, match="public"):
        await door.chat(asked(label="public"))


async def test_a_keys_own_quota_is_counted() -> None:
    door = Door(policy(rule("r")), quota=lambda _key: {"requests_per_day": 1})
    await door.chat(asked())
    with pytest.raises(QuotaExceeded) as refused:
        await door.chat(asked())
    assert refused.value.limit == "requests_per_day"
    await door.chat(asked("k2"))


async def test_with_room_enough_the_prompt_is_not_counted_before() -> None:
    door = Door(limited(tokens_per_day=50_000))
    await door.chat(asked())
    assert door.num_counted == 0


async def test_near_the_limit_the_prompt_is_counted_and_an_open_answer_cut_to_what_is_left() -> None:
    door = Door(limited(tokens_per_day=50))
    events = await door.chat(asked())
    assert door.num_counted == 1
    assert door.engine.requests[0].sampling.max_tokens == 45
    assert [event.code for event in events if isinstance(event, Warning)] == ["answer_limited"]
    assert door.left() == 43


async def test_an_answer_whose_length_was_asked_for_is_refused_rather_than_cut() -> None:
    door = Door(limited(tokens_per_day=50))
    with pytest.raises(QuotaExceeded):
        await door.chat(asked(max_tokens=46))
    await door.chat(asked(max_tokens=45))


async def test_who_has_nothing_left_is_refused_without_counting() -> None:
    door = Door(limited(tokens_per_day=7))
    await door.chat(asked())
    with pytest.raises(QuotaExceeded):
        await door.chat(asked())
    assert door.num_counted == 1


async def test_a_longer_answer_than_the_policy_allows_is_cut_and_said() -> None:
    door = Door(limited(max_output_tokens=10))
    events = await door.chat(asked(max_tokens=100))
    assert door.engine.requests[0].sampling.max_tokens == 10
    assert isinstance(events[0], Warning)
    await door.chat(asked())
    assert door.engine.requests[1].sampling.max_tokens == 10


async def test_a_longer_prompt_than_the_policy_allows_is_refused_by_its_exact_length() -> None:
    await Door(limited(max_context_tokens=5)).chat(asked())
    with pytest.raises(PolicyRefused, match="has 5 tokens, and 4"):
        await Door(limited(max_context_tokens=4)).chat(asked())


async def test_an_engine_that_is_never_asked_costs_no_tokens_but_the_request() -> None:
    door = Door(limited(tokens_per_day=5000, requests_per_day=10))
    with suppress(EngineError):
        door.exchange = msgspec.structs.replace(door.exchange, engine_for=fails)
        await door.chat(asked())
    state = door.governed.state(asked())
    assert state is not None
    assert state.tokens is not None
    assert state.requests is not None
    assert (state.tokens.remaining, state.requests.remaining) == (5000, 9)


async def fails(_model: str) -> Any:
    raise EngineError("it is gone")


@pytest.mark.parametrize("ending", ["close", "cancel", "error"])
async def test_a_reply_that_is_cut_is_charged_what_it_can_have_taken_at_most(ending: str) -> None:
    last: Any = EngineError("gone") if ending == "error" else asyncio.Event()
    door = Door(limited(tokens_per_day=5000), TextDelta("x" * 30), last)
    request = asked(max_tokens=1000, is_stream=True)
    if ending == "close":
        async with aclosing(door.exchange.chat(request)) as events:
            await anext(events)
    elif ending == "cancel":
        reader = asyncio.create_task(door.chat(request))
        await door.engine.has_given.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
    else:
        with pytest.raises(EngineError):
            await door.chat(request)
    left = door.left()
    assert left is not None
    # Not free, not the whole reservation: the prompt's bound, the bytes that were seen, and a little.
    assert 5000 - 1000 < left < 5000 - 30
    assert (door.queue.num_running, door.queue.num_waiting) == (0, 0)


async def test_who_leaves_the_line_gets_all_of_it_back() -> None:
    door = Door(limited(tokens_per_day=5000, requests_per_day=10), asyncio.Event(), max_running=1)
    first = asyncio.create_task(door.chat(asked("k2", max_tokens=10)))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(door.chat(asked(max_tokens=10)))
    await asyncio.sleep(0.01)
    assert door.left() != 5000
    second.cancel()
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert door.left() == 5000


async def test_a_full_line_gives_everything_back() -> None:
    door = Door(limited(tokens_per_day=5000), asyncio.Event(), max_running=1, max_waiting=0)
    first = asyncio.create_task(door.chat(asked("k2", max_tokens=10)))
    await asyncio.sleep(0.01)
    with pytest.raises(EngineBusy):
        await door.chat(asked(max_tokens=10))
    assert door.left() == 5000
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_texts_to_embed_are_counted_too() -> None:
    door = Door(limited(tokens_per_day=100))
    await door.exchange.embed(EmbedRequest("fake", ("one", "two"), origin=origin()))
    assert door.left() == 95


async def test_many_at_once_never_take_more_than_the_limit() -> None:
    door = Door(limited(tokens_per_day=100), max_running=64, max_waiting=0)
    results = await asyncio.gather(*[door.chat(asked(max_tokens=2)) for _ in range(40)], return_exceptions=True)
    served = [one for one in results if isinstance(one, list)]
    assert all(isinstance(one, list | QuotaExceeded) for one in results)
    assert door.left() == 100 - 7 * len(served)
    assert len(served) == 14


async def test_the_reply_of_a_governed_exchange_is_the_same() -> None:
    events = await Door(policy(rule("r"))).chat(asked())
    assert events == [TextDelta("Hello"), TextDelta(" there"), Usage(5, 2, cached_tokens=1), Finish("stop")]


async def test_what_generates_nothing_goes_by_policy_and_counts_as_a_request_and_no_tokens() -> None:
    door = Door(limited(requests_per_day=2, tokens_per_day=50))
    for _ in range(2):
        async with door.governed.admit_aside(asked()):
            pass
    assert door.left() == 50
    with pytest.raises(QuotaExceeded):
        async with door.governed.admit_aside(asked()):
            pass
    refused = Door(policy(rule("r", models=("other",))))
    with pytest.raises(PolicyRefused):
        async with refused.governed.admit_aside(asked()):
            pass


async def test_what_generates_nothing_waits_in_a_short_line_of_its_own_and_not_for_answers() -> None:
    door = Door(limited(requests_per_day=1000), asyncio.Event(), max_running=1, max_waiting=0)
    answer = asyncio.create_task(door.chat(asked()))
    await asyncio.sleep(0.01)
    async with AsyncExitStack() as stack:
        for _ in range(MAX_ASIDE):
            await stack.enter_async_context(door.governed.admit_aside(asked()))
        waiting = [asyncio.create_task(aside(door)) for _ in range(MAX_ASIDE_WAITING + 1)]
        await asyncio.sleep(0.01)
        refused = [task for task in waiting if task.done()]
        assert [type(task.exception()) for task in refused] == [QuotaExceeded]
    await asyncio.gather(*[task for task in waiting if task not in refused])
    answer.cancel()
    await asyncio.gather(answer, return_exceptions=True)


async def aside(door: Door) -> None:
    async with door.governed.admit_aside(asked()):
        pass


async def test_a_model_is_seen_by_whom_some_request_to_it_would_be_allowed() -> None:
    rules = policy(
        rule("a", groups=("staff",), labels=("secret",), models=("one",), dialects=("openai",)),
        rule("b", groups=("staff",), actions=("embed",), models=("two",)),
    )
    governed = Door(rules).governed
    assert governed.may_see(caller(), "one", "openai")
    assert not governed.may_see(caller(), "one", "ollama")
    assert governed.may_see(caller(), "two", "ollama")
    assert not governed.may_see(caller(), "three", "openai")
    assert not governed.may_see(caller("k2", "guests"), "one", "openai")


async def test_an_answer_is_cut_to_what_another_server_has_left() -> None:
    store = MemoryLimits()
    doors = [Door(limited(tokens_per_day=5000), store=store) for _ in range(2)]
    await doors[0].chat(asked())
    await doors[0].keeper.tidy()
    (reservation,) = [await doors[1].keeper.reserve(doors[1].claim(), 4000)]
    events = await doors[0].chat(asked())
    assert [event.code for event in events if isinstance(event, Warning)] == ["answer_limited"]
    assert doors[0].engine.requests[-1].sampling.max_tokens == 5000 - 7 - 4000 - 5
    doors[1].keeper.settle(reservation, 0)
