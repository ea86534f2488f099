"""The text part of `bench quality`: the reference first, kept on disk; then the model, against it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gemstead.app.servers import forget, passing_folder
from gemstead.app.setup import Setup
from gemstead.bench.divergence import row_length, score_chunk
from gemstead.bench.perplexity import ScoredText, ScoringRun, find_program, scored_text
from gemstead.bench.quality_results import ChunkScores
from gemstead.catalog.space import disk_full_named, require_space
from gemstead.core.errors import RequestInvalid
from gemstead.core.plan import Plan
from gemstead.core.progress import ProgressEvent
from gemstead.engines.base import Installation

if TYPE_CHECKING:
    from numpy import int32, uint16
    from numpy.typing import NDArray


def score_model(
    setup: Setup,
    installation: Installation,
    plan: Plan,
    base: Plan | None,
    text: bytes,
    chunk_tokens: int,
    num_chunks: int,
) -> tuple[ChunkScores, ...]:
    """The scores of each chunk, held against `base` where there is one. One model is in memory at a time.

    Raises: as `scored_text`; DiskFull if the reference's rows do not fit; RequestInvalid for another tokenizer.
    """
    folder = passing_folder(setup.loaded.paths.servers)
    try:
        file = folder / "text"
        file.write_bytes(text)
        program, environ = find_program(installation.program), setup.loaded.environ
        runs = [
            ScoringRun(program, one, file, chunk_tokens, num_chunks, folder, environ) for one in (base, plan) if one
        ]
        reference = _Reference(setup, runs[0]) if base else None
        scores = []
        with scored_text(runs[-1]) as scored:
            if reference is not None:
                reference.check(scored, plan)
            for place, rows in enumerate(scored.chunks):
                base_rows = reference.rows(place) if reference else None
                scores.append(score_chunk(rows, scored.targets(place), scored.vocab_size, base_rows))
                _tell(setup, plan, place + 1, len(scored.tokens))
        return tuple(scores)
    finally:
        forget(folder)


class _Reference:
    """The rows of the reference in a file, one chunk after the other."""

    def __init__(self, setup: Setup, run: ScoringRun) -> None:
        self._plan = run.plan
        self._path: Path = run.folder / "reference"
        with scored_text(run) as scored:
            self._tokens: NDArray[int32] = scored.tokens
            self._shape = (scored.num_scored, row_length(scored.vocab_size))
            purpose = f"the log probabilities of {run.plan.model}"
            require_space(run.folder, scored.num_bytes, purpose)
            with disk_full_named(run.folder, scored.num_bytes), self._path.open("wb") as file:
                for place, rows in enumerate(scored.chunks):
                    file.write(rows.data.cast("B"))
                    _tell(setup, run.plan, place + 1, len(scored.tokens))

    def check(self, scored: ScoredText, plan: Plan) -> None:
        """Raises: RequestInvalid if the two models read the text as different tokens."""
        is_same = row_length(scored.vocab_size) == self._shape[1] and scored.tokens.shape == self._tokens.shape
        if not is_same or (scored.tokens != self._tokens).any():
            raise RequestInvalid(
                f"{plan.model} and {self._plan.model} cut the text into different tokens",
                param="against",
                why="probabilities can only be held against each other token by token",
                hint="name a higher precision of the same model with --against",
            )

    def rows(self, place: int) -> NDArray[uint16]:
        import numpy as np

        size = self._shape[0] * self._shape[1]
        return np.fromfile(self._path, np.uint16, size, offset=2 * place * size).reshape(self._shape)


def _tell(setup: Setup, plan: Plan, done: int, total: int) -> None:
    setup.progress(ProgressEvent(f"score {plan.model}", done, total, "steps", is_done=done == total))
