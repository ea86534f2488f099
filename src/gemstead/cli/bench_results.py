"""`gemstead bench list` and `show`: what was measured before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.bench.quality_results import QualityRun
    from gemstead.bench.store import ResultStore

Run = Annotated[str, typer.Argument(help='The id of a run, or its beginning; "last" is the newest.')]


def list_results(json: options.Json = False) -> None:
    """List what was measured on this machine, oldest first."""
    from gemstead.bench.quality_store import QualityStore
    from gemstead.bench.store import ResultStore
    from gemstead.cli.output import note, print_json, print_table

    store = ResultStore(options.load().paths.data)
    results = store.read()
    if results.num_skipped:
        note(f"{results.num_skipped} lines of {store.path} cannot be read: cut by a crash, or of a later gemstead")
    rows = [
        (
            run.start.run,
            "run",
            run.start.subject.model,
            f"{run.start.subject.engine} {run.start.subject.engine_version}",
            "interrupted" if run.end is None else "quiet" if run.end.noise.is_quiet else "disturbed",
        )
        for run in results.runs
    ]
    rows += [(load.run, "load", load.model, load.server, f"{len(load.levels)} levels") for load in results.loads]
    rows += [_quality_row(one) for one in QualityStore(options.load().paths.data).runs()]
    names = ("run", "kind", "model", "engine", "state")
    if json:
        print_json("bench-results/1", [dict(zip(names, row, strict=True)) for row in sorted(rows)])
        return
    print_table(names, sorted(rows))
    if not rows:
        note("nothing was measured yet: gemstead bench run")


def show(run: Run = "last", json: options.Json = False) -> None:
    """Show one result whole."""
    from gemstead.bench.quality_store import QualityStore
    from gemstead.bench.store import ResultStore
    from gemstead.bench.tables import point_figures
    from gemstead.cli.bench_quality import show_quality
    from gemstead.cli.bench_text import print_load, print_run
    from gemstead.cli.output import print_json

    data = options.load().paths.data
    store, qualities = ResultStore(data), QualityStore(data)
    quality = qualities.find(run)
    if quality is not None and (run != "last" or _is_newest(quality, store)):
        show_quality(qualities, quality, json=json)
        return
    load = next((one for one in store.read().loads if one.run == run), None)
    if load is not None:
        if json:
            print_json("bench-load/1", load)
        else:
            print_load(load)
        return
    found = store.find_run(run)
    if json:
        print_json("bench-run/1", {"run": found, "figures": point_figures(found)})
    else:
        print_run(found)


def _quality_row(run: QualityRun) -> tuple[str, str, str, str, str]:
    subject = run.start.subject
    state = "interrupted" if run.missing else ", ".join(run.start.protocol.parts)
    return run.start.run, "quality", subject.model, f"{subject.engine} {subject.engine_version}", state


def _is_newest(quality: QualityRun, store: ResultStore) -> bool:
    return all(run.start.run < quality.start.run for run in store.read().runs)
