"""Each measure on a timeline whose figures can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gemstead.bench.measures import Answer, decode_span_s, j_per_token, measure, meets
from gemstead.bench.timeline import Stamp, Timeline
from gemstead.core.types import Timings, Usage

THINKING = Timeline(
    sent_at_s=100.0,
    stamps=(
        Stamp(0.5, "other"),
        Stamp(0.6, "reasoning"),
        Stamp(0.7, "reasoning"),
        Stamp(0.9, "content"),
        Stamp(1.4, "content"),
    ),
    end_s=1.5,
    usage=Usage(
        prompt_tokens=60,
        completion_tokens=5,
        cached_tokens=12,
        reasoning_tokens=2,
        timings=Timings(prefill_tokens=48, prefill_s=0.4, decode_tokens=5, decode_s=0.8),
    ),
    finish_reason="stop",
)


def without_timings() -> Timeline:
    assert THINKING.usage is not None
    return msgspec.structs.replace(THINKING, usage=msgspec.structs.replace(THINKING.usage, timings=None))


def test_the_waits_are_told_apart_by_what_came_first() -> None:
    answer = measure(THINKING)
    assert (answer.ttfr_s, answer.ttft_reasoning_s, answer.ttft_s, answer.latency_s) == (0.5, 0.6, 0.9, 1.5)


def test_tpot_counts_reasoning_tokens_in_the_time_and_in_the_number() -> None:
    answer = measure(THINKING)
    assert answer.tpot_s == pytest.approx((1.4 - 0.6) / 4)
    assert answer.decode_tok_per_s == pytest.approx(5.0)


def test_itl_is_every_gap_between_tokens_and_not_the_one_before_the_first() -> None:
    assert measure(THINKING).itl_s == pytest.approx((0.1, 0.2, 0.5))


def test_prefill_counts_uncached_tokens_only() -> None:
    answer = measure(THINKING)
    assert answer.prefill_tokens == 48
    assert answer.prefill_tok_per_s == pytest.approx(48 / 0.6)
    assert answer.engine_prefill_tok_per_s == pytest.approx(120.0)
    assert answer.engine_decode_tok_per_s == pytest.approx(5.0)


def test_without_the_engines_timings_uncached_is_the_prompt_less_the_cached() -> None:
    answer = measure(without_timings())
    assert answer.prefill_tokens == 48
    assert answer.engine_prefill_tok_per_s is None


def test_a_server_that_hides_its_usage_has_waits_but_no_rates() -> None:
    answer = measure(msgspec.structs.replace(THINKING, usage=None))
    assert answer.ttft_s == 0.9
    assert answer.tpot_s is answer.decode_tok_per_s is answer.prefill_tok_per_s is None


@pytest.mark.parametrize("stamps", [(), (Stamp(0.5, "other"),), (Stamp(0.5, "content"),)])
def test_an_answer_without_two_tokens_has_no_rate(stamps: tuple[Stamp, ...]) -> None:
    answer = measure(Timeline(0.0, stamps, 1.0, Usage(prompt_tokens=5, completion_tokens=1)))
    assert answer.tpot_s is None
    assert answer.itl_s == ()


def test_tokens_that_come_in_one_burst_have_no_rate_either() -> None:
    stamps = (Stamp(0.5, "content"), Stamp(0.5, "content"))
    assert measure(Timeline(0.0, stamps, 1.0, Usage(prompt_tokens=5, completion_tokens=2))).tpot_s is None


@pytest.mark.parametrize(
    ("ttft_limit_s", "tpot_limit_s", "is_good"),
    [(None, None, True), (0.9, 0.2, True), (0.89, None, False), (None, 0.19, False)],
)
def test_goodput_asks_for_every_limit(ttft_limit_s: float | None, tpot_limit_s: float | None, is_good: bool) -> None:
    answer = Answer(ttft_s=0.9, tpot_s=0.2)
    assert meets(answer, ttft_limit_s, tpot_limit_s) is is_good


HIDDEN = Timeline(
    sent_at_s=0.0,
    stamps=(Stamp(0.4, "other"), Stamp(0.45, "content"), Stamp(0.5, "content")),
    end_s=1.2,
    usage=Usage(
        prompt_tokens=151,
        completion_tokens=64,
        cached_tokens=0,
        timings=Timings(prefill_tokens=151, prefill_s=0.05, decode_tokens=64, decode_s=0.73),
    ),
    finish_reason="length",
)


def test_where_most_tokens_are_hidden_the_rates_are_the_engines_own() -> None:
    answer = measure(HIDDEN)
    assert answer.has_hidden_tokens
    assert answer.tpot_s == pytest.approx(0.73 / 63)
    assert answer.decode_tok_per_s == answer.engine_decode_tok_per_s == pytest.approx(63 / 0.73)
    assert answer.prefill_tok_per_s == pytest.approx(151 / 0.05)
    assert decode_span_s(HIDDEN) == pytest.approx((0.5 - 0.73, 0.5))


def test_hidden_tokens_of_an_engine_that_tells_no_times_have_no_rates() -> None:
    assert HIDDEN.usage is not None
    answer = measure(msgspec.structs.replace(HIDDEN, usage=msgspec.structs.replace(HIDDEN.usage, timings=None)))
    assert (answer.tpot_s, answer.prefill_tok_per_s) == (None, None)


def test_the_first_text_is_no_first_token_where_hidden_ones_came_before_it() -> None:
    answer = measure(HIDDEN)
    assert (answer.ttfr_s, answer.ttft_s) == (0.4, None)
    at_once = msgspec.structs.replace(HIDDEN, stamps=(Stamp(0.4, "other"), Stamp(0.401, "content"), HIDDEN.stamps[2]))
    assert measure(at_once).ttft_s == 0.401


def test_tokens_that_share_a_chunk_are_not_hidden() -> None:
    stamps = tuple(Stamp(0.5 + 0.02 * number, "content") for number in range(32))
    usage = Usage(prompt_tokens=9, completion_tokens=64, timings=Timings(decode_tokens=64, decode_s=0.63))
    answer = measure(Timeline(0.0, stamps, 1.2, usage))
    assert not answer.has_hidden_tokens
    assert answer.tpot_s == pytest.approx(0.62 / 63)


def test_an_answer_without_any_text_has_the_engines_rate() -> None:
    assert HIDDEN.usage is not None
    answer = measure(msgspec.structs.replace(HIDDEN, stamps=(Stamp(0.4, "other"), Stamp(1.13, "other"))))
    assert (answer.ttfr_s, answer.ttft_s) == (0.4, None)
    assert answer.decode_tok_per_s == pytest.approx(63 / 0.73)


def test_an_unknown_figure_meets_no_limit() -> None:
    assert not meets(Answer(ttft_s=None), 10.0, None)


def test_energy_a_token_is_that_of_the_decoding_with_and_without_idle_power() -> None:
    answers = [Answer(completion_tokens=11, tpot_s=0.1, decode_j=20.0), Answer(completion_tokens=11, tpot_s=0.1)]
    assert j_per_token(answers) == pytest.approx(2.0)
    assert j_per_token(answers, idle_w=5.0) == pytest.approx(1.5)
    assert j_per_token(answers[1:]) is None


def test_every_figure_of_an_answer_is_in_the_glossary() -> None:
    glossary = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")
    fields = set(Answer.__struct_fields__) - {"prefill_j"}
    assert {field for field in fields if f"`{field}`" not in glossary} == set()
