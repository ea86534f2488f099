"""`gemstead bench report`: every result on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gemstead.cli import options


def report(
    file: Annotated[Path, typer.Argument(help="Where to write the HTML page.")] = Path("gemstead-bench.html"),
    json: options.Json = False,
) -> None:
    """Write one HTML page with tables and plots that needs no network; with --json print the results instead."""
    from gemstead.app.bench_report import bench_report
    from gemstead.bench.store import ResultStore
    from gemstead.bench.tables import point_figures
    from gemstead.cli.output import note, print_json
    from gemstead.core.errors import RequestInvalid

    data = options.load().paths.data
    if json:
        results = ResultStore(data).read()
        runs = [{"run": run, "figures": point_figures(run)} for run in results.runs]
        print_json("bench-report/1", {"runs": runs, "loads": results.loads})
        return
    try:
        file.write_text(bench_report(data), encoding="utf-8")
    except OSError as exc:
        raise RequestInvalid(f"{file} cannot be written: {exc.strerror}", hint="give another path") from exc
    note(f"wrote {file}: open it in a browser")
