import asyncio
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.access.fair_queue import FairQueue, Ticket
from gemstead.core.errors import EngineBusy, GemsteadError, QuotaExceeded
from policy_makers import steady


class Line:
    """Requests that stay in their place until they are told to leave."""

    def __init__(self, max_running: int = 1, max_waiting: int = 1000, wait_limit_s: float = 60.0) -> None:
        self.queue = FairQueue(max_running, max_waiting, wait_limit_s)
        self.started: list[Ticket] = []
        self.refused: list[GemsteadError] = []
        self.running: list[tuple[Ticket, asyncio.Event]] = []

    async def ask(self, ticket: Ticket, took: int | None = None) -> None:
        leave = asyncio.Event()
        try:
            async with self.queue.place(ticket):
                self.started.append(ticket)
                self.running.append((ticket, leave))
                await leave.wait()
                if took is not None:
                    self.queue.settle(ticket, took)
        except GemsteadError as exc:
            self.refused.append(exc)

    async def join(self, *tickets: Ticket, took: int | None = None) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self.ask(ticket, took)) for ticket in tickets]
        await settle()
        return tasks

    async def serve(self, number: int) -> None:
        """Ends the oldest running request, so many times."""
        for _ in range(number):
            if not self.running:
                return
            self.running.pop(0)[1].set()
            await settle()

    async def drain(self) -> None:
        while self.running:
            await self.serve(1)
        assert (self.queue.num_running, self.queue.num_waiting) == (0, 0)
        assert not self.queue._flows


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


def ticket(flow: str = "a", cost: int = 10, **fields: int) -> Ticket:
    return Ticket(flow, cost, **fields)


async def test_one_heavy_caller_does_not_hold_up_the_others() -> None:
    line = Line()
    await line.join(*[ticket("heavy")] * 100)
    await line.join(*[ticket(f"light{number}") for number in range(5)])
    await line.serve(6)
    assert {one.flow for one in line.started[:7]} == {"heavy", *(f"light{number}" for number in range(5))}
    await line.drain()


async def test_shares_follow_tokens_not_the_number_of_requests() -> None:
    line = Line()
    await line.join(*[ticket("long", 100)] * 50, *[ticket("short", 10)] * 500)
    await line.serve(220)
    tokens = Counter[str]()
    for one in line.started:
        tokens[one.flow] += one.cost
    assert abs(tokens["long"] - tokens["short"]) <= 200
    await line.drain()


async def test_a_weight_is_a_share() -> None:
    line = Line()
    await line.join(*[ticket("a", weight=3)] * 200, *[ticket("b")] * 200)
    await line.serve(120)
    counts = Counter(one.flow for one in line.started)
    assert abs(counts["a"] - 3 * counts["b"]) <= 4
    await line.drain()


async def test_what_a_request_really_took_counts_for_the_next() -> None:
    line = Line()
    await line.join(*[ticket("greedy")] * 50, took=100)
    await line.join(*[ticket("modest")] * 50, took=10)
    await line.serve(44)
    counts = Counter(one.flow for one in line.started)
    assert counts["modest"] >= 8 * counts["greedy"]
    await line.drain()


async def test_nobody_gains_by_having_been_away() -> None:
    line = Line()
    await line.join(*[ticket("busy")] * 40)
    await line.serve(20)
    await line.join(*[ticket("late")] * 40)
    line.started.clear()
    await line.serve(20)
    counts = Counter(one.flow for one in line.started)
    assert abs(counts["busy"] - counts["late"]) <= 2
    await line.drain()


async def test_callers_without_a_key_are_served_first_come_first_served() -> None:
    line = Line()
    await line.join(*[ticket("", cost) for cost in (1, 50, 2, 70)])
    await line.drain()
    assert [one.cost for one in line.started] == [1, 50, 2, 70]


async def test_a_caller_at_its_own_limit_waits_and_others_pass() -> None:
    line = Line(max_running=3)
    await line.join(*[ticket("a", max_running=1)] * 3, ticket("b"))
    assert [one.flow for one in line.started] == ["a", "b"]
    await line.serve(1)
    assert [one.flow for one in line.started] == ["a", "b", "a"]
    await line.drain()
    assert len(line.started) == 4


async def test_more_than_a_caller_may_have_waiting_is_refused() -> None:
    line = Line()
    await line.join(*[ticket(max_waiting=2)] * 4)
    assert [exc.code for exc in line.refused] == ["quota_exceeded"]
    await line.drain()


async def test_a_full_line_takes_from_who_waits_most() -> None:
    line = Line(max_waiting=4)
    await line.join(*[ticket("heavy")] * 5)
    await line.join(ticket("light"))
    assert [type(exc) for exc in line.refused] == [QuotaExceeded]
    await line.serve(1)
    assert line.started[-1].flow == "light"
    await line.join(*[ticket("heavy")] * 3)
    assert {exc.code for exc in line.refused} == {"quota_exceeded"}
    await line.drain()


async def test_without_keys_a_full_line_is_busy() -> None:
    line = Line(max_waiting=1)
    await line.join(*[ticket("")] * 3)
    assert [type(exc) for exc in line.refused] == [EngineBusy]
    await line.drain()


async def test_who_waits_too_long_is_told_so() -> None:
    line = Line(wait_limit_s=0.0)
    await line.join(ticket(), ticket())
    await asyncio.sleep(0)
    assert [type(exc) for exc in line.refused] == [EngineBusy]
    await line.drain()


async def test_one_that_leaves_the_line_leaves_no_hole() -> None:
    line = Line()
    tasks = await line.join(*[ticket("a")] * 6)
    for task in tasks[1:4]:
        task.cancel()
    await settle()
    await line.join(ticket("b"))
    await line.serve(2)
    assert Counter(one.flow for one in line.started) == {"a": 2, "b": 1}
    await line.drain()
    assert len(line.started) == 4


async def test_one_that_is_cancelled_as_its_turn_comes_passes_it_on() -> None:
    line = Line()
    tasks = await line.join(ticket("a"), ticket("b"), ticket("c"))
    line.running.pop(0)[1].set()
    await asyncio.sleep(0)  # the first is leaving
    tasks[1].cancel()
    await settle()
    assert line.started[-1].flow == "c"
    await line.drain()


STEPS = st.lists(st.tuples(st.sampled_from(["join", "serve", "cancel"]), st.integers(0, 4)), max_size=60)


@steady
@given(STEPS, st.integers(1, 3), st.integers(0, 6))
def test_whatever_happens_places_are_neither_lost_nor_given_twice(
    steps: list[tuple[str, int]], max_running: int, max_waiting: int
) -> None:
    async def play() -> None:
        line, tasks = Line(max_running, max_waiting), list[asyncio.Task[None]]()
        for step, number in steps:
            if step == "join":
                tasks += await line.join(Ticket("abcde"[number], 1 + number, max_running=2), took=3)
            elif step == "serve":
                await line.serve(1)
            elif tasks:
                tasks[number % len(tasks)].cancel()
                await settle()
                line.running = [one for one in line.running if not one[1].is_set()]
            assert line.queue.num_running <= max_running
            assert line.queue.num_waiting <= max_waiting
            assert line.queue.num_running == sum(flow.num_running for flow in line.queue._flows.values())
            # Nobody waits while there is room for him.
            if line.queue.num_running < max_running:
                assert not any(flow.waiting and flow.can_run() for flow in line.queue._flows.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (line.queue.num_running, line.queue.num_waiting) == (0, 0)

    with suppress(asyncio.CancelledError):
        asyncio.run(play())


@pytest.mark.parametrize("num_callers", [50])
async def test_forty_nine_light_callers_get_equal_shares_beside_a_heavy_one(num_callers: int) -> None:
    line = Line(max_running=4)
    await line.join(*[ticket("heavy")] * 400)
    for number in range(1, num_callers):
        await line.join(*[ticket(f"light{number}")] * 4)
    line.started.clear()
    await line.serve(150)
    counts = Counter(one.flow for one in line.started)
    light = [counts[f"light{number}"] for number in range(1, num_callers)]
    assert max(light) - min(light) <= 1
    assert counts["heavy"] <= max(light) + 1
    await line.drain()
