import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.access.limit_values import NO_LIMITS, Limits
from gemstead.access.limits import MAX_CLAIMS, Claim, LimitKeeper
from gemstead.core.errors import LimitsUnavailable, QuotaExceeded
from policy_makers import Clock, MemoryLimits, caller, policy, query, rule, steady


class Bench:
    def __init__(self, store: MemoryLimits | None = None, clock: Clock | None = None, **limits: Any) -> None:
        self.clock = clock or Clock()
        per = limits.pop("per", "key")
        self.policy = policy(rule("r", limits=limits, per=per))
        self.store = store
        self.keeper = LimitKeeper(store, self.clock)

    def claim(self, key_id: str = "k1", *groups: str, model: str = "m", own: Limits = NO_LIMITS) -> Claim:
        decision = self.policy.decide(query(groups=groups or ("staff",), model=model))
        return self.keeper.claim(decision, own, caller(key_id, *groups), model)

    async def take(self, num_tokens: int, used: int | None = None, **who: Any) -> None:
        reservation = await self.keeper.reserve(self.claim(**who), num_tokens)
        self.keeper.settle(reservation, num_tokens if used is None else used)

    def left(self, **who: Any) -> int | None:
        return self.keeper.remaining_tokens(self.claim(**who))


async def test_what_is_reserved_is_taken_and_what_was_not_needed_comes_back() -> None:
    bench = Bench(tokens_per_day=100)
    reservation = await bench.keeper.reserve(bench.claim(), 80)
    assert bench.left() == 20
    with pytest.raises(QuotaExceeded) as refused:
        await bench.keeper.reserve(bench.claim(), 21)
    assert refused.value.limit == "tokens_per_day"
    assert refused.value.retry_after_s is not None
    bench.keeper.settle(reservation, 30)
    assert bench.left() == 70


async def test_a_refused_request_takes_nothing_of_any_limit() -> None:
    bench = Bench(requests_per_minute=10, tokens_per_minute=100, tokens_per_day=50)
    with pytest.raises(QuotaExceeded):
        await bench.take(60)
    state = bench.keeper.state(bench.claim())
    assert state.requests is not None
    assert state.tokens is not None
    assert (state.requests.remaining, state.tokens.remaining) == (10, 50)


async def test_what_can_never_fit_says_no_time_to_try_again() -> None:
    bench = Bench(tokens_per_minute=100)
    with pytest.raises(QuotaExceeded) as refused:
        await bench.take(101)
    assert refused.value.retry_after_s is None


async def test_the_longest_wait_is_told() -> None:
    bench = Bench(requests_per_minute=1, tokens_per_day=100)
    await bench.take(100)
    with pytest.raises(QuotaExceeded) as refused:
        await bench.take(1)
    assert refused.value.limit == "tokens_per_day"


async def test_a_request_that_never_ran_counts_for_nothing() -> None:
    bench = Bench(requests_per_day=1, tokens_per_day=10)
    bench.keeper.cancel(await bench.keeper.reserve(bench.claim(), 10))
    await bench.take(10)


@pytest.mark.parametrize(
    ("per", "who", "shares"),
    [
        ("key", {"key_id": "k2"}, False),
        ("key", {"model": "other"}, True),
        ("group", {"key_id": "k2"}, True),
        ("model", {"key_id": "k2"}, True),
        ("model", {"model": "other"}, False),
        ("rule", {"key_id": "k2", "model": "other"}, True),
    ],
)
async def test_limits_are_shared_as_the_rule_says(per: str, who: dict[str, str], shares: bool) -> None:
    bench = Bench(per=per, tokens_per_day=10)
    await bench.take(7)
    assert bench.left(**who) == (3 if shares else 10)


async def test_a_keys_own_limits_come_on_top() -> None:
    bench = Bench(tokens_per_day=100)
    await bench.take(5, own=Limits(tokens_per_day=10))
    assert bench.left(own=Limits(tokens_per_day=10)) == 5
    assert bench.left() == 95


async def test_a_group_has_so_many_in_work_and_no_more() -> None:
    bench = Bench(per="group", concurrent_requests=1)
    reservation = await bench.keeper.reserve(bench.claim(), 1)
    with pytest.raises(QuotaExceeded) as refused:
        await bench.take(1, key_id="k2")
    assert refused.value.limit == "concurrent_requests"
    bench.keeper.settle(reservation, 1)
    await bench.take(1, key_id="k2")


async def test_a_changed_limit_keeps_what_was_spent() -> None:
    bench = Bench(tokens_per_day=100)
    await bench.take(60)
    bench.policy = policy(rule("r", limits={"tokens_per_day": 50}))
    assert bench.left() == 0
    bench.policy = policy(rule("r", limits={"tokens_per_day": 70}))
    bench.policy.sha256 = "another"
    assert bench.left() == 10


async def test_a_request_is_one_change_of_the_database_and_what_it_gives_back_comes_with_the_next() -> None:
    store = MemoryLimits()
    bench = Bench(store, requests_per_day=100_000, tokens_per_minute=10_000, tokens_per_day=10_000_000)
    for _ in range(10):
        await bench.take(100, used=50)
    assert store.num_commits == 10
    assert store.rows["r/key/k1/tokens_per_day"].level == 10 * 50 + 50
    await bench.keeper.tidy()
    assert store.rows["r/key/k1/tokens_per_day"].level == 10 * 50


async def test_without_limits_the_database_is_not_asked() -> None:
    store = MemoryLimits()
    bench = Bench(store, max_output_tokens=100)
    await bench.take(100)
    assert store.num_commits == 0


async def test_while_another_process_writes_a_request_waits_its_turn() -> None:
    store = MemoryLimits()
    bench = Bench(store, tokens_per_day=1000)
    store.num_busy = 3
    await bench.take(10)
    assert store.num_busy == 0
    assert bench.left() == 990


async def test_who_cannot_write_for_long_is_told_and_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemstead.access.counts.WAIT_LIMIT_S", 0.0)
    store = MemoryLimits()
    bench = Bench(store, tokens_per_day=1000)
    store.num_busy = 1000
    with pytest.raises(LimitsUnavailable, match="another process"):
        await bench.take(10)
    assert bench.left() == 1000


async def test_what_another_server_spends_counts_here_and_memory_is_never_believed() -> None:
    store, clock = MemoryLimits(), Clock()
    one, other = Bench(store, clock, tokens_per_day=100), Bench(store, clock, tokens_per_day=100)
    await one.take(40)
    await other.take(40)
    assert one.left() == 60
    with pytest.raises(QuotaExceeded):
        await one.take(21)
    assert one.left() == 20
    await one.take(20)
    assert other.left() == 20
    other.keeper.look(other.claim())
    assert other.left() == 0


TWO = st.lists(
    st.tuples(st.booleans(), st.integers(1, 40), st.integers(0, 40), st.integers(0, 20_000_000), st.booleans()),
    max_size=60,
)


@steady
@given(TWO)
def test_two_servers_together_never_pass_a_days_limit(steps: list[tuple[bool, int, int, int, bool]]) -> None:
    async def play() -> None:
        store, clock = MemoryLimits(), Clock()
        servers = [Bench(store, clock, tokens_per_day=300) for _ in range(2)]
        open_ones: list[tuple[Bench, Any]] = []
        spent = 0
        for is_other, cost, used, passed_us, ends in steps:
            clock.now_us += passed_us
            server = servers[is_other]
            with suppress(QuotaExceeded):
                open_ones.append((server, await server.keeper.reserve(server.claim(), cost)))
            if ends and open_ones:
                owner, one = open_ones.pop(0)
                spent += min(used, one.num_tokens)
                owner.keeper.settle(one, min(used, one.num_tokens))
            assert spent + sum(one.num_tokens for _, one in open_ones) <= 300

    asyncio.run(play())


@steady
@given(TWO)
def test_two_servers_together_never_pass_a_minutes_burst_and_rate(
    steps: list[tuple[bool, int, int, int, bool]],
) -> None:
    async def play() -> None:
        store, clock, limit = MemoryLimits(), Clock(), 100
        servers = [Bench(store, clock, tokens_per_minute=limit) for _ in range(2)]
        costs: list[tuple[int, int]] = []
        for is_other, cost, _used, passed_us, _ends in steps:
            clock.now_us += passed_us
            with suppress(QuotaExceeded):
                await servers[is_other].take(cost)
                costs.append((clock.now_us, cost))
            for start_us, _ in costs:
                in_span = sum(one for at_us, one in costs if at_us >= start_us)
                assert in_span * 60_000_000 <= limit * 60_000_000 + limit * (clock.now_us - start_us)

    asyncio.run(play())


async def test_many_at_once_all_get_on_and_only_so_far() -> None:
    bench = Bench(MemoryLimits(), tokens_per_day=2900)
    results = await asyncio.gather(*[bench.take(29) for _ in range(105)], return_exceptions=True)
    assert sum(isinstance(one, QuotaExceeded) for one in results) == 5
    assert bench.left() == 0


async def test_after_a_clean_stop_every_number_is_exact() -> None:
    store, clock = MemoryLimits(), Clock()
    bench = Bench(store, clock, tokens_per_day=1000, tokens_per_minute=1000, requests_per_month=10)
    await bench.take(100, used=33)
    await bench.keeper.close()
    again = Bench(store, clock, tokens_per_day=1000, tokens_per_minute=1000, requests_per_month=10)
    claim = again.claim()
    assert [bucket.remaining(clock()) for _, bucket in (*claim.tokens, *claim.requests)] == [967, 967, 9]


STEPS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40), st.integers(0, 3_000_000)), max_size=30)


@steady
@given(STEPS)
def test_after_a_kill_at_any_moment_nothing_that_was_reserved_is_forgotten(steps: list[tuple[int, int, int]]) -> None:
    async def play() -> None:
        store, clock = MemoryLimits(), Clock()
        limits = {"tokens_per_day": 500, "tokens_per_minute": 200, "requests_per_day": 20}
        bench = Bench(store, clock, **limits)
        open_ones = []
        for cost, used, passed_us in steps:
            clock.now_us += passed_us
            with suppress(QuotaExceeded):
                open_ones.append(await bench.keeper.reserve(bench.claim(), cost))
            if used % 3 == 0 and open_ones:
                one = open_ones.pop(0)
                bench.keeper.settle(one, min(used, one.num_tokens))
            if used % 5 == 0:
                await bench.keeper.tidy()
            killed = Bench(store, clock, **limits)
            before, after = bench.claim(), killed.claim()
            pairs = zip(before.tokens + before.requests, after.tokens + after.requests, strict=True)
            for (_, alive), (_, restarted) in pairs:
                assert restarted.remaining(clock()) <= alive.remaining(clock())

    asyncio.run(play())


async def test_where_nothing_can_be_kept_nothing_is_allowed_and_nothing_is_taken() -> None:
    store = MemoryLimits()
    bench = Bench(store, tokens_per_day=1000)
    store.is_broken = True
    with pytest.raises(LimitsUnavailable):
        await bench.take(10)
    store.is_broken = False
    assert bench.left() == 1000


async def test_callers_that_make_up_names_do_not_fill_the_memory() -> None:
    bench = Bench(per="model", requests_per_minute=10)
    for number in range(MAX_CLAIMS + 5):
        bench.claim(model=f"m{number}")
    assert len(bench.keeper._claims) <= MAX_CLAIMS
    assert len(bench.keeper._buckets) <= MAX_CLAIMS


def test_without_limits_nothing_is_looked_up() -> None:
    assert Bench().claim().is_empty()
