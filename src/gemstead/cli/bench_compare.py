"""`gemstead bench compare`: two runs, or two settings measured in turn, as ratios with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.bench.compare import Comparison

SETTINGS = "threads=N,ubatch=N,kv=TYPE,speculation=ngram,args=FLAGS OF THE ENGINE"


def compare(
    a: Annotated[str, typer.Argument(help=f"A run; with --live a setting: {SETTINGS}")] = "",
    b: Annotated[str, typer.Argument(help="What to hold against it, likewise.")] = "",
    live: Annotated[bool, typer.Option("--live", help="Measure two settings now, in turn, both running.")] = False,
    model: options.Model = None,
    depths: Annotated[str | None, typer.Option("--depths", help="Prompt lengths in tokens: 128,512.")] = None,
    answer_tokens: Annotated[int, typer.Option("--answer-tokens", min=2, max=8192)] = 64,
    repeats: Annotated[int, typer.Option("--repeats", min=1, max=1000, help="Pairs at each length.")] = 10,
    context: options.Context = None,
    json: options.Json = False,
) -> None:
    """Compare two stored runs, of bench run or of bench quality; with --live two settings, an empty one as planned."""
    from gemstead.bench.compare import compare_runs
    from gemstead.bench.store import ResultStore
    from gemstead.cli.bench_text import print_comparison
    from gemstead.cli.output import print_json
    from gemstead.core.errors import RequestInvalid

    data = options.load().paths.data
    if live:
        comparison = _live(a, b, model, (depths, answer_tokens, repeats), context)
    elif not a or not b:
        raise RequestInvalid("two runs are needed", hint="gemstead bench list, then gemstead bench compare RUN RUN")
    elif _are_of_quality(data, a, b):
        _compare_quality(data, a, b, json=json)
        return
    else:
        store = ResultStore(data)
        comparison = compare_runs(store.find_run(a), store.find_run(b))
    if json:
        lines = [{"line": line, "verdict": line.verdict} for line in comparison.lines]
        print_json("bench-compare/1", {"a": comparison.a, "b": comparison.b, "lines": lines, "is_paired": live})
    else:
        print_comparison(comparison)


def _are_of_quality(data: Path, a: str, b: str) -> bool:
    """Whether one of them is the id of a run of `bench quality`: then the other has to be, too."""
    from gemstead.bench.quality_store import QualityStore

    store = QualityStore(data)
    return any(name != "last" and store.find(name) is not None for name in (a, b))


def _compare_quality(data: Path, a: str, b: str, *, json: bool) -> None:
    from gemstead.bench.quality_compare import compare_quality
    from gemstead.bench.quality_store import QualityStore
    from gemstead.cli.output import print_json
    from gemstead.cli.quality_text import print_quality_comparison

    store = QualityStore(data)
    comparison = compare_quality(store.require(a), store.require(b))
    if json:
        print_json("bench-quality-compare/1", comparison)
    else:
        print_quality_comparison(comparison)


def _live(a: str, b: str, model: str | None, protocol: tuple[str | None, int, int], context: int | None) -> Comparison:
    import asyncio

    from gemstead.app.bench_live import compare_live, parse_changes
    from gemstead.app.bench_run import Asked
    from gemstead.app.setup import make_setup
    from gemstead.cli.bench_run import parse_lengths
    from gemstead.cli.output import note
    from gemstead.cli.progress import shown_progress

    depths, answer_tokens, repeats = protocol
    asked = Asked(parse_lengths(depths), answer_tokens, repeats)
    first, second = parse_changes(a), parse_changes(b)
    loaded = options.load(model__name=model, **options.plan_flags(context, None, None))
    with shown_progress() as progress:
        setup = make_setup(loaded, progress=progress, say=note)
        return asyncio.run(compare_live(setup, first, second, asked))
