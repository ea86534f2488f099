"""The search of `tune`, its measurements scripted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from fake_engine import small_plan
from gemstead.bench.changes import Changes
from gemstead.bench.tune_figures import Pair, Round, TuneGoal, judge
from gemstead.bench.tune_search import PROOF_PAIRS, Factor, factors_of, search

NOISE = (0.995, 1.0, 1.005, 1.002, 0.998)


class ScriptedMeasure:
    """Rounds whose figures follow from the changes alone, with a little noise that no test depends on."""

    def __init__(self, figures_of: Callable[[Changes], dict[str, float]], *, has_equal_texts: bool = True) -> None:
        self._figures_of = figures_of
        self._has_equal_texts = has_equal_texts
        self.asked: list[tuple[Changes, Changes, int]] = []

    async def __call__(self, standing: Changes, challenger: Changes, num_pairs: int) -> Sequence[Pair]:
        self.asked.append((standing, challenger, num_pairs))
        return [(self._round(standing, number), self._round(challenger, number + 1)) for number in range(num_pairs)]

    def _round(self, changes: Changes, number: int) -> Round:
        noise = NOISE[number % len(NOISE)]
        figures = {name: value * noise for name, value in self._figures_of(changes).items()}
        return Round(figures, {"edit": "same" if self._has_equal_texts else changes.describe()})

    @property
    def num_pairs_of(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for _, challenger, num_pairs in self.asked:
            counts[challenger.describe()] = counts.get(challenger.describe(), 0) + num_pairs
        return counts


class ScriptedClock:
    """Time for so many questions."""

    def __init__(self, num_answers: int) -> None:
        self._num_left = num_answers

    def has_time(self, num_pairs: int) -> bool:
        assert num_pairs > 0
        self._num_left -= 1
        return self._num_left >= 0


AMPLE = 100


def ubatch_helps(changes: Changes) -> dict[str, float]:
    """1024 is best for the whole answer; 2048 is nearly as good, 128 bad."""
    latency_s = {None: 2.0, 128: 3.0, 256: 2.2, 1024: 1.5, 2048: 1.6}[changes.ubatch_tokens]
    return {"latency": latency_s, "TTFT": latency_s / 2, "decode": 20.0, "memory": 1e9}


UBATCH = Factor("ubatch_tokens", (128, 256, 1024, 2048))


async def test_the_best_value_of_a_factor_wins_and_is_proved_against_the_plan() -> None:
    measure = ScriptedMeasure(ubatch_helps)
    outcome = await search("latency", [UBATCH], measure, ScriptedClock(AMPLE), 0.05)
    assert outcome.winner == Changes(ubatch_tokens=1024)
    assert measure.asked[-1] == (Changes(), Changes(ubatch_tokens=1024), PROOF_PAIRS)
    assert outcome.judgement is not None
    (latency,) = [line for line in outcome.judgement.lines if line.figure == "latency"]
    assert latency.gain == pytest.approx(2.0 / 1.5, rel=0.02)


async def test_the_worse_half_of_the_values_is_measured_least() -> None:
    measure = ScriptedMeasure(ubatch_helps)
    await search("latency", [UBATCH], measure, ScriptedClock(AMPLE), 0.05)
    counts = measure.num_pairs_of
    assert counts["ubatch 128"] == counts["ubatch 256"] == 2
    assert counts["ubatch 2048"] == 4
    assert counts["ubatch 1024"] > 4


async def test_factors_build_on_each_other() -> None:
    def figures(changes: Changes) -> dict[str, float]:
        return {"latency": 2.0 * (0.8 if changes.num_threads == 3 else 1) * (0.7 if changes.ubatch_tokens else 1)}

    factors = [Factor("num_threads", (1, 3)), Factor("ubatch_tokens", (1024,))]
    measure = ScriptedMeasure(figures)
    outcome = await search("latency", factors, measure, ScriptedClock(AMPLE), 0.05)
    assert outcome.winner == Changes(num_threads=3, ubatch_tokens=1024)
    assert (Changes(num_threads=3), Changes(num_threads=3, ubatch_tokens=1024)) in [one[:2] for one in measure.asked]


async def test_where_nothing_is_better_the_plan_is_best_and_no_proof_is_measured() -> None:
    measure = ScriptedMeasure(lambda changes: {"latency": 2.0 if changes == Changes() else 2.5})
    outcome = await search("latency", [UBATCH], measure, ScriptedClock(AMPLE), 0.05)
    assert outcome.winner is None
    assert outcome.judgement is None
    assert outcome.tried == ("ubatch_tokens",)


async def test_a_gain_that_makes_another_figure_worse_is_not_kept() -> None:
    def figures(changes: Changes) -> dict[str, float]:
        return {"latency": 1.5 if changes.ubatch_tokens else 2.0, "TTFT": 1.3 if changes.ubatch_tokens else 1.0}

    outcome = await search("latency", [UBATCH], ScriptedMeasure(figures), ScriptedClock(AMPLE), 0.05)
    assert outcome.winner is None


async def test_without_time_a_factor_is_left_out_and_named() -> None:
    factors = [UBATCH, Factor("num_threads", (1,))]
    outcome = await search("latency", factors, ScriptedMeasure(ubatch_helps), ScriptedClock(1), 0.05)
    assert outcome.untried == ("num_threads",)
    assert outcome.winner == Changes(ubatch_tokens=1024)


def speculation_helps(changes: Changes) -> dict[str, float]:
    rate = 180.0 if changes.speculation == "ngram" else 70.0
    return {"edit decode": rate, "decode": 70.0, "TTFT": 1.0, "memory": 5e8}


async def test_speculation_is_kept_where_its_answers_are_equal() -> None:
    factors = [Factor("speculation", ("ngram",))]
    outcome = await search("code-edit", factors, ScriptedMeasure(speculation_helps), ScriptedClock(AMPLE), 0.05)
    assert outcome.winner == Changes(speculation="ngram")


async def test_speculation_whose_answers_differ_is_not_kept_however_fast() -> None:
    measure = ScriptedMeasure(speculation_helps, has_equal_texts=False)
    factors = [Factor("speculation", ("ngram",))]
    outcome = await search("code-edit", factors, measure, ScriptedClock(AMPLE), 0.05)
    assert outcome.winner is None


async def test_speculation_that_slows_free_text_is_not_kept() -> None:
    def figures(changes: Changes) -> dict[str, float]:
        return speculation_helps(changes) | {"decode": 50.0 if changes.speculation else 70.0}

    factors = [Factor("speculation", ("ngram",))]
    outcome = await search("code-edit", factors, ScriptedMeasure(figures), ScriptedClock(AMPLE), 0.05)
    assert outcome.winner is None


def pairs(old: dict[str, float], new: dict[str, float], num: int = 6) -> list[Pair]:
    return [
        (
            Round({name: value * NOISE[i % 5] for name, value in old.items()}, {"edit": "a"}),
            Round({name: value * NOISE[(i + 2) % 5] for name, value in new.items()}, {"edit": "a" if i else "b"}),
        )
        for i in range(num)
    ]


@pytest.mark.parametrize(
    ("goal", "more_bytes", "is_kept"),
    [("latency", 200 << 20, True), ("latency", 600 << 20, False), ("throughput", 600 << 20, True)],
)
def test_memory_may_grow_by_a_quarter_gibibyte_and_for_throughput_as_planned(
    goal: TuneGoal, more_bytes: int, is_kept: bool
) -> None:
    old = {"latency": 2.0, "decode of all users": 20.0, "memory": float(1 << 30)}
    new = {"latency": 1.0, "decode of all users": 40.0, "memory": float((1 << 30) + more_bytes)}
    assert judge(goal, pairs(old, new), 0.05, must_be_equal=False).is_kept == is_kept


def test_a_gain_below_the_margin_is_refused_with_its_figure_and_interval() -> None:
    judgement = judge("latency", pairs({"latency": 2.0}, {"latency": 1.96}), 0.05, must_be_equal=False)
    assert judgement.refusal is not None
    assert judgement.refusal.startswith("latency x1.0")


def test_one_answer_that_differs_is_enough_to_refuse() -> None:
    judgement = judge("latency", pairs({"latency": 2.0}, {"latency": 1.0}), 0.05, must_be_equal=True)
    assert judgement.refusal == "1 of 6 answers at temperature 0 differ"


def test_a_goal_that_could_not_be_measured_is_refused() -> None:
    judgement = judge("code-edit", pairs({"latency": 2.0}, {"latency": 1.0}), 0.05, must_be_equal=False)
    assert judgement.refusal == "edit decode could not be measured"


def names(goal: TuneGoal, *, may_quantize_kv: bool = False, is_alone: bool = True) -> dict[str, tuple[int | str, ...]]:
    found = factors_of(goal, small_plan(), 8, may_quantize_kv=may_quantize_kv, is_alone=is_alone)
    return {factor.name: factor.values for factor in found}


def test_the_kv_cache_is_quantized_only_where_the_user_says_so() -> None:
    assert "kv_cache_dtype" not in names("latency")
    assert names("latency", may_quantize_kv=True)["kv_cache_dtype"] == ("q8_0",)


def test_each_goal_tries_what_can_help_it() -> None:
    assert names("code-edit")["speculation"] == ("ngram",)
    assert "speculation" not in names("latency")
    assert names("throughput")["num_slots"] == (2, 4, 8)
    assert "num_slots" not in names("latency")
    assert "num_slots" not in names("throughput", is_alone=False)
    assert names("latency")["num_threads"] == (4, 7)


def test_a_drafter_is_tried_where_there_is_one() -> None:
    plan = small_plan(drafter_path="/models/mtp.gguf")
    assert factors_of("code-edit", plan, 8, may_quantize_kv=False)[0].values == ("ngram", "draft")


def test_changes_are_applied_to_the_plan_and_named() -> None:
    changes = Changes(num_threads=3, speculation="ngram", flash_attention="off")
    plan = changes.applied(small_plan())
    assert (plan.num_threads, plan.speculation, plan.flash_attention) == (3, "ngram", "off")
    assert changes.describe() == "threads 3, flash attention off, speculation ngram"
    assert Changes().describe() == "as planned"
