"""How far measurements scatter: medians, quartiles, percentiles, and intervals by resampling. Pure, and repeatable.

The intervals are percentile bootstrap intervals (Efron, 1979): the figure is computed again from samples drawn with
replacement, and the middle 95 % of what comes out is the interval. With three repeats it is wide, and should be.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable, Sequence

import msgspec

_NUM_RESAMPLES = 1000
_CONFIDENCE = 0.95
_SEED = 20
"""Any fixed one: the same measurements must give the same interval."""


class Spread(msgspec.Struct, frozen=True):
    """`ci_low` and `ci_high` bound the median with 95 % confidence; with one value everything is that value."""

    median: float
    low_quartile: float
    high_quartile: float
    ci_low: float
    ci_high: float
    num: int


class Ratio(msgspec.Struct, frozen=True):
    """`ratio` of two medians, or the median of pairs' ratios, with its 95 % interval."""

    ratio: float
    ci_low: float
    ci_high: float

    @property
    def is_different(self) -> bool:
        """Whether the interval leaves out 1."""
        return not self.ci_low <= 1 <= self.ci_high


def spread_of(values: Iterable[float | None]) -> Spread | None:
    """None if no value is known."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    rng = random.Random(_SEED)  # noqa: S311 resampling, no secret
    medians = sorted(statistics.median(rng.choices(known, k=len(known))) for _ in range(_NUM_RESAMPLES))
    return Spread(
        median=statistics.median(known),
        low_quartile=percentile(known, 25),
        high_quartile=percentile(known, 75),
        ci_low=_tail(medians, low=True),
        ci_high=_tail(medians, low=False),
        num=len(known),
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Linear between the two nearest values, as numpy's default. `values` must not be empty."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def ratio_of_pairs(pairs: Sequence[tuple[float, float]]) -> Ratio | None:
    """Median of b / a over interleaved pairs: what disturbs the machine disturbs both halves of a pair alike."""
    ratios = [b / a for a, b in pairs if a]
    spread = spread_of(ratios)
    return Ratio(spread.median, spread.ci_low, spread.ci_high) if spread else None


def ratio_of_medians(a: Sequence[float], b: Sequence[float]) -> Ratio | None:
    """median(b) / median(a) of measurements that were not taken in pairs."""
    if not a or not b or not statistics.median(a):
        return None
    rng = random.Random(_SEED)  # noqa: S311 resampling, no secret
    ratios = []
    for _ in range(_NUM_RESAMPLES):
        below = statistics.median(rng.choices(a, k=len(a)))
        ratios.append(statistics.median(rng.choices(b, k=len(b))) / below if below else float("inf"))
    ratios.sort()
    return Ratio(statistics.median(b) / statistics.median(a), _tail(ratios, low=True), _tail(ratios, low=False))


def jain_index(shares: Sequence[float]) -> float | None:
    """(sum x)^2 / (n sum x^2): 1 when all get the same, 1/n when one gets everything (Jain, Chiu, Hawe, 1984)."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else None


def slope(points: Sequence[tuple[float, float]], max_points: int = 300) -> float | None:
    """The median of the slopes between all pairs (Theil, 1950; Sen, 1968): single outliers do not move it.

    Of more than `max_points`, evenly chosen ones are used. None with fewer than two moments.
    """
    step = max(1, -(-len(points) // max_points))
    chosen = points[::step]
    slopes = [(y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(chosen) for x2, y2 in chosen[i + 1 :] if x2 != x1]
    return statistics.median(slopes) if slopes else None


def _tail(ordered: Sequence[float], *, low: bool) -> float:
    percent = 50 * (1 - _CONFIDENCE)
    return percentile(ordered, percent if low else 100 - percent)
