"""`gemstead doctor`: what is wrong here, and the command that fixes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gemstead.app.setup import Setup
    from gemstead.core.progress import Progress
    from gemstead.doctor.examination import Report
    from gemstead.doctor.finding import Finding, Severity


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Find what is wrong here, and the command that fixes it.")
    group.callback(invoke_without_command=True)(doctor)
    group.command("checks")(checks)
    group.command("explain")(explain)
    app.add_typer(group, name="doctor")


def doctor(
    context: typer.Context,
    model: options.Model = None,
    deep: Annotated[bool, typer.Option("--deep", help="Ask the model, too; starts it if none runs.")] = False,
    json: options.Json = False,
) -> None:
    """Look at machine, engine, models and servers. Exits with 3 for an error, 6 for a warning, else 0."""
    if context.invoked_subcommand is not None:
        return
    from gemstead import __version__
    from gemstead.app.doctor import examine
    from gemstead.cli.errors import SEVERITY_CODES
    from gemstead.cli.output import note, print_json
    from gemstead.cli.progress import shown_progress

    with shown_progress() as progress:
        report = examine(_setup(model, progress), is_deep=deep)
    if json:
        print_json("doctor/1", {"gemstead": __version__, "worst": report.worst, "findings": report.findings})
    else:
        _print(report)
        if report.num_deep_left:
            note(f"{report.num_deep_left} more checks ask the model: gemstead doctor --deep")
    raise typer.Exit(SEVERITY_CODES[report.worst])


def checks(json: options.Json = False) -> None:
    """List the checks: what each looks at, and when it complains."""
    from gemstead.cli.output import print_json, print_table
    from gemstead.doctor.check import load_checks

    rows = [
        {"name": one.name, "is_deep": one.is_deep, "looks_at": one.looks_at, "complains_when": one.complains_when}
        for one in load_checks()
    ]
    if json:
        print_json("doctor-checks/1", rows)
    else:
        print_table(("check", "looks at"), [(row["name"], row["looks_at"]) for row in rows])


def explain(
    complaint: Annotated[str, typer.Argument(help="oom, ttft, quality or regression.")],
    model: options.Model = None,
    json: options.Json = False,
) -> None:
    """Walk the way from a complaint to its cause, with this machine's numbers."""
    from gemstead.app.doctor import explain as walk_path
    from gemstead.cli.output import print_json
    from gemstead.doctor.path import load_path

    path = load_path(complaint)
    answers = walk_path(_setup(model), path)
    if json:
        print_json("doctor-explain/1", {"name": path.name, "title": path.title, "answers": answers})
        return
    print(f"{path.title}: {path.symptom}")
    for number, answer in enumerate(answers, start=1):
        print(f"\n{number}. {answer.question}")
        _print_findings(answer.findings)
    print(f"\nIf no step shows the cause: {path.last_resort}")


def _print(report: Report) -> None:
    print(_verdict(report))
    print()
    _print_findings(report.findings, has_names=True)


def _verdict(report: Report) -> str:
    from gemstead.doctor.finding import SEVERITIES

    counts = {one: sum(finding.severity == one for finding in report.findings) for one in reversed(SEVERITIES)}
    words = [f"{count} {_plural(one, count)}" for one, count in counts.items() if count]
    return ", ".join(words) or "nothing was looked at"


def _plural(severity: Severity, count: int) -> str:
    return severity if severity == "ok" or count == 1 else f"{severity}s"


def _print_findings(findings: Iterable[Finding], *, has_names: bool = False) -> None:
    """One line each; under what is not ok, why it matters and the command that fixes it."""
    for finding in findings:
        name = f"{finding.check:<12}  " if has_names else ""
        print(f"{finding.severity:<7}  {name}{finding.what}")
        if finding.severity != "ok" and finding.why:
            print(f"{'':<9}{'':<{len(name)}}why: {finding.why}")
        if finding.severity != "ok" and finding.fix:
            print(f"{'':<9}{'':<{len(name)}}fix: {finding.fix}")


def _setup(model: str | None, progress: Progress | None = None) -> Setup:
    from gemstead.app.setup import make_setup
    from gemstead.core.progress import no_progress

    return make_setup(options.load(model__name=model), progress=progress or no_progress)
