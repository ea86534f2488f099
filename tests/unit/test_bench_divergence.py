"""Scores out of rows of log probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gemstead.bench.divergence import read_rows, row_length, score_chunk
from quality_parts import rows_of

P = [[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]]
Q = [[0.5, 0.3, 0.2], [0.6, 0.2, 0.2]]
TARGETS = np.array([0, 2], np.int32)


def test_rows_give_back_the_probabilities_to_sixteen_bits() -> None:
    assert np.exp(read_rows(rows_of(P), 3)) == pytest.approx(np.array(P), rel=1e-4)


@pytest.mark.parametrize(("vocab_size", "length"), [(3, 8), (4, 8), (262_144, 262_148)])
def test_rows_are_padded_to_whole_words(vocab_size: int, length: int) -> None:
    assert row_length(vocab_size) == length


def test_a_chunk_without_a_reference_has_the_sum_of_its_surprises() -> None:
    scores = score_chunk(rows_of(P), TARGETS, 3)
    assert scores.nll == pytest.approx(-math.log(0.7) - math.log(0.5), rel=1e-4)
    assert scores.num_tokens == 2
    assert scores.base_nll is None


def test_the_divergence_is_from_the_reference_to_the_model() -> None:
    scores = score_chunk(rows_of(Q), TARGETS, 3, rows_of(P))
    wanted = [sum(p * math.log(p / q) for p, q in zip(*pair, strict=True)) for pair in zip(P, Q, strict=True)]
    assert scores.divergences == pytest.approx(wanted, abs=1e-4)
    assert scores.base_nll == pytest.approx(-math.log(0.7) - math.log(0.5), rel=1e-4)
    assert scores.num_same_top == 1


def test_a_model_does_not_diverge_from_itself() -> None:
    scores = score_chunk(rows_of(P), TARGETS, 3, rows_of(P))
    assert scores.divergences == (0.0, 0.0)
    assert scores.num_same_top == 2
    assert scores.nll == scores.base_nll


def test_what_the_reference_holds_for_impossible_does_not_count() -> None:
    rare = math.exp(-17)
    base = [[1 - rare, rare]]
    scores = score_chunk(rows_of([[0.5, 0.5]]), np.array([0], np.int32), 2, rows_of(base))
    assert scores.divergences == pytest.approx([math.log(2)], abs=1e-3)


def test_more_rows_than_a_block_are_all_scored() -> None:
    many = np.concatenate([rows_of(P)] * 20)
    scores = score_chunk(many, np.tile(TARGETS, 20), 3, many)
    assert len(scores.divergences) == scores.num_tokens == 40
    assert scores.nll == pytest.approx(20 * (-math.log(0.7) - math.log(0.5)), rel=1e-4)


def test_equal_probabilities_are_read_without_a_scale() -> None:
    scores = score_chunk(rows_of([[0.25] * 4]), np.array([3], np.int32), 4)
    assert math.exp(scores.nll) == pytest.approx(4.0, rel=1e-4)
