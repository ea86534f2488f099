"""`gemstead bench speculation`: what guessing ahead gains where text is copied, and what it costs where it is not."""

from __future__ import annotations

import asyncio

import msgspec

from gemstead.app.choose import choose, provide_choice
from gemstead.app.setup import Setup, ensure_engine, this_machine
from gemstead.app.tune import check_twice
from gemstead.app.tune_rounds import Rounds
from gemstead.app.tuned import without_tuned
from gemstead.bench.changes import Changes
from gemstead.bench.tune_figures import FigureLine, Pair, count_equal, figure_lines
from gemstead.core.plan import Speculation


class SpeculationReport(msgspec.Struct, frozen=True):
    """`lines` hold with speculation against without. `pairs` are the raw rounds, without first."""

    model: str
    engine: str
    speculation: Speculation
    lines: tuple[FigureLine, ...]
    equal_texts: int
    num_texts: int
    drafted_tokens: int
    accepted_tokens: int
    pairs: tuple[Pair, ...]
    disturbed: tuple[str, ...]


def bench_speculation(setup: Setup, speculation: Speculation, num_pairs: int) -> SpeculationReport:
    """Raises: as `provide`; DoesNotFit if the machine does not hold the model twice; EngineFailed."""
    setup = without_tuned(setup)
    machine = this_machine(setup.loaded)
    installation = ensure_engine(setup)
    name = setup.loaded.settings.model.name
    plan = provide_choice(setup, machine, name, choose(setup, machine, name))
    check_twice(plan, machine)
    rounds = Rounds(setup, plan, installation, "code-edit")
    pairs, disturbed = asyncio.run(
        rounds.pairs(Changes(speculation="off"), Changes(speculation=speculation), num_pairs)
    )
    equal, total = count_equal(pairs)
    return SpeculationReport(
        model=plan.model,
        engine=f"{installation.kind} {installation.version}",
        speculation=speculation,
        lines=figure_lines(pairs),
        equal_texts=equal,
        num_texts=total,
        drafted_tokens=sum(new.drafted_tokens for _, new in pairs),
        accepted_tokens=sum(new.accepted_tokens for _, new in pairs),
        pairs=tuple(pairs),
        disturbed=disturbed,
    )
