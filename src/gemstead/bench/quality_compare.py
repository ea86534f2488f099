"""Two measurements of quality held against each other: which answers changed, and how the figures differ. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gemstead.bench.quality_figures import Interval, perplexity_ratio
from gemstead.bench.quality_results import Answered, QualityAnswers, QualityProtocol, QualityRun
from gemstead.bench.questions import normalised


class Change(msgspec.Struct, frozen=True):
    """An answer that is not the same, even without case, white space and marks."""

    name: str
    before: Answered
    after: Answered

    @property
    def verdict(self) -> str:
        """`now right`, `now wrong`, or `other words`: the right answer, or none that anybody could judge."""
        if self.before.is_right == self.after.is_right:
            return "other words"
        return "now right" if self.after.is_right else "now wrong"


class QualityComparison(msgspec.Struct, frozen=True):
    """B after A. `num_equal` answers are the same to the letter, `num_alike` but for case, white space and marks.

    `perplexity_ratio` is B's over A's, None where they did not score the same tokens. `warnings`: what else differs.
    """

    a: str
    b: str
    num_asked: int
    num_equal: int
    num_alike: int
    changes: tuple[Change, ...]
    perplexity_ratio: Interval | None = None
    warnings: tuple[str, ...] = ()


def compare_quality(a: QualityRun, b: QualityRun) -> QualityComparison:
    """The answers to the questions that both were asked."""
    pairs = [*_pairs(a.regression, b.regression), *_pairs(a.tasks, b.tasks)]
    num_equal = sum(one.text == other.text for one, other in pairs)
    changed = [(one, other) for one, other in pairs if normalised(one.text) != normalised(other.text)]
    return QualityComparison(
        a=a.start.run,
        b=b.start.run,
        num_asked=len(pairs),
        num_equal=num_equal,
        num_alike=len(pairs) - len(changed) - num_equal,
        changes=tuple(Change(one.name, one, other) for one, other in changed),
        perplexity_ratio=_ratio(a, b),
        warnings=tuple(_differences(a, b)),
    )


def _pairs(a: QualityAnswers | None, b: QualityAnswers | None) -> Iterable[tuple[Answered, Answered]]:
    if a is None or b is None or a.asked_sha256 != b.asked_sha256:
        return []
    return zip(a.answers, b.answers, strict=True)


def _ratio(a: QualityRun, b: QualityRun) -> Interval | None:
    if a.text is None or b.text is None or not _is_same_text(a.start.protocol, b.start.protocol):
        return None
    before, after = a.text.chunks, b.text.chunks
    num_chunks = min(len(before), len(after))
    if a.start.family != b.start.family:
        return None  # another tokenizer cuts the text otherwise
    return perplexity_ratio(before[:num_chunks], after[:num_chunks])


def _is_same_text(a: QualityProtocol, b: QualityProtocol) -> bool:
    return (a.text_sha256, a.chunk_tokens) == (b.text_sha256, b.chunk_tokens)


def _differences(a: QualityRun, b: QualityRun) -> Iterable[str]:
    """What may have made the difference, and what was not held against each other."""
    for run in (a, b):
        if run.missing:
            yield f"{run.start.run} was interrupted: {', '.join(run.missing)} are missing"
    fields = ("model", "model_sha256", "engine_version", "engine_sha256", "kv_cache_dtype", "extra_args")
    subjects = a.start.subject, b.start.subject
    differing = [name for name in fields if getattr(subjects[0], name) != getattr(subjects[1], name)]
    if differing:
        yield f"they differ in {', '.join(differing)}"
    if subjects[0].machine.fingerprint != subjects[1].machine.fingerprint:
        yield "measured on different machines: sums are rounded otherwise, and an answer may tip over"
    if a.text and b.text and not _is_same_text(a.start.protocol, b.start.protocol):
        yield "their perplexities are of different texts or chunks"
    for name, before, after in (("regression", a.regression, b.regression), ("tasks", a.tasks, b.tasks)):
        if before and after and before.asked_sha256 != after.asked_sha256:
            yield f"the questions of {name} are not the same"
