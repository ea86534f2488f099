"""`gemstead bench quality`: how much a quantization costs, and which answers changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.bench.quality_results import QualityPart, QualityRun
    from gemstead.bench.quality_store import QualityStore

PARTS = ("perplexity", "regression", "tasks")


def quality(
    model: options.Model = None,
    against: Annotated[
        str | None, typer.Option("--against", help="The same model in a higher precision, to be held against.")
    ] = None,
    parts: Annotated[str, typer.Option("--parts", help="What to measure.")] = ",".join(PARTS),
    text: Annotated[Path | None, typer.Option("--text", help="Text to score; else our own prose.")] = None,
    chunks: Annotated[int, typer.Option("--chunks", min=1, max=1000, help="Chunks of the text at most.")] = 16,
    chunk_tokens: Annotated[
        int, typer.Option("--chunk-tokens", min=32, max=32768, help="Tokens in a chunk; its second half is scored.")
    ] = 512,
    tasks: Annotated[
        Path | None, typer.Option("--tasks", help="Questions as JSON lines: prompt, answer, match; else our own.")
    ] = None,
    lm_eval: Annotated[
        str | None, typer.Option("--lm-eval", help="Tasks of lm-evaluation-harness, too: gsm8k,ifeval.")
    ] = None,
    lm_eval_program: Annotated[
        Path | None, typer.Option("--lm-eval-program", help="Path of lm_eval; else the one on PATH.")
    ] = None,
    lm_eval_include: Annotated[
        Path | None, typer.Option("--lm-eval-include", help="Folder with task files of your own for it.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, even if a run was interrupted.")] = False,
    context: options.Context = None,
    kv: options.Kv = None,
    offline: options.Offline = None,
    json: options.Json = False,
) -> None:
    """Score a text, ask questions greedily; say what changed. Finished parts are kept; the same command goes on."""
    from gemstead.app.bench_quality import QualityAsked, bench_quality
    from gemstead.app.setup import make_setup
    from gemstead.bench.quality_store import QualityStore
    from gemstead.bench.text import TextSource
    from gemstead.cli.output import note
    from gemstead.cli.progress import shown_progress

    harness_tasks = tuple(word.strip() for word in (lm_eval or "").split(",") if word.strip())
    asked = QualityAsked(
        parts=(*parse_parts(parts), *(("harness",) if harness_tasks else ())),
        text=TextSource(text),
        against=against,
        tasks=tasks,
        harness_tasks=harness_tasks,
        harness_program=lm_eval_program,
        harness_include=lm_eval_include.absolute() if lm_eval_include else None,
        chunk_tokens=chunk_tokens,
        num_chunks=chunks,
        is_resuming=not fresh,
    )
    # A server that is only there for the harness takes a free port.
    port = 0 if harness_tasks else None
    flags = options.plan_flags(context, None, kv)
    loaded = options.load(model__name=model, sources__is_offline=offline, server__port=port, **flags)
    with shown_progress() as progress:
        run = bench_quality(make_setup(loaded, progress=progress, say=note), asked)
    show_quality(QualityStore(loaded.paths.data), run, json=json)


def show_quality(store: QualityStore, run: QualityRun, *, json: bool) -> None:
    """One run beside the run of the same model before it."""
    from gemstead.bench.quality_compare import compare_quality
    from gemstead.bench.quality_results import earlier_run
    from gemstead.cli.output import print_json
    from gemstead.cli.quality_text import print_quality

    before = earlier_run(run, store.runs())
    comparison = compare_quality(before, run) if before else None
    if json:
        print_json("bench-quality/1", {**quality_document(run), "since": comparison})
    else:
        print_quality(run, comparison)


def quality_document(run: QualityRun) -> dict[str, object]:
    """A run with its figures, for --json."""
    from gemstead.bench.quality_figures import accuracy, loss_in_words, text_figures

    return {
        "run": run,
        "figures": text_figures(run.text.chunks) if run.text else None,
        "regression": accuracy(run.regression.answers) if run.regression else None,
        "tasks": accuracy(run.tasks.answers) if run.tasks else None,
        "in_words": loss_in_words(run),
    }


def parse_parts(text: str) -> tuple[QualityPart, ...]:
    """`perplexity,tasks`, in the order in which they run. Raises: NameUnknown for anything else."""
    stated = [word.strip() for word in text.split(",") if word.strip()]
    for word in stated:
        options.check_word("--parts", word, list(PARTS))
    return tuple(part for part in PARTS if part in stated)  # type: ignore[misc]
