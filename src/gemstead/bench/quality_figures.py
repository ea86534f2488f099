"""The figures of a measurement of quality, each with its 95 % interval, and what they mean in words. Pure.

Intervals of a text are percentile bootstrap intervals over whole chunks: tokens of one chunk resemble each other, and
resampling single tokens would make the intervals too narrow. Those of shares of answers are Wilson's (1927).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from gemstead.bench.quality_results import Answered, ChunkScores, QualityRun

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

_NUM_RESAMPLES = 1000
_SEED = 20
"""Any fixed one: the same measurements must give the same interval."""
_Z_95 = 1.959964
MIN_CHUNKS = 8
"""With fewer, an interval over chunks is a rough one."""

STEPS = ((0.001, "nothing that shows"), (0.01, "next to nothing"), (0.05, "little"), (0.2, "noticeable"))
"""Mean KL divergence in nats below which a loss is called so; above the last it is a lot. Ours, for orientation."""


class Interval(msgspec.Struct, frozen=True):
    """A figure with its 95 % interval."""

    value: float
    ci_low: float
    ci_high: float


class TextFigures(msgspec.Struct, frozen=True):
    """Of one text. The last five are None without a reference.

    `ratio` is the perplexity over the reference's, by the same chunks. Divergences in nats for each token, from the
    reference to the model. `same_top` is the share of places where both find the same token the most likely.
    """

    num_chunks: int
    num_tokens: int
    perplexity: Interval
    base_perplexity: Interval | None = None
    ratio: Interval | None = None
    mean_divergence: Interval | None = None
    p99_divergence: Interval | None = None
    same_top: Interval | None = None


def text_figures(chunks: Sequence[ChunkScores]) -> TextFigures:
    """`chunks` must not be empty, and all with a reference or all without."""
    import numpy as np

    tokens = np.array([chunk.num_tokens for chunk in chunks], np.float64)
    nll = np.array([chunk.nll for chunk in chunks], np.float64)
    perplexity = _interval(len(chunks), _perplexity(nll, tokens))
    if any(chunk.base_nll is None for chunk in chunks):
        return TextFigures(len(chunks), int(tokens.sum()), perplexity)
    base = np.array([chunk.base_nll for chunk in chunks], np.float64)
    same = np.array([chunk.num_same_top for chunk in chunks], np.float64)
    divergences = [np.array(chunk.divergences) for chunk in chunks]
    sums = np.array([values.sum() for values in divergences])
    return TextFigures(
        num_chunks=len(chunks),
        num_tokens=int(tokens.sum()),
        perplexity=perplexity,
        base_perplexity=_interval(len(chunks), _perplexity(base, tokens)),
        ratio=_interval(len(chunks), _perplexity(nll - base, tokens)),
        mean_divergence=_interval(len(chunks), _share(sums, tokens)),
        p99_divergence=_interval(
            len(chunks), lambda chosen: float(np.percentile(np.concatenate([divergences[i] for i in chosen]), 99))
        ),
        same_top=_interval(len(chunks), _share(same, tokens)),
    )


def perplexity_ratio(a: Sequence[ChunkScores], b: Sequence[ChunkScores]) -> Interval:
    """Perplexity of b over that of a, for the same chunks of one text."""
    import numpy as np

    more = np.array([after.nll - before.nll for before, after in zip(a, b, strict=True)])
    return _interval(len(a), _perplexity(more, np.array([chunk.num_tokens for chunk in a], np.float64)))


def accuracy(answers: Sequence[Answered]) -> Interval | None:
    """Share of right answers among those that can be right or wrong; None if there are none."""
    judged = [answer.is_right for answer in answers if answer.is_right is not None]
    return wilson(sum(judged), len(judged)) if judged else None


def wilson(num_right: int, num: int) -> Interval:
    """A share with Wilson's score interval, which is sound for few answers and for shares of 0 and 1."""
    share, z2 = num_right / num, _Z_95**2
    centre = (share + z2 / (2 * num)) / (1 + z2 / num)
    half = _Z_95 * math.sqrt(share * (1 - share) / num + z2 / (4 * num * num)) / (1 + z2 / num)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def loss_in_words(run: QualityRun) -> str | None:
    """How much the quantization cost; None where nothing was measured against a higher precision."""
    if run.text is None or run.start.reference is None:
        return None
    figures = text_figures(run.text.chunks)
    assert figures.mean_divergence is not None
    assert figures.ratio is not None
    assert figures.same_top is not None
    ratio, same = figures.ratio, figures.same_top
    size = next((word for most, word in STEPS if figures.mean_divergence.value < most), "a lot")
    more = f"perplexity {ratio.value - 1:+.1%} ({ratio.ci_low - 1:+.1%} to {ratio.ci_high - 1:+.1%})"
    top = f"the likeliest token is the same in {same.value:.1%} of the places ({same.ci_low:.1%} to {same.ci_high:.1%})"
    return f"{run.start.subject.quant} costs {size} against {run.start.reference.quant}: {more}; {top}"


_Statistic = Callable[["NDArray[int64]"], float]


def _perplexity(nll: NDArray[float64], tokens: NDArray[float64]) -> _Statistic:
    return lambda chosen: math.exp(nll[chosen].sum() / tokens[chosen].sum())


def _share(sums: NDArray[float64], tokens: NDArray[float64]) -> _Statistic:
    return lambda chosen: float(sums[chosen].sum() / tokens[chosen].sum())


def _interval(num_chunks: int, statistic: _Statistic) -> Interval:
    import numpy as np

    drawn = np.random.default_rng(_SEED).integers(0, num_chunks, (_NUM_RESAMPLES, num_chunks))
    low, high = np.percentile([statistic(chosen) for chosen in drawn], (2.5, 97.5))
    return Interval(statistic(np.arange(num_chunks)), float(low), float(high))
