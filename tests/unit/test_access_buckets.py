import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.access.buckets import (
    MINUTE_US,
    Bucket,
    MinuteBucket,
    PeriodBucket,
    period_of,
)
from policy_makers import steady

NOW_US = 1_800_000_000_000_000


def minute(limit: int = 60) -> MinuteBucket:
    return MinuteBucket("b", limit, "tokens")


def test_a_minutes_limit_may_be_spent_at_once_and_comes_back_evenly() -> None:
    bucket = minute(60)
    assert bucket.wait_us(60, NOW_US) == 0
    bucket.add(60, NOW_US)
    assert bucket.wait_us(1, NOW_US) == 1_000_000
    assert bucket.wait_us(1, NOW_US + 1_000_000) == 0
    assert bucket.remaining(NOW_US + 30_000_000) == 30
    assert bucket.reset_us(NOW_US) == MINUTE_US


def test_what_is_more_than_the_whole_limit_never_fits() -> None:
    assert minute(60).wait_us(61, NOW_US) is None
    assert PeriodBucket("b", 5, "tokens", "day").wait_us(6, NOW_US) is None


def test_a_limit_of_nothing_lets_nothing_through() -> None:
    assert minute(0).wait_us(1, NOW_US) is None
    assert minute(0).remaining(NOW_US) == 0


@steady
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 20_000_000)), max_size=60), st.integers(1, 200))
def test_in_no_span_of_time_more_is_spent_than_burst_and_rate_allow(steps: list[tuple[int, int]], limit: int) -> None:
    bucket, now_us, spent, starts = minute(limit), NOW_US, 0, []
    for cost, passed_us in steps:
        now_us += passed_us
        if bucket.wait_us(cost, now_us) == 0:
            starts.append((now_us, spent))
            bucket.add(cost, now_us)
            spent += cost
            for start_us, before in starts:
                assert (spent - before) * MINUTE_US <= limit * MINUTE_US + limit * (now_us - start_us)


@steady
@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(0, 10**9))
def test_the_wait_is_exact_to_the_microsecond(limit: int, cost: int, passed_us: int) -> None:
    bucket = minute(limit)
    bucket.add(limit, NOW_US)
    wait_us = bucket.wait_us(cost, NOW_US + passed_us)
    if wait_us:
        assert bucket.wait_us(cost, NOW_US + passed_us + wait_us) == 0
        assert bucket.wait_us(cost, NOW_US + passed_us + wait_us - 1) != 0


def test_a_day_ends_at_midnight_utc_and_a_month_with_its_last_day() -> None:
    name, ends_us = period_of("day", NOW_US)
    assert (name, ends_us % 86_400_000_000) == ("2027-01-15", 0)
    name, ends_us = period_of("month", NOW_US)
    assert name == "2027-01"
    assert period_of("month", ends_us - 1)[0] == "2027-01"
    assert period_of("month", ends_us)[0] == "2027-02"
    december_us = period_of("month", ends_us - 40 * 86_400_000_000)
    assert december_us[0] == "2026-12"


def test_a_day_is_counted_exactly_and_begins_anew() -> None:
    bucket = PeriodBucket("b", 10, "tokens", "day")
    period = bucket.add(10, NOW_US)
    wait_us = bucket.wait_us(1, NOW_US)
    assert wait_us
    assert bucket.wait_us(10, NOW_US + wait_us) == 0
    # What was reserved yesterday is settled against yesterday.
    bucket.add(4, NOW_US + wait_us)
    bucket.give_back(10, period, NOW_US + wait_us)
    assert bucket.remaining(NOW_US + wait_us) == 6


def test_a_clock_that_is_set_back_gives_nobody_anything() -> None:
    for bucket in (minute(10), PeriodBucket("b", 10, "tokens", "day"), PeriodBucket("b", 10, "tokens", "month")):
        bucket.add(10, NOW_US)
        assert bucket.remaining(NOW_US - 10 * 86_400_000_000) == 0


def test_what_was_spent_on_a_day_that_is_over_does_not_come_back_with_its_row() -> None:
    bucket = PeriodBucket("b", 10, "tokens", "day")
    bucket.add(10, NOW_US)
    yesterdays, tomorrow_us = bucket.saved(NOW_US), NOW_US + 86_400_000_000
    bucket.add(1, tomorrow_us)
    bucket.restore(yesterdays)
    assert bucket.remaining(tomorrow_us) == 10


@pytest.mark.parametrize("bucket", [minute(10), PeriodBucket("b", 10, "tokens", "day")])
def test_what_is_saved_at_a_clean_stop_is_exact(bucket: Bucket) -> None:
    bucket.add(7, NOW_US)
    row = bucket.saved(NOW_US)
    again: Bucket = minute(10) if isinstance(bucket, MinuteBucket) else PeriodBucket("b", 10, "tokens", "day")
    again.restore(row)
    assert again.remaining(NOW_US) == 3
