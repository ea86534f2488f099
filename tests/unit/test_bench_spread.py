from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.bench.spread import jain_index, percentile, ratio_of_medians, ratio_of_pairs, slope, spread_of

VALUES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=40)


@given(VALUES, st.floats(0, 100))
def test_percentiles_are_those_of_numpy(values: list[float], percent: float) -> None:
    assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)))


def test_the_interval_holds_the_median_and_stays_within_the_values() -> None:
    spread = spread_of([9.0, 10.0, None, 11.0, 30.0])
    assert spread is not None
    assert spread.num == 4
    assert 9.0 <= spread.ci_low <= spread.median == 10.5 <= spread.ci_high <= 30.0


def test_the_same_values_give_the_same_interval() -> None:
    assert spread_of([1.0, 2.0, 3.0, 9.0]) == spread_of([1.0, 2.0, 3.0, 9.0])


def test_one_value_is_its_own_interval_and_none_have_none() -> None:
    spread = spread_of([7.0])
    assert spread is not None
    assert spread.ci_low == spread.low_quartile == spread.high_quartile == spread.ci_high == 7.0
    assert spread_of([None]) is None


def test_pairs_show_a_difference_that_noise_hides_from_medians() -> None:
    # The machine slows down by half and more meanwhile; B is 10 % faster in every pair.
    a = [100.0, 80.0, 60.0, 50.0, 40.0, 30.0]
    b = [value * 1.1 for value in a]
    pairs = ratio_of_pairs(list(zip(a, b, strict=True)))
    medians = ratio_of_medians(a, b)
    assert pairs is not None
    assert medians is not None
    assert pairs.ratio == pytest.approx(1.1)
    assert pairs.is_different
    assert not medians.is_different


def test_there_is_no_ratio_to_nothing() -> None:
    assert ratio_of_pairs([]) is None
    assert ratio_of_medians([], [1.0]) is None
    assert ratio_of_medians([0.0], [1.0]) is None


def test_jains_index_is_one_for_equal_shares_and_one_nth_if_one_takes_all() -> None:
    assert jain_index([5.0, 5.0, 5.0]) == pytest.approx(1.0)
    assert jain_index([9.0, 0.0, 0.0]) == pytest.approx(1 / 3)
    assert jain_index([0.0, 0.0]) is None


def test_the_slope_is_not_moved_by_an_outlier() -> None:
    points = [(float(x), 2.0 * x + 1.0) for x in range(50)]
    points[20] = (20.0, 1e6)
    assert slope(points) == pytest.approx(2.0)
    assert slope([(1.0, 5.0)]) is None
    assert slope([(1.0, 5.0), (1.0, 6.0)]) is None


def test_the_slope_of_very_many_points_is_found_from_some_of_them() -> None:
    assert slope([(float(x), 3.0 * x) for x in range(100_000)]) == pytest.approx(3.0)
