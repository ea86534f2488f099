"""What is kept of a measurement of quality: raw scores and answers; figures are computed when somebody looks.

quality          what was measured, against what, with which text and questions: first line of every run
quality_text     the scores of a text, chunk by chunk
quality_answers  the answers to one set of questions
quality_harness  what lm-evaluation-harness says
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from gemstead.bench.results import Subject

QUALITY_SCHEMA = 1

QualityPart: TypeAlias = Literal["perplexity", "regression", "tasks", "harness"]


class Reference(msgspec.Struct, frozen=True):
    """The higher precision that a model is held against. `sha256` is that of its first file."""

    model: str
    quant: str
    sha256: str | None


class QualityProtocol(msgspec.Struct, frozen=True):
    """How quality is measured. Chunks of `chunk_tokens` follow each other without overlap; the second half is scored.

    `num_chunks` at most. The digests are those of the text and of the questions asked.
    `harness_tasks` are names that lm-evaluation-harness knows.
    """

    parts: tuple[QualityPart, ...]
    chunk_tokens: int
    num_chunks: int
    text_sha256: str
    tasks_sha256: str
    harness_tasks: tuple[str, ...] = ()


class QualityStart(msgspec.Struct, frozen=True, tag="quality", tag_field="kind"):
    """`family` is the model without its quantization: runs of one family answer the same questions comparably."""

    run: str
    at: str
    gemstead: str
    subject: Subject
    family: str
    protocol: QualityProtocol
    reference: Reference | None = None
    schema: int = QUALITY_SCHEMA


class ChunkScores(msgspec.Struct, frozen=True, omit_defaults=True):
    """One chunk. `nll` is the sum of -ln p over its `num_tokens` scored tokens.

    With a reference: `base_nll` is the reference's sum, `divergences` the KL divergence in nats at each scored token,
    `num_same_top` the places where both find the same token the most likely.
    """

    num_tokens: int
    nll: float
    base_nll: float | None = None
    num_same_top: int | None = None
    divergences: tuple[float, ...] = ()


class QualityText(msgspec.Struct, frozen=True, tag="quality_text", tag_field="kind"):
    run: str
    chunks: tuple[ChunkScores, ...]
    schema: int = QUALITY_SCHEMA


class Answered(msgspec.Struct, frozen=True, omit_defaults=True):
    """`is_right` None: nobody says what would be right, the text is kept to be compared."""

    name: str
    text: str
    is_right: bool | None = None
    is_cut: bool = False


class QualityAnswers(msgspec.Struct, frozen=True, tag="quality_answers", tag_field="kind"):
    """`asked_sha256` is equal for two sets of answers to the same questions."""

    run: str
    part: Literal["regression", "tasks"]
    asked_sha256: str
    answers: tuple[Answered, ...]
    schema: int = QUALITY_SCHEMA


class HarnessScore(msgspec.Struct, frozen=True):
    """One metric of one task, as the harness reports it. `stderr` None: it gives none."""

    task: str
    metric: str
    value: float
    stderr: float | None = None


class QualityHarness(msgspec.Struct, frozen=True, tag="quality_harness", tag_field="kind"):
    run: str
    version: str
    scores: tuple[HarnessScore, ...]
    schema: int = QUALITY_SCHEMA


QualityRecord: TypeAlias = QualityStart | QualityText | QualityAnswers | QualityHarness


class QualityRun(msgspec.Struct, frozen=True):
    """A `quality` line with what followed it."""

    start: QualityStart
    text: QualityText | None = None
    regression: QualityAnswers | None = None
    tasks: QualityAnswers | None = None
    harness: QualityHarness | None = None

    @property
    def missing(self) -> tuple[QualityPart, ...]:
        """Parts that were asked for and are not there: it was interrupted, or is still going on."""
        found = {
            "perplexity": self.text,
            "regression": self.regression,
            "tasks": self.tasks,
            "harness": self.harness,
        }
        return tuple(part for part in self.start.protocol.parts if found[part] is None)


def gather_quality(records: Iterable[object]) -> list[QualityRun]:
    """The measurements of quality in a row of records, oldest first; a part without its start is left out."""
    runs: dict[str, QualityRun] = {}
    for record in records:
        match record:
            case QualityStart(run=run):
                runs[run] = QualityRun(record)
            case QualityText(run=run) if run in runs:
                runs[run] = msgspec.structs.replace(runs[run], text=record)
            case QualityAnswers(run=run, part="tasks") if run in runs:
                runs[run] = msgspec.structs.replace(runs[run], tasks=record)
            case QualityAnswers(run=run) if run in runs:
                runs[run] = msgspec.structs.replace(runs[run], regression=record)
            case QualityHarness(run=run) if run in runs:
                runs[run] = msgspec.structs.replace(runs[run], harness=record)
            case _:
                pass
    return list(runs.values())


def earlier_run(run: QualityRun, runs: Iterable[QualityRun]) -> QualityRun | None:
    """The newest finished run before `run` of the same family that answered questions; None if there is none."""
    before = [
        other
        for other in runs
        if other.start.run < run.start.run and other.start.family == run.start.family and not other.missing
    ]
    asked = [other for other in before if other.regression or other.tasks]
    return max(asked, key=lambda other: other.start.run, default=None)
