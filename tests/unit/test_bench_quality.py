"""Figures of quality, and what two runs say of each other."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gemstead.bench.quality_compare import compare_quality
from gemstead.bench.quality_figures import accuracy, loss_in_words, text_figures, wilson
from gemstead.bench.quality_results import Answered, ChunkScores, QualityProtocol, earlier_run, gather_quality
from gemstead.bench.quality_store import QualityStore
from gemstead.core.errors import NameUnknown, RequestInvalid
from quality_parts import chunks, quality_records, quality_run


def test_a_text_of_even_chunks_has_its_perplexity_without_spread() -> None:
    figures = text_figures(chunks(20.0))
    assert figures.perplexity.value == pytest.approx(20.0)
    assert figures.perplexity.ci_low == pytest.approx(figures.perplexity.ci_high)
    assert (figures.num_chunks, figures.num_tokens) == (10, 1000)
    assert figures.ratio is None


def test_the_interval_covers_the_chunks_and_is_the_same_each_time() -> None:
    scores = [*chunks(10.0, num=5), *chunks(40.0, num=5)]
    figures = text_figures(scores)
    assert figures.perplexity.value == pytest.approx(20.0)
    assert 10.0 < figures.perplexity.ci_low < 20.0 < figures.perplexity.ci_high < 40.0
    assert text_figures(scores) == figures


def test_the_ratio_is_narrower_than_the_perplexities_since_chunks_are_paired() -> None:
    scores = [*chunks(11.0, 10.0, num=5), *chunks(44.0, 40.0, num=5)]
    figures = text_figures(scores)
    assert figures.ratio is not None
    assert figures.ratio.value == pytest.approx(1.1)
    assert figures.ratio.ci_high - figures.ratio.ci_low < 1e-9
    assert figures.base_perplexity is not None
    assert figures.base_perplexity.value == pytest.approx(20.0)


def test_the_ninety_ninth_percentile_is_of_tokens_not_of_chunks() -> None:
    score = ChunkScores(100, 1.0, 1.0, 100, (*(0.0,) * 98, 1.0, 3.0))
    figures = text_figures([score] * 10)
    assert figures.p99_divergence is not None
    assert 1.0 <= figures.p99_divergence.value <= 3.0
    assert figures.mean_divergence is not None
    assert figures.mean_divergence.value == pytest.approx(0.04)
    assert figures.same_top is not None
    assert figures.same_top.value == 1.0


@pytest.mark.parametrize(
    ("right", "num", "low", "high"), [(0, 10, 0.0, 0.2775), (8, 10, 0.4902, 0.9433), (10, 10, 0.7225, 1.0)]
)
def test_wilsons_interval_is_the_published_one(right: int, num: int, low: float, high: float) -> None:
    interval = wilson(right, num)
    assert interval.ci_low == pytest.approx(low, abs=1e-4)
    assert interval.ci_high == pytest.approx(high, abs=1e-4)


def test_answers_nobody_judges_do_not_count() -> None:
    answers = [Answered("a", "x", True), Answered("b", "y"), Answered("c", "z", False)]
    share = accuracy(answers)
    assert share is not None
    assert share.value == 0.5
    assert accuracy(answers[1:2]) is None


@pytest.mark.parametrize(
    ("divergence", "words"),
    [(0.0, "costs nothing that shows"), (0.02, "costs little"), (0.1, "costs noticeable"), (1.0, "costs a lot")],
)
def test_the_loss_is_said_in_words_with_its_figures(divergence: float, words: str) -> None:
    said = loss_in_words(quality_run("a", chunks(10.5, 10.0, divergence)))
    assert said is not None
    assert said.startswith("Q4_0 ")
    assert words.split()[1] in said
    assert "against Q8_0" in said
    assert "+5.0%" in said


def test_without_a_reference_nothing_is_said_of_a_loss() -> None:
    (run,) = gather_quality(quality_records("a", chunks(10.0), [], reference=None))
    assert loss_in_words(run) is None


def test_changed_answers_are_told_apart_from_those_that_only_look_otherwise() -> None:
    before = [Answered("same", "x"), Answered("case", "Paris", True), Answered("lost", "4", True), Answered("new", "a")]
    after = [
        Answered("same", "x"),
        Answered("case", "paris.", True),
        Answered("lost", "5", False),
        Answered("new", "b"),
    ]
    comparison = compare_quality(quality_run("a", chunks(10.0), before), quality_run("b", chunks(11.0), after))
    assert (comparison.num_asked, comparison.num_equal, comparison.num_alike) == (5, 2, 1)
    assert [(change.name, change.verdict) for change in comparison.changes] == [
        ("lost", "now wrong"),
        ("new", "other words"),
    ]
    assert comparison.perplexity_ratio is not None
    assert comparison.perplexity_ratio.value == pytest.approx(1.1)


def test_what_was_not_asked_alike_is_not_compared() -> None:
    a = quality_run("a", chunks(10.0), [Answered("x", "1")])
    b = quality_run("b", chunks(10.0), [Answered("x", "2")])
    assert b.regression is not None
    other_text = msgspec.structs.replace(b.start.protocol, text_sha256="other")
    b = msgspec.structs.replace(
        b,
        start=msgspec.structs.replace(b.start, protocol=other_text),
        regression=msgspec.structs.replace(b.regression, asked_sha256="others"),
    )
    comparison = compare_quality(a, b)
    assert comparison.num_asked == 1
    assert comparison.changes == ()
    assert comparison.perplexity_ratio is None
    assert "the questions of regression are not the same" in comparison.warnings
    assert any("different texts" in warning for warning in comparison.warnings)


def test_the_run_before_is_of_the_same_family_and_finished() -> None:
    first = quality_run("1", chunks(10.0), [Answered("x", "1")])
    cut = msgspec.structs.replace(quality_run("2", chunks(10.0)), tasks=None)
    stranger = quality_run("3", chunks(10.0))
    stranger = msgspec.structs.replace(stranger, start=msgspec.structs.replace(stranger.start, family="gemma4:31b"))
    newest = quality_run("4", chunks(10.0))
    assert earlier_run(newest, [first, cut, stranger, newest]) == first
    assert earlier_run(first, [first, newest]) is None


def test_what_is_stored_is_found_and_a_cut_line_costs_only_itself(tmp_path: Path) -> None:
    store = QualityStore(tmp_path)
    assert store.find("last") is None
    records = quality_records("20261124-a", chunks(10.0), [])
    for record in records[:-1]:
        store.append(record)
    with store.path.open("ab") as file:
        file.write(b'{"kind":"quality_text","run"')
    (run,) = store.runs()
    assert run.missing == ("tasks",)
    store.append(records[-1])
    assert store.require("2026").missing == ()
    store.append(msgspec.structs.replace(records[0], run="20261125-b"))
    assert store.require("last").start.run == "20261125-b"
    with pytest.raises(RequestInvalid, match="2 runs begin"):
        store.find("2026")
    with pytest.raises(NameUnknown):
        store.require("1999")


def test_a_line_of_a_later_gemstead_is_passed_over(tmp_path: Path) -> None:
    store = QualityStore(tmp_path)
    start = quality_records("a", [], [])[0]
    store.append(msgspec.structs.replace(start, schema=99))
    assert store.runs() == []
    assert QualityProtocol(("tasks",), 512, 16, "a", "b").harness_tasks == ()
