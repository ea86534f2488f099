"""The search of `tune`: one factor at a time, its values halved round by round, the winner held against the plan. Pure.

Nothing here knows an engine: `measure` is handed in, and a test scripts it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

import msgspec

from gemstead.bench.changes import Changes
from gemstead.bench.tune_figures import Judgement, Pair, TuneGoal, goal_gain, judge
from gemstead.core.plan import KvCacheDtype, Plan

FIRST_PAIRS = 2
"""Of every value, before the worse half of them is dropped."""
ADOPT_PAIRS = 5
"""Of a value before it is built upon; the proof comes at the end."""
PROOF_PAIRS = 8
"""Of the winner against the plan: what is kept as evidence."""
ADOPT_MARGIN = 0.02

Measure: TypeAlias = Callable[[Changes, Changes, int], Awaitable[Sequence[Pair]]]
"""(the setting that stands, its challenger, number of pairs) -> the pairs, measured in turn."""


class Clock(Protocol):
    """Says whether the time that was given still holds the measuring of so many pairs, beside the proof."""

    def has_time(self, num_pairs: int) -> bool: ...


class Factor(msgspec.Struct, frozen=True):
    """One field of `Changes` with the values to try beside the planned one."""

    name: str
    values: tuple[int | str, ...]


class Outcome(msgspec.Struct, frozen=True):
    """`winner` None: the plan is best. `judgement` is that of the proof; None: nothing was worth one.

    `untried`: factors the time did not suffice for.
    """

    winner: Changes | None
    judgement: Judgement | None
    tried: tuple[str, ...] = ()
    untried: tuple[str, ...] = ()


def factors_of(
    goal: TuneGoal, plan: Plan, usable_cores: int, *, may_quantize_kv: bool, is_alone: bool = True
) -> tuple[Factor, ...]:
    """What to try for a goal, what gains most first. `is_alone`: nobody fixed the number of slots."""
    threads = sorted({max(1, usable_cores // 2), max(1, usable_cores - 1)} - {plan.num_threads})
    ubatches = tuple(size for size in (128, 256, 1024, 2048) if size != plan.ubatch_tokens)
    kv: tuple[KvCacheDtype, ...] = ("q8_0",) if may_quantize_kv and plan.kv_cache_dtype != "q8_0" else ()
    guesses = ("ngram", "draft") if plan.drafter_path else ("ngram",)
    slots = tuple(number for number in (2, 4, 8) if number > plan.num_slots) if is_alone else ()
    factors = (
        Factor("speculation", guesses if goal == "code-edit" else ()),
        Factor("num_slots", slots if goal == "throughput" else ()),
        Factor("num_threads", tuple(threads)),
        Factor("flash_attention", ("off",) if plan.flash_attention != "off" else ()),
        Factor("ubatch_tokens", ubatches),
        Factor("batch_tokens", (512,) if goal == "throughput" else ()),
        Factor("kv_cache_dtype", kv),
    )
    return tuple(factor for factor in factors if factor.values)


async def search(goal: TuneGoal, factors: Sequence[Factor], measure: Measure, clock: Clock, margin: float) -> Outcome:
    """The best setting found, proved against the plan, or the finding that the plan is best."""
    standing, tried, untried = Changes(), [], []
    for factor in factors:
        if not clock.has_time(len(factor.values) * FIRST_PAIRS + ADOPT_PAIRS):
            untried.append(factor.name)
            continue
        tried.append(factor.name)
        standing = await _best_value(goal, factor, standing, measure)
    if standing == Changes():
        return Outcome(None, None, tuple(tried), tuple(untried))
    proof = await measure(Changes(), standing, PROOF_PAIRS)
    judgement = judge(goal, proof, margin, must_be_equal=is_only_speculation(standing))
    return Outcome(standing if judgement.is_kept else None, judgement, tuple(tried), tuple(untried))


def is_only_speculation(changes: Changes) -> bool:
    """Whether nothing but speculation is changed: then greedy answers must not differ.

    Other changes may compute sums in another order, which may turn a choice between two equally likely tokens.
    """
    return set(changes.stated()) == {"speculation"}


async def _best_value(goal: TuneGoal, factor: Factor, standing: Changes, measure: Measure) -> Changes:
    """Successive halving: a few pairs of each value, the better half goes on, the last one has to prove itself."""
    challengers = {standing.with_one(factor.name, value): list[Pair]() for value in factor.values}
    while True:
        for one in challengers:
            challengers[one] += await measure(standing, one, FIRST_PAIRS)
        ranked = sorted(challengers, key=lambda one: goal_gain(goal, challengers[one]), reverse=True)
        challengers = {one: challengers[one] for one in ranked[: max(1, len(ranked) // 2)]}
        if len(challengers) == 1:
            break
    ((challenger, pairs),) = challengers.items()
    if goal_gain(goal, pairs) <= 1:
        return standing
    if (missing := ADOPT_PAIRS - len(pairs)) > 0:
        pairs += await measure(standing, challenger, missing)
    verdict = judge(goal, pairs, ADOPT_MARGIN, must_be_equal=factor.name == "speculation")
    return challenger if verdict.is_kept else standing
