"""How a verdict of `tune` is printed: what is used from now on, then the figures it rests on."""

from __future__ import annotations

from collections.abc import Sequence

from gemstead.bench.tune_figures import FIGURES, FigureLine
from gemstead.bench.tune_store import TuneEnd
from gemstead.cli.output import print_table
from gemstead.core.units import format_bytes


def print_verdict(end: TuneEnd) -> None:
    """The verdict first."""
    found = "the plan's own settings are best" if end.winner is None else end.winner.describe()
    print(f"{end.key.model} for {end.goal}: {found}")
    print(f"  {end.reason}")
    print(f"  measured {end.at[:16].replace('T', ' ')} UTC with {end.key.engine} {end.key.engine_version}")
    if end.lines:
        print()
        print_figure_lines(end.lines, ("as planned", "changed"))
        print(f"{end.equal_texts} of {end.num_texts} answers at temperature 0 were equal in both")
    for reason in end.disturbed:
        print(f"note: the machine was disturbed: {reason}; tune again when it is quiet")
    if end.untried:
        print(f"not tried for want of time: {', '.join(end.untried)} (--minutes)")
    print()


def print_figure_lines(lines: Sequence[FigureLine], names: tuple[str, str]) -> None:
    """One figure a row; above 1 is better, whatever its unit."""
    rows = [
        (
            line.figure,
            *(_value(line.figure, value) for value in (line.old, line.new)),
            f"{line.gain:.2f}",
            f"{line.low:.2f} to {line.high:.2f}",
            "better" if line.is_better else "worse" if line.is_worse else "",
        )
        for line in lines
    ]
    print_table(("figure", *names, "gain", "95 % interval", ""), rows)


def _value(figure: str, value: float) -> str:
    unit, _ = FIGURES[figure]
    return format_bytes(round(value)) if unit == "bytes" else f"{value:.3g} {unit}"
