"""Measurements of quality made by hand, and rows of log probabilities as llama-perplexity writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench_parts import SUBJECT
from gemstead.bench.divergence import ROW_HEAD, row_length
from gemstead.bench.quality_results import (
    Answered,
    ChunkScores,
    QualityAnswers,
    QualityProtocol,
    QualityRecord,
    QualityRun,
    QualityStart,
    QualityText,
    Reference,
    gather_quality,
)

PARTS = ("perplexity", "regression", "tasks")
REFERENCE = Reference("gemma4:e2b-q8_0", "Q8_0", "cd" * 32)


def rows_of(probabilities: Sequence[Sequence[float]]) -> NDArray[np.uint16]:
    """One row for each distribution, kept in 16 bits."""
    vocab_size = len(probabilities[0])
    rows = np.zeros((len(probabilities), row_length(vocab_size)), np.uint16)
    for row, distribution in zip(rows, probabilities, strict=True):
        logs = np.log(np.array(distribution))
        low = max(logs.min(), logs.max() - 16)
        scale = (logs.max() - low) / 65535
        row[:ROW_HEAD] = np.array([scale, low], np.float32).view(np.uint16)
        if scale:
            row[ROW_HEAD : ROW_HEAD + vocab_size] = np.rint((np.maximum(logs, low) - low) / scale)
    return rows


def chunks(perplexity: float, base: float | None = None, divergence: float = 0.0, num: int = 10) -> list[ChunkScores]:
    """`num` chunks of 100 tokens that are all alike."""
    nll = 100 * math.log(perplexity)
    if base is None:
        return [ChunkScores(100, nll)] * num
    return [ChunkScores(100, nll, 100 * math.log(base), 90, (divergence,) * 100)] * num


def quality_records(
    run: str,
    scores: Sequence[ChunkScores],
    answers: Sequence[Answered],
    *,
    reference: Reference | None = REFERENCE,
    quant: str = "Q4_0",
) -> list[QualityRecord]:
    subject = msgspec.structs.replace(SUBJECT, model=f"gemma4:e2b-{quant.lower()}", quant=quant)
    protocol = QualityProtocol(PARTS, 512, 16, "text", "tasks")
    return [
        QualityStart(run, "2026-11-24T08:00:00+00:00", "0.0", subject, "gemma4:e2b", protocol, reference),
        QualityText(run, tuple(scores)),
        QualityAnswers(run, "regression", "asked", tuple(answers)),
        QualityAnswers(run, "tasks", "asked", (Answered("plus", "42", True),)),
    ]


def quality_run(run: str, scores: Sequence[ChunkScores], answers: Sequence[Answered] = ()) -> QualityRun:
    return gather_quality(quality_records(run, scores, answers))[0]
