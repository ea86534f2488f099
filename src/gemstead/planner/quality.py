"""How good the variants are, and what a quantization costs: what advice ranks by.

Scores: the mean of six benchmarks on the Gemma 4 model card (instruction-tuned, thinking on): MMLU Pro, GPQA Diamond,
LiveCodeBench v6, BigBench Extra Hard, MMMLU, Tau2. Source: https://huggingface.co/google/gemma-4-31B-it and its
sisters' cards, as copied by https://huggingface.co/blog/gemma4, read November 2026. They say which variant is better,
not how good it is at your task.
"""

from __future__ import annotations

from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.core.shapes import ModelShape
from gemstead.planner.candidate import Candidate

_CARD_SCORES: dict[str, tuple[float, ...]] = {
    "31b": (85.2, 84.3, 80.0, 74.4, 88.4, 76.9),
    "26b-a4b": (82.6, 82.3, 77.1, 64.8, 86.3, 68.2),
    "12b": (77.2, 78.8, 72.0, 53.0, 83.4, 69.0),
    "e4b": (69.4, 58.6, 52.0, 33.1, 76.6, 42.2),
    "e2b": (60.0, 43.4, 44.0, 21.9, 67.4, 24.5),
}

_QUANT_ORDER = ("Q6_K", "Q5_K_M", "Q4_K_M", "Q8_0", "Q4_K_S", "Q4_0", "BF16", "F16")
"""What loses little for its bytes first: an assumption from common practice. Twice the bytes mean half the speed, so 8
and 16 bits come late. Files trained for their quantization (QAT) come before all of them."""

_COARSE_PREFIXES = ("Q2", "Q3", "IQ1", "IQ2", "IQ3")


def variant_score(candidate: Candidate) -> float:
    """Mean card score, 0 to 100; 0 for models that are not Gemma 4, which so come last.

    Known by its dimensions: a file may call itself anything.
    """
    scores = next((_CARD_SCORES[name] for name, shape in GEMMA4_SHAPES.items() if _is_same(candidate.shape, shape)), ())
    return sum(scores) / len(scores) if scores else 0.0


def _is_same(shape: ModelShape, variant: ModelShape) -> bool:
    return (shape.architecture, shape.num_layers, shape.hidden_size) == (
        variant.architecture,
        variant.num_layers,
        variant.hidden_size,
    )


def quant_rank(candidate: Candidate) -> int:
    """0 is the quantization to try first; unknown ones come last."""
    if candidate.is_qat:
        return 0
    quant = candidate.quant.upper()
    return 1 + (_QUANT_ORDER.index(quant) if quant in _QUANT_ORDER else len(_QUANT_ORDER))


def is_coarse(candidate: Candidate) -> bool:
    """Below four bits: a smaller variant at four bits usually answers better."""
    return candidate.quant.upper().removeprefix("UD-").startswith(_COARSE_PREFIXES)
