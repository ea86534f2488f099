"""`gemstead bench`: measures, with the machine and the spread beside the numbers."""

from __future__ import annotations

import typer

from gemstead.cli.bench_agree import agree
from gemstead.cli.bench_compare import compare
from gemstead.cli.bench_door import door
from gemstead.cli.bench_load import load
from gemstead.cli.bench_quality import quality
from gemstead.cli.bench_report import report
from gemstead.cli.bench_results import list_results, show
from gemstead.cli.bench_run import run
from gemstead.cli.bench_speculation import speculation


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Measure models, engines and servers on this machine.", no_args_is_help=True)
    group.command("run")(run)
    group.command("load")(load)
    group.command("quality")(quality)
    group.command("list")(list_results)
    group.command("show")(show)
    group.command("compare")(compare)
    group.command("report")(report)
    group.command("speculation")(speculation)
    group.command("agree")(agree)
    group.command("door")(door)
    app.add_typer(group, name="bench")
