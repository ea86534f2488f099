"""`gemstead bench report`: every result on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gemstead.cli import options


def report(
    file: Annotated[Path, typer.Argument(help="Where to write the HTML page.")] = Path("gemstead-bench.html"),
    png: Annotated[
        Path | None, typer.Option("--png", help="Folder to write each chart to, as a PNG file of its own.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Write one HTML page with tables and charts that needs no network; with --json print the results instead."""
    from gemstead.app.bench_report import write_charts, write_report
    from gemstead.bench.quality_store import QualityStore
    from gemstead.bench.store import ResultStore
    from gemstead.bench.tables import point_figures
    from gemstead.cli.bench_quality import quality_document
    from gemstead.cli.output import note, print_json

    data = options.load().paths.data
    if json:
        results = ResultStore(data).read()
        runs = [{"run": run, "figures": point_figures(run)} for run in results.runs]
        qualities = [quality_document(run) for run in QualityStore(data).runs()]
        print_json("bench-report/1", {"runs": runs, "loads": results.loads, "qualities": qualities})
    else:
        write_report(data, file)
        note(f"wrote {file}: open it in a browser")
    if png is not None:
        written = write_charts(data, png)
        note(f"wrote {len(written)} charts to {png}" if written else "no chart: nothing finished is stored yet")
