"""Measurements of quality in rows, as the command line and the report show them. Pure."""

from __future__ import annotations

from gemstead.bench.quality_figures import Interval, TextFigures, accuracy, text_figures
from gemstead.bench.quality_results import QualityAnswers, QualityRun

QUALITY_HEADERS = (
    "model",
    "held against",
    "perplexity",
    "over the reference's",
    "KL mean, nats",
    "KL p99",
    "same likeliest token",
    "regression set",
    "tasks",
)


def text_rows(figures: TextFigures) -> list[tuple[str, str, str]]:
    """What a text says: figure, value, interval."""
    rows: list[tuple[str, Interval | None, str]] = [
        ("perplexity", figures.perplexity, ".4f"),
        ("perplexity of the reference", figures.base_perplexity, ".4f"),
        ("perplexity over the reference's", figures.ratio, ".4f"),
        ("KL divergence, mean, nats", figures.mean_divergence, ".5f"),
        ("KL divergence, p99, nats", figures.p99_divergence, ".5f"),
        ("same likeliest token", figures.same_top, ".2%"),
    ]
    return [
        (name, format(one.value, form), f"{one.ci_low:{form}} to {one.ci_high:{form}}")
        for name, one, form in rows
        if one is not None
    ]


def quality_row(run: QualityRun) -> tuple[str, ...]:
    """One run under `QUALITY_HEADERS`; empty where nothing was measured."""
    reference = run.start.reference
    return (
        f"{run.start.subject.model} ({run.start.run[-4:]})",
        reference.model if reference else "",
        *_text_cells(text_figures(run.text.chunks) if run.text else None),
        _share(run.regression),
        _share(run.tasks),
    )


def _text_cells(figures: TextFigures | None) -> tuple[str, ...]:
    if figures is None:
        return ("",) * 5
    return (
        _shown(figures.perplexity, ".3f"),
        _shown(figures.ratio, ".4f"),
        _shown(figures.mean_divergence, ".5f"),
        _shown(figures.p99_divergence, ".4f"),
        _shown(figures.same_top, ".1%"),
    )


def _share(answers: QualityAnswers | None) -> str:
    return _shown(accuracy(answers.answers), ".0%") if answers else ""


def _shown(one: Interval | None, form: str) -> str:
    return "" if one is None else f"{one.value:{form}} ({one.ci_low:{form}} to {one.ci_high:{form}})"
