"""`gemstead tune`: the settings that suit one model on this machine, found by measuring, kept with their evidence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec

from gemstead import __version__
from gemstead.app.choose import choose, provide_choice
from gemstead.app.setup import Setup, ensure_engine, this_machine
from gemstead.app.tune_rounds import Rounds
from gemstead.app.tuned import tune_key, without_tuned
from gemstead.bench.changes import Changes
from gemstead.bench.store import new_run_id
from gemstead.bench.tune_figures import GOAL_FIGURES, Pair, TuneGoal
from gemstead.bench.tune_search import PROOF_PAIRS, Factor, Outcome, factors_of, search
from gemstead.bench.tune_store import TuneEnd, TuneForget, TuneStart, TuneStore, TuneTrial
from gemstead.catalog.manifests import now_utc
from gemstead.core.errors import DoesNotFit
from gemstead.core.plan import Plan
from gemstead.core.units import format_bytes
from gemstead.engines.base import Installation
from gemstead.hardware.snapshot import Machine

MARGIN = 0.05
"""A winner has to be better by this: less is not worth a setting that nobody asked for."""


class TuneAsked(msgspec.Struct, frozen=True):
    """`minutes` bounds the measuring; what is under way when they end is finished, and the proof is never left out."""

    goal: TuneGoal = "latency"
    minutes: float = 15.0
    may_quantize_kv: bool = False
    is_resuming: bool = True


class Subject(msgspec.Struct, frozen=True):
    """What is tuned, before anything is measured."""

    plan: Plan
    installation: Installation
    machine: Machine
    factors: tuple[Factor, ...]


def tune_subject(setup: Setup, asked: TuneAsked) -> Subject:
    """The plan as it is without tuning, and what would be tried.

    Raises: as `provide`; DoesNotFit if the machine does not hold the model twice.
    """
    setup = without_tuned(setup)
    machine = this_machine(setup.loaded)
    installation = ensure_engine(setup)
    name = setup.loaded.settings.model.name
    plan = provide_choice(setup, machine, name, choose(setup, machine, name))
    check_twice(plan, machine)
    factors = factors_of(
        asked.goal,
        plan,
        machine.cpu.usable_cores,
        may_quantize_kv=asked.may_quantize_kv,
        is_alone=setup.loaded.origins["model.num_slots"].kind == "default",
    )
    return Subject(plan, installation, machine, factors)


def check_twice(plan: Plan, machine: Machine) -> None:
    """Raises: DoesNotFit if the machine does not hold the model twice: both settings of a pair run at once."""
    missing_bytes = 2 * plan.resident_bytes("host") - machine.memory.available.num_bytes
    if missing_bytes > 0:
        raise DoesNotFit(
            f"{plan.model} does not fit twice, and both settings of a pair run at once",
            missing_bytes=missing_bytes,
            why=f"{format_bytes(missing_bytes)} more memory would be needed",
            hint="use a shorter --context, or a smaller quantization",
        )


def tune(setup: Setup, asked: TuneAsked) -> TuneEnd:
    """Searches, proves and keeps the verdict. An interrupted search goes on with what it measured.

    Raises: as `tune_subject`; EngineFailed if the engine does not start or does not answer as planned.
    """
    subject = tune_subject(setup, asked)
    return asyncio.run(_Session(setup, asked, subject).run())


def forget_tuned(setup: Setup, model: str | None) -> None:
    """Verdicts so far hold no more: of one model, or of all. Raises: DiskFull, RequestInvalid."""
    TuneStore(setup.loaded.paths.data).append(TuneForget(now_utc(), model))


class _Session:
    """One search: what was measured before is taken from the file, in the order in which it was measured."""

    def __init__(self, setup: Setup, asked: TuneAsked, subject: Subject) -> None:
        manifest = setup.store.require(subject.plan.model)
        self._setup = setup
        self._asked = asked
        self._subject = subject
        self._store = TuneStore(setup.loaded.paths.data)
        self._rounds = Rounds(setup, subject.plan, subject.installation, asked.goal)
        self._key = tune_key(manifest, subject.installation, subject.machine)
        self._clock = _Clock(asked.minutes * 60)
        self._session = new_run_id()
        self._done: list[TuneTrial] = []
        self._disturbed: tuple[str, ...] = ()

    async def run(self) -> TuneEnd:
        self._begin()
        outcome = await search(self._asked.goal, self._subject.factors, self._measure, self._clock, MARGIN)
        end = self._end(outcome)
        self._store.append(end)
        return end

    def _begin(self) -> None:
        """A session of its own, or the interrupted one of the same question."""
        start = TuneStart(
            session=self._session,
            at=now_utc(),
            gemstead=__version__,
            key=self._key,
            goal=self._asked.goal,
            context_length=self._subject.plan.context_length,
            may_quantize_kv=self._asked.may_quantize_kv,
        )
        if self._asked.is_resuming and (found := self._store.unfinished(start)) is not None:
            self._setup.say(f"going on with {found[0].session}: {len(found[1])} trials are there (--fresh begins anew)")
            self._session, self._done = found[0].session, found[1]
        else:
            self._store.append(start)

    async def _measure(self, standing: Changes, challenger: Changes, num_pairs: int) -> Sequence[Pair]:
        if (trial := self._recalled(standing, challenger, num_pairs)) is not None:
            self._disturbed = trial.disturbed
            return trial.pairs
        begin_s = time.monotonic()
        pairs, self._disturbed = await self._rounds.pairs(standing, challenger, num_pairs)
        self._clock.note(num_pairs, time.monotonic() - begin_s)
        self._store.append(TuneTrial(self._session, standing, challenger, tuple(pairs), self._disturbed))
        return pairs

    def _recalled(self, standing: Changes, challenger: Changes, num_pairs: int) -> TuneTrial | None:
        """The next trial of the interrupted session, if it was this one."""
        asked = (standing, challenger, num_pairs)
        found = next((one for one in self._done if (one.standing, one.challenger, len(one.pairs)) == asked), None)
        if found is not None:
            self._done.remove(found)
        return found

    def _end(self, outcome: Outcome) -> TuneEnd:
        judgement = outcome.judgement
        return TuneEnd(
            session=self._session,
            at=now_utc(),
            key=self._key,
            goal=self._asked.goal,
            winner=outcome.winner,
            reason=_reason(self._asked.goal, outcome),
            lines=judgement.lines if judgement else (),
            equal_texts=judgement.equal_texts if judgement else 0,
            num_texts=judgement.num_texts if judgement else 0,
            untried=outcome.untried,
            disturbed=self._disturbed,
        )


def _reason(goal: TuneGoal, outcome: Outcome) -> str:
    if outcome.judgement is None:
        return "nothing that was tried was better" if outcome.tried else "there was no time to try anything"
    if outcome.judgement.refusal is not None:
        return f"the best that was found is not kept: {outcome.judgement.refusal}"
    grown = sum(line.new - line.old for line in outcome.judgement.lines if line.figure == "memory" and line.is_worse)
    exception = f" but memory, by {format_bytes(round(grown))}, which is within bounds" if grown > 0 else ""
    return f"{GOAL_FIGURES[goal]} is better, and nothing is worse{exception}"


class _Clock:
    """The time that is left. What a pair takes is known after the first."""

    def __init__(self, budget_s: float) -> None:
        self._deadline_s = time.monotonic() + budget_s
        self._pair_s = 0.0

    def note(self, num_pairs: int, elapsed_s: float) -> None:
        """Of the slowest so far: starting two engines is in it."""
        self._pair_s = max(self._pair_s, elapsed_s / num_pairs)

    def has_time(self, num_pairs: int) -> bool:
        return time.monotonic() + (num_pairs + PROOF_PAIRS) * self._pair_s < self._deadline_s
