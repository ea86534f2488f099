"""A level of load in figures, and where more load stops paying. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from gemstead.bench.load import Request, Shape
from gemstead.bench.measures import meets
from gemstead.bench.results import LoadLevel
from gemstead.bench.spread import jain_index, percentile, slope

MIN_GAIN = 0.10
"""A level that completes less than this much more than the best before it is past the knee."""
MIN_DRIFT_S = 60.0
"""A level shorter than this says nothing about what changes with time."""
MIN_GOOD_SHARE = 0.95
"""Of the requests sent, within the limits: below it a level is not kept up with."""


class Limits(msgspec.Struct, frozen=True):
    """What an answer must keep to count for goodput; None: anything."""

    ttft_s: float | None = None
    tpot_s: float | None = None


def summarise(
    shape: Shape, requests: Sequence[Request], limits: Limits, memory: Sequence[tuple[float, float]] = ()
) -> LoadLevel:
    """`memory` are (seconds, bytes) of the server's processes over the level, where they are on this machine."""
    answers = [request.answer for request in requests if request.answer is not None]
    wall_s = max((request.done_s for request in requests), default=0.0) or shape.duration_s
    good = sum(meets(answer, limits.ttft_s, limits.tpot_s) for answer in answers)
    is_long = wall_s >= MIN_DRIFT_S
    memory_slope = slope(memory) if is_long else None
    latency_slope = _latency_slope(requests) if is_long else None
    return LoadLevel(
        arrival=shape.arrival,
        num_users=shape.num_users if shape.arrival == "closed" else 0,
        rate_per_s=None if shape.arrival == "closed" else shape.rate_per_s,
        wall_s=wall_s,
        num_sent=len(requests),
        num_completed=len(answers),
        failures=dict(Counter(one.failure for one in requests if one.failure)),
        requests_per_s=len(answers) / wall_s,
        completion_tok_per_s=sum(answer.completion_tokens or 0 for answer in answers) / wall_s,
        goodput_per_s=good / wall_s,
        ttft_s=_known([answer.ttft_s for answer in answers]),
        tpot_s=_known([answer.tpot_s for answer in answers]),
        latency_s=_known([answer.latency_s for answer in answers]),
        fairness=_fairness(shape, requests),
        latency_slope_s_per_min=None if latency_slope is None else 60 * latency_slope,
        memory_slope_bytes_per_min=None if memory_slope is None else 60 * memory_slope,
    )


def find_knee(levels: Sequence[LoadLevel]) -> int | None:
    """The place of the last level worth its load: at most of its requests within the limits, and more done than before.

    A level counts if 95 % of what was sent is good and its goodput is 10 % above the best so far; the first that does
    not ends the search. None if not even the first counts.
    """
    best = 0.0
    knee = None
    for place, level in enumerate(levels):
        is_kept_up = level.goodput_per_s * level.wall_s >= MIN_GOOD_SHARE * level.num_sent
        if not (is_kept_up and level.goodput_per_s > best * (1 + MIN_GAIN)):
            break
        best, knee = level.goodput_per_s, place
    return knee


def quantiles(values: Sequence[float]) -> tuple[float, float, float] | None:
    """p50, p95, p99; None of nothing."""
    return (percentile(values, 50), percentile(values, 95), percentile(values, 99)) if values else None


def _known(values: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(value for value in values if value is not None)


def _latency_slope(requests: Sequence[Request]) -> float | None:
    """Seconds of latency a second."""
    known = [(one.due_s, one.answer.latency_s) for one in requests if one.answer is not None]
    return slope([(due_s, latency_s) for due_s, latency_s in known if latency_s is not None])


def _fairness(shape: Shape, requests: Sequence[Request]) -> float | None:
    """Jain's index over the completion tokens of the users of a closed loop; one user is no company."""
    if shape.arrival != "closed" or shape.num_users < 2:
        return None
    tokens = [0.0] * shape.num_users
    for request in requests:
        if request.answer is not None:
            tokens[request.user] += request.answer.completion_tokens or 0
    return jain_index(tokens)
