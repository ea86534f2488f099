"""What `tune` measures in each round, and when one setting is better than another and worse in nothing. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from gemstead.bench.spread import ratio_of_pairs, spread_of
from gemstead.core.units import MIB

TuneGoal: TypeAlias = Literal["latency", "throughput", "code-edit"]

FIGURES: dict[str, tuple[str, bool]] = {
    "latency": ("s", False),
    "TTFT": ("s", False),
    "prefill": ("tok/s", True),
    "decode": ("tok/s", True),
    "edit decode": ("tok/s", True),
    "decode of all users": ("tok/s", True),
    "TTFT of all users": ("s", False),
    "memory": ("bytes", False),
}
"""Each figure's unit, and whether more of it is better. `latency` is the whole answer to a prompt of prose."""

GOAL_FIGURES: dict[TuneGoal, str] = {
    "latency": "latency",
    "throughput": "decode of all users",
    "code-edit": "edit decode",
}

TOLERANCE = 0.03
"""A figure counts as worse once its interval leaves out "equal" and its median is further off than this."""
MEMORY_SHARE = 0.1
MEMORY_BYTES = 256 * MIB
"""Memory may grow by the larger of the two. For throughput it may grow while the plan fits: slots are memory."""


class Round(msgspec.Struct, frozen=True, omit_defaults=True):
    """One engine's figures in one round, by name. `texts` are digests of its greedy answers, by task."""

    figures: dict[str, float]
    texts: dict[str, str] = {}
    drafted_tokens: int = 0
    accepted_tokens: int = 0


Pair: TypeAlias = tuple[Round, Round]
"""Of the setting that stands, and of the one that would replace it, measured in turn."""


class FigureLine(msgspec.Struct, frozen=True):
    """One figure, new over old, turned so that above 1 is better: `gain`, between `low` and `high` with 95 %."""

    figure: str
    old: float
    new: float
    gain: float
    low: float
    high: float

    @property
    def is_better(self) -> bool:
        return self.low > 1

    @property
    def is_worse(self) -> bool:
        return self.high < 1 and self.gain < 1 - TOLERANCE


class Judgement(msgspec.Struct, frozen=True):
    """`refusal` says why the new setting is not kept; None: it is. `equal_texts` of `num_texts` answers were equal."""

    lines: tuple[FigureLine, ...]
    refusal: str | None
    equal_texts: int
    num_texts: int

    @property
    def is_kept(self) -> bool:
        return self.refusal is None


def judge(goal: TuneGoal, pairs: Sequence[Pair], margin: float, *, must_be_equal: bool) -> Judgement:
    """Whether the second of each pair replaces the first: by `margin` better in the goal's figure, worse in none.

    `must_be_equal`: the greedy answers have to be the same, token for token.
    """
    lines = figure_lines(pairs)
    equal, total = count_equal(pairs)
    refusal = _refusal(goal, lines, margin)
    if refusal is None and must_be_equal and equal < total:
        refusal = f"{total - equal} of {total} answers at temperature 0 differ"
    return Judgement(lines, refusal, equal, total)


def figure_lines(pairs: Sequence[Pair]) -> tuple[FigureLine, ...]:
    """Every figure that all rounds have."""
    lines = (_line(name, is_more_better, pairs) for name, (_, is_more_better) in FIGURES.items())
    return tuple(line for line in lines if line is not None)


def count_equal(pairs: Sequence[Pair]) -> tuple[int, int]:
    """(answers that are equal in both of a pair, answers)."""
    same = [old.texts[task] == new.texts[task] for old, new in pairs for task in old.texts if task in new.texts]
    return sum(same), len(same)


def goal_gain(goal: TuneGoal, pairs: Sequence[Pair]) -> float:
    """The median gain in the goal's figure; 0 where it was not measured."""
    return next((line.gain for line in figure_lines(pairs) if line.figure == GOAL_FIGURES[goal]), 0.0)


def _line(name: str, is_more_better: bool, pairs: Sequence[Pair]) -> FigureLine | None:
    values = [
        (old.figures[name], new.figures[name]) for old, new in pairs if name in old.figures and name in new.figures
    ]
    if len(values) < len(pairs):
        return None
    ratio = ratio_of_pairs(values if is_more_better else [(new, old) for old, new in values])
    olds, news = spread_of(old for old, _ in values), spread_of(new for _, new in values)
    if ratio is None or olds is None or news is None:
        return None
    return FigureLine(name, olds.median, news.median, ratio.ratio, ratio.ci_low, ratio.ci_high)


def _refusal(goal: TuneGoal, lines: Sequence[FigureLine], margin: float) -> str | None:
    wanted = next((line for line in lines if line.figure == GOAL_FIGURES[goal]), None)
    if wanted is None:
        return f"{GOAL_FIGURES[goal]} could not be measured"
    if not wanted.is_better or wanted.gain < 1 + margin:
        return f"{wanted.figure} x{wanted.gain:.2f} ({wanted.low:.2f} to {wanted.high:.2f}) is no gain of {margin:.0%}"
    worse = [line for line in lines if _is_worse(goal, line)]
    return "; ".join(f"{line.figure} would be worse: x{line.gain:.2f}" for line in worse) or None


def _is_worse(goal: TuneGoal, line: FigureLine) -> bool:
    if line.figure != "memory":
        return line.is_worse
    return goal != "throughput" and line.new - line.old > max(MEMORY_BYTES, MEMORY_SHARE * line.old)
