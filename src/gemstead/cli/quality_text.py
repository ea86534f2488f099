"""Measurements of quality as text: the verdict first, then tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemstead.cli.output import print_table

if TYPE_CHECKING:
    from gemstead.bench.quality_compare import QualityComparison
    from gemstead.bench.quality_figures import Interval
    from gemstead.bench.quality_results import Answered, QualityAnswers, QualityRun

_SHOWN_CHARS = 36


def print_quality(run: QualityRun, earlier: QualityComparison | None) -> None:
    """One run; `earlier` holds it against the run of the same model before it."""
    from gemstead.bench.quality_figures import accuracy

    start = run.start
    print(f"{start.subject.model}: {_verdict(run)}   ({start.run})")
    if run.missing:
        print(f"interrupted, missing are {', '.join(run.missing)}: the same command goes on with it")
    place = f"{start.subject.machine.cpu}, {start.subject.machine.usable_cores} cores"
    print(f"{start.subject.engine} {start.subject.engine_version}; {place}")
    if run.text is not None:
        _print_text(run)
    for name, answers in (("regression set", run.regression), ("tasks", run.tasks)):
        if answers is not None:
            print(f"\n{name}: {_right(accuracy(answers.answers), answers)}")
    if run.harness is not None:
        print(f"\nlm-evaluation-harness {run.harness.version}:")
        rows = [
            (one.task, one.metric, f"{one.value:.4g}", "" if one.stderr is None else f"{one.stderr:.2g}")
            for one in run.harness.scores
        ]
        print_table(("task", "metric", "value", "standard error"), rows)
    if earlier is not None:
        print(f"\nsince {earlier.a}: {_changes(earlier)}")
        _print_changes(earlier)
        for warning in earlier.warnings:
            print(f"note: {warning}")
    print("\nwhat the words mean: docs/quality.md")


def print_quality_comparison(comparison: QualityComparison) -> None:
    """B after A, with what may not be concluded."""
    print(f"B against A: {_changes(comparison)}")
    print(f"A: {comparison.a}\nB: {comparison.b}")
    ratio = comparison.perplexity_ratio
    if ratio is not None:
        print(f"perplexity, B / A by the same chunks: {ratio.value:.4f} ({ratio.ci_low:.4f} to {ratio.ci_high:.4f})")
    _print_changes(comparison)
    for warning in comparison.warnings:
        print(f"note: {warning}")


def _verdict(run: QualityRun) -> str:
    from gemstead.bench.quality_figures import accuracy, loss_in_words, text_figures

    if (words := loss_in_words(run)) is not None:
        return words
    if run.text is not None:
        one = text_figures(run.text.chunks).perplexity
        return f"perplexity {one.value:.3f} ({one.ci_low:.3f} to {one.ci_high:.3f}); name a reference with --against"
    answers = run.tasks or run.regression
    return _right(accuracy(answers.answers), answers) if answers else "nothing measured yet"


def _print_text(run: QualityRun) -> None:
    from gemstead.bench.quality_figures import MIN_CHUNKS, text_figures
    from gemstead.bench.quality_tables import text_rows

    assert run.text is not None
    figures = text_figures(run.text.chunks)
    reference = run.start.reference
    against = f", against {reference.model}" if reference else ""
    size = f"{figures.num_tokens} scored in {figures.num_chunks} chunks of {run.start.protocol.chunk_tokens} tokens"
    print(f"\ntext: {size}, second halves scored{against}")
    print_table(("figure", "value", "95 % interval"), text_rows(figures))
    if figures.num_chunks < MIN_CHUNKS:
        print(f"note: intervals over fewer than {MIN_CHUNKS} chunks are rough; give a longer --text, or more --chunks")


def _right(share: Interval | None, answers: QualityAnswers) -> str:
    if share is None:
        return f"{len(answers.answers)} answers, none of which anybody judges"
    judged = [one for one in answers.answers if one.is_right is not None]
    wrong = [one.name for one in judged if not one.is_right]
    interval = f"{share.ci_low:.0%} to {share.ci_high:.0%}"
    text = f"{len(judged) - len(wrong)} of {len(judged)} right, {share.value:.0%} ({interval})"
    return f"{text}; wrong: {', '.join(wrong)}" if wrong else text


def _changes(comparison: QualityComparison) -> str:
    if not comparison.num_asked:
        return "they were asked no question in common"
    counts = {
        verdict: sum(change.verdict == verdict for change in comparison.changes)
        for verdict in ("now wrong", "now right", "other words")
    }
    changed = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) or "none changed"
    same = f"{comparison.num_equal} of {comparison.num_asked} answers are the same"
    alike = f", {comparison.num_alike} but for case and marks" if comparison.num_alike else ""
    return f"{same}{alike}; {changed}"


def _print_changes(comparison: QualityComparison) -> None:
    rows = [(one.name, one.verdict, _short(one.before), _short(one.after)) for one in comparison.changes]
    if rows:
        print_table(("question", "now", "before", "after"), rows)


def _short(answer: Answered) -> str:
    text = " ".join(answer.text.split())
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 3]}..."
