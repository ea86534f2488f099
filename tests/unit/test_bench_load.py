"""Arrivals and what a level of load comes to."""

from __future__ import annotations

import statistics
from itertools import pairwise

import msgspec
import pytest

from gemstead.bench.load import Request, Shape, arrival_times_s, check_shape, counted_from_due
from gemstead.bench.load_summary import Limits, find_knee, summarise
from gemstead.bench.measures import Answer
from gemstead.bench.results import LoadLevel
from gemstead.core.errors import RequestInvalid

CLOSED = Shape(arrival="closed", duration_s=10.0, num_users=2)


def done(user: int, due_s: float, latency_s: float, tokens: int = 10) -> Request:
    answer = Answer(completion_tokens=tokens, ttft_s=latency_s / 2, tpot_s=0.05, latency_s=latency_s)
    return Request(user, due_s, due_s + latency_s, answer)


def test_constant_arrivals_are_evenly_spaced() -> None:
    assert list(arrival_times_s("constant", 4.0, 1.0, seed=1)) == [0.25, 0.5, 0.75, 1.0]


def test_poisson_arrivals_have_the_rate_and_exponential_gaps() -> None:
    times = list(arrival_times_s("poisson", 10.0, 1000.0, seed=1))
    gaps = [after - before for before, after in pairwise(times)]
    assert len(times) == pytest.approx(10_000, rel=0.05)
    assert statistics.stdev(gaps) == pytest.approx(statistics.mean(gaps), rel=0.05)
    assert times == list(arrival_times_s("poisson", 10.0, 1000.0, seed=1))


def test_a_late_generator_does_not_make_the_server_look_better() -> None:
    answer = counted_from_due(Answer(ttft_s=0.5, ttfr_s=0.4, latency_s=1.0, tpot_s=0.1), late_s=2.0)
    assert (answer.ttfr_s, answer.ttft_s, answer.latency_s, answer.tpot_s) == (2.4, 2.5, 3.0, 0.1)
    assert answer.ttft_reasoning_s is None


def test_a_level_in_figures() -> None:
    requests = [done(0, 0.0, 1.0), done(1, 0.0, 4.0, tokens=30), Request(0, 1.0, 5.0, failure="engine_busy")]
    level = summarise(CLOSED, requests, Limits(ttft_s=1.0))
    assert (level.num_sent, level.num_completed, level.failures) == (3, 2, {"engine_busy": 1})
    assert level.wall_s == 5.0
    assert level.requests_per_s == pytest.approx(0.4)
    assert level.completion_tok_per_s == pytest.approx(8.0)
    assert level.goodput_per_s == pytest.approx(0.2)
    assert level.fairness == pytest.approx(40**2 / (2 * (100 + 900)))


def test_a_level_where_everything_failed_is_no_error() -> None:
    level = summarise(CLOSED, [Request(0, 0.0, 2.0, failure="engine_failed")], Limits())
    assert level.goodput_per_s == level.requests_per_s == 0.0
    assert level.fairness is None
    assert summarise(CLOSED, [], Limits()).num_sent == 0


def test_drift_is_told_of_long_levels_only() -> None:
    slower = [done(0, float(second), 1.0 + second / 60) for second in range(100)]
    memory = [(float(second), 1000.0 * second) for second in range(100)]
    level = summarise(CLOSED, slower, Limits(), memory)
    assert level.latency_slope_s_per_min == pytest.approx(1.0)
    assert level.memory_slope_bytes_per_min == pytest.approx(60_000)
    assert summarise(CLOSED, slower[:10], Limits(), memory).latency_slope_s_per_min is None


def level_of(goodput_per_s: float, sent_per_s: float) -> LoadLevel:
    level = summarise(CLOSED, [], Limits())
    return msgspec.structs.replace(level, goodput_per_s=goodput_per_s, num_sent=round(sent_per_s * level.wall_s))


def test_the_knee_is_the_last_level_that_is_kept_up_with_and_pays() -> None:
    rising = [level_of(1.0, 1.0), level_of(2.0, 2.0), level_of(3.0, 3.0)]
    assert find_knee(rising) == 2
    assert find_knee([*rising, level_of(3.1, 3.1)]) == 2
    assert find_knee([*rising, level_of(3.5, 6.0)]) == 2
    assert find_knee([level_of(0.5, 1.0)]) is None
    assert find_knee([]) is None


@pytest.mark.parametrize(
    "shape",
    [
        msgspec.structs.replace(CLOSED, num_users=0),
        msgspec.structs.replace(CLOSED, num_users=5000),
        msgspec.structs.replace(CLOSED, arrival="poisson", rate_per_s=0.0),
        msgspec.structs.replace(CLOSED, arrival="constant", rate_per_s=1e9),
    ],
)
def test_a_load_nobody_can_mean_is_refused(shape: Shape) -> None:
    with pytest.raises(RequestInvalid):
        check_shape(shape)
