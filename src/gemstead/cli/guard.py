"""`gemstead guard`: what the guards see in a text, and how well they see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.guardrails.evaluation.measure import Row, Share

Names = Annotated[list[str] | None, typer.Option("--guard", help="Only this guard; may be given several times.")]

FOUND = 5
"""Exit code of `test` where something was found."""

MAX_TEXT_CHARS = 4 * 1024 * 1024


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="See what the guards find in a text, and measure how well.", no_args_is_help=True)
    for name, command in (("list", list_guards), ("show", show), ("test", run_test), ("eval", evaluate)):
        group.command(name)(command)
    app.add_typer(group, name="guard")


def list_guards(json: options.Json = False) -> None:
    """List the guards in the order in which they see a text."""
    from gemstead.cli.output import print_json, print_table
    from gemstead.guardrails.registry import every_guard

    guards = every_guard()
    if json:
        plain = [
            {"name": g.name, "detects": g.detects, "kinds": g.kinds, "stages": sorted(g.stages), "default": g.default}
            for g in guards
        ]
        print_json("guards/1", plain)
        return
    rows = [(g.name, g.default, ", ".join(sorted(g.stages)), f"{g.budget_s * 1000:.0f} ms", g.detects) for g in guards]
    print_table(("guard", "default", "stages", "budget", "detects"), rows)


def show(name: Annotated[str, typer.Argument(help="The guard's name.")], json: options.Json = False) -> None:
    """Show what a guard detects, what it misses, and the kinds of its findings."""
    from gemstead.cli.output import print_json
    from gemstead.guardrails.registry import about, named_guards

    guard = named_guards([name])[0]
    if json:
        print_json("guard/1", {"name": guard.name, "kinds": guard.kinds, "about": about(guard)})
        return
    print(about(guard).strip())
    print(f"Kinds: {', '.join(guard.kinds)}")


def run_test(
    text: Annotated[str, typer.Argument(help='A text; "-" reads it from stdin.')],
    guard: Names = None,
    json: options.Json = False,
) -> int:
    """Say what the guards find in a text, and what it reads like with that masked. Exit code 5: something was found."""
    import sys

    from gemstead.cli.output import print_json, print_table
    from gemstead.core.errors import RequestInvalid
    from gemstead.guardrails.trial import try_text

    if text == "-":
        text = sys.stdin.read(MAX_TEXT_CHARS + 1)
    if len(text) > MAX_TEXT_CHARS:
        raise RequestInvalid(f"the text has more than {MAX_TEXT_CHARS} characters", hint="cut it")
    trial = try_text(text, guard or [])
    if json:
        print_json("guard_test/1", trial)
        return FOUND if trial.findings else 0
    print(f"{len(trial.findings)} found" if trial.findings else "nothing found")
    rows = [(f.guard, f.kind, f.start, f.end, _shown(text[f.start : f.end])) for f in trial.findings]
    if rows:
        print_table(("guard", "kind", "start", "end", "text"), rows)
        print(f"masked: {_printable(trial.masked)}")
    return FOUND if trial.findings else 0


def evaluate(
    name: Annotated[str, typer.Option("--set", help="personal-data, secrets, ordinary or markup.")],
    guard: Names = None,
    half: Annotated[
        str, typer.Option("--half", help="held-out, or tuning: the half that may be looked at.")
    ] = "held-out",
    missed: Annotated[int, typer.Option("--missed", min=0, help="Show so many texts that were judged wrongly.")] = 0,
    json: options.Json = False,
) -> None:
    """Measure recall, precision and false alarms on a set, with intervals of 95 %."""
    from gemstead.cli.output import print_json, print_table
    from gemstead.guardrails.evaluation.measure import measure
    from gemstead.guardrails.evaluation.sets import samples
    from gemstead.guardrails.registry import measured_guards, named_guards

    options.check_word("--half", half, ["held-out", "tuning"])
    texts = samples(name, "tuning" if half == "tuning" else "held-out")
    results = [measure(one, texts) for one in (named_guards(guard) if guard else measured_guards(name))]
    if json:
        plain = [{"guard": r.guard, "rows": r.rows, "missed": r.missed[:missed]} for r in results]
        print_json("guard_eval/1", {"set": name, "half": half, "texts": len(texts), "guards": plain})
        return
    print(f"{name}, {half}: {len(texts)} texts")
    rows = [(result.guard, *_cells(row)) for result in results for row in result.rows]
    print_table(("guard", "kind", "source", "language", "recall", "precision", "false alarms per 1,000"), rows)
    for result in results:
        for one in result.missed[:missed]:
            found = ", ".join(one.found) or "nothing"
            print(f"{result.guard}: {one.kind or 'nothing'} in {_printable(one.text)!r}, found: {found}")


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.kind,
        row.source,
        row.language,
        _share(row.recall, 100, " %"),
        _share(row.precision, 100, " %"),
        _share(row.false_alarms, 1000, ""),
    )


def _share(share: Share | None, scale: int, unit: str) -> str:
    if share is None:
        return ""
    value, low, high = (part * scale for part in (share.value, share.low, share.high))
    return f"{value:.1f}{unit} ({low:.1f} to {high:.1f}; {share.num} of {share.total})"


def _shown(value: str) -> str:
    """Enough to know which one it is."""
    plain = _printable(value)
    return plain if len(plain) <= 6 else f"{plain[:3]}...{plain[-2:]}"


def _printable(text: str) -> str:
    """A terminal is steered by nothing that was in the text."""
    return "".join(char if char.isprintable() or char == "\n" else f"\\u{ord(char):04x}" for char in text)
