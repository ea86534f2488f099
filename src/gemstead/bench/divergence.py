"""From rows of log probabilities to scores: perplexity's sums, and the KL divergence from a reference. Pure.

A row is what llama-perplexity writes for one position: the log probabilities of the whole vocabulary, each kept as
`low + scale * n` with n of 16 bits, and none lower than 16 below the highest. The divergence is the one that program
computes: over the tokens to which the reference gives a log probability above -16.

Source: llama.cpp, tools/perplexity/perplexity.cpp (read 2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemstead.bench.quality_results import ChunkScores

if TYPE_CHECKING:
    from numpy import float32, int32, uint16
    from numpy.typing import NDArray

ROW_HEAD = 4
"""Numbers of 16 bits before a row's tokens: two of 32 bits, `scale` and `low`."""
LEAST_LOG_PROB = -16.0
BLOCK_ROWS = 16
"""At a vocabulary of 262,144 a block of 32-bit numbers takes 16 MiB."""
DECIMALS = 6
"""Of a kept divergence; the 16 bits of the log probabilities allow no more."""


def row_length(vocab_size: int) -> int:
    """Numbers of 16 bits in a row."""
    return 2 * ((vocab_size + 1) // 2) + ROW_HEAD


def score_chunk(
    rows: NDArray[uint16], targets: NDArray[int32], vocab_size: int, base_rows: NDArray[uint16] | None = None
) -> ChunkScores:
    """`rows` [tokens, row_length] predict `targets` [tokens]; `base_rows` are the reference's, for the same places."""
    nll, base_nll, num_same_top = 0.0, 0.0, 0
    divergences: list[float] = []
    for begin in range(0, len(rows), BLOCK_ROWS):
        block, wanted = slice(begin, begin + BLOCK_ROWS), targets[begin : begin + BLOCK_ROWS]
        log_probs = read_rows(rows[block], vocab_size)
        nll -= _sum_at(log_probs, wanted)
        if base_rows is None:
            continue
        base = read_rows(base_rows[block], vocab_size)
        base_nll -= _sum_at(base, wanted)
        num_same_top += int((log_probs.argmax(axis=1) == base.argmax(axis=1)).sum())
        divergences += _divergences(log_probs, base)
    if base_rows is None:
        return ChunkScores(len(rows), nll)
    return ChunkScores(len(rows), nll, base_nll, num_same_top, tuple(divergences))


def read_rows(rows: NDArray[uint16], vocab_size: int) -> NDArray[float32]:
    """Log probabilities [tokens, vocab_size] of rows as they were written."""
    import numpy as np

    head = np.ascontiguousarray(rows[:, :ROW_HEAD]).view(np.float32)
    scale, low = head[:, 0:1], head[:, 1:2]
    log_probs: NDArray[float32] = rows[:, ROW_HEAD : ROW_HEAD + vocab_size] * scale + low
    return log_probs


def _sum_at(log_probs: NDArray[float32], targets: NDArray[int32]) -> float:
    import numpy as np

    return float(log_probs[np.arange(len(targets)), targets].sum(dtype=np.float64))


def _divergences(log_probs: NDArray[float32], base: NDArray[float32]) -> list[float]:
    import numpy as np

    weights = np.where(base > LEAST_LOG_PROB, np.exp(base), np.float32(0))
    sums = (weights * (base - log_probs)).sum(axis=1, dtype=np.float64)
    return [round(float(value), DECIMALS) for value in sums]
