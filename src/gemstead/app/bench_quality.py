"""`gemstead bench quality`: what a text and questions say of a model, each finished part kept."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gemstead import __version__
from gemstead.app.bench_engine import opened_engine
from gemstead.app.bench_harness import run_against_own_server
from gemstead.app.bench_perplexity import score_model
from gemstead.app.bench_subject import subject_of
from gemstead.app.choose import choose, provide_choice
from gemstead.app.setup import Setup, ensure_engine, this_machine
from gemstead.bench.harness import find_harness
from gemstead.bench.perplexity import find_program
from gemstead.bench.quality_results import (
    Answered,
    QualityAnswers,
    QualityHarness,
    QualityPart,
    QualityProtocol,
    QualityRun,
    QualityStart,
    QualityText,
    Reference,
)
from gemstead.bench.quality_store import QualityStore
from gemstead.bench.questions import Task, is_right, own_tasks, read_tasks, regression_tasks, tasks_sha256
from gemstead.bench.store import new_run_id
from gemstead.bench.stream import Question, ask
from gemstead.bench.target import open_session
from gemstead.bench.text import TextSource
from gemstead.catalog.manifests import now_utc
from gemstead.core.errors import RequestInvalid
from gemstead.core.plan import Plan
from gemstead.core.progress import ProgressEvent
from gemstead.engines.base import Installation


class QualityAsked(msgspec.Struct, frozen=True):
    """`against`: a higher precision of the same model. `tasks` None: our own questions.

    `is_resuming`: an interrupted run of the same subject is finished instead of begun anew.
    """

    parts: tuple[QualityPart, ...]
    text: TextSource
    against: str | None = None
    tasks: Path | None = None
    harness_tasks: tuple[str, ...] = ()
    harness_program: Path | None = None
    harness_include: Path | None = None
    chunk_tokens: int = 512
    num_chunks: int = 16
    is_resuming: bool = True


def bench_quality(setup: Setup, asked: QualityAsked) -> QualityRun:
    """Measures the model of the settings, part by part.

    Raises: as `provide`, for the reference, too; EngineMissing without llama-perplexity; ToolMissing without the
    harness; RequestInvalid for a text, tasks or a reference that cannot be used; EngineError. What was measured before
    is kept then, and found again by the next call.
    """
    return _Quality(setup, asked).run()


class _Quality:
    def __init__(self, setup: Setup, asked: QualityAsked) -> None:
        if not asked.parts:
            raise RequestInvalid(
                "there is nothing to measure", param="parts", hint="--parts perplexity,regression,tasks"
            )
        # What can be refused at once comes before anything is fetched or started.
        self._tasks = {
            "regression": regression_tasks(),
            "tasks": read_tasks(asked.tasks) if asked.tasks else own_tasks(),
        }
        self._text = asked.text.read()
        if "harness" in asked.parts:
            find_harness(asked.harness_program)
        if asked.against is not None and "perplexity" not in asked.parts:
            raise RequestInvalid("--against needs the part perplexity", param="against", hint="leave --parts out")
        self._setup = setup
        self._asked = asked
        self._store = QualityStore(setup.loaded.paths.data)
        self._machine = this_machine(setup.loaded)
        self._installation: Installation = ensure_engine(setup)
        if "perplexity" in asked.parts:
            find_program(self._installation.program)

    def run(self) -> QualityRun:
        plan = self._plan(self._setup.loaded.settings.model.name)
        base = self._plan(self._asked.against) if self._asked.against else None
        start = self._start(plan, base)
        run = self._unfinished(start) or self._begin(start)
        if "perplexity" in run.missing:
            chunks = score_model(
                self._setup,
                self._installation,
                plan,
                base,
                self._text,
                self._asked.chunk_tokens,
                self._asked.num_chunks,
            )
            self._store.append(QualityText(run.start.run, chunks))
        sets = [part for part in ("regression", "tasks") if part in run.missing]
        if sets:
            asyncio.run(self._ask(run, plan, sets))
        if "harness" in run.missing:
            found = run_against_own_server(
                self._setup,
                find_harness(self._asked.harness_program),
                self._asked.harness_tasks,
                self._asked.harness_include,
            )
            self._store.append(QualityHarness(run.start.run, found.version, found.scores))
        return self._store.require(run.start.run)

    def _plan(self, name: str) -> Plan:
        return provide_choice(self._setup, self._machine, name, choose(self._setup, self._machine, name))

    def _start(self, plan: Plan, base: Plan | None) -> QualityStart:
        protocol = QualityProtocol(
            parts=self._asked.parts,
            chunk_tokens=self._asked.chunk_tokens,
            num_chunks=self._asked.num_chunks,
            text_sha256=hashlib.sha256(self._text).hexdigest(),
            tasks_sha256=tasks_sha256(self._tasks["regression"] + self._tasks["tasks"]),
            harness_tasks=self._asked.harness_tasks,
        )
        subject = subject_of(self._setup, plan, self._installation, self._machine)
        reference = None
        if base is not None:
            held = subject_of(self._setup, base, self._installation, self._machine)
            reference = Reference(base.model, base.quant, held.model_sha256)
        family = self._family(plan)
        return QualityStart(new_run_id(), now_utc(), __version__, subject, family, protocol, reference)

    def _family(self, plan: Plan) -> str:
        """The model without its quantization; generated weights are a family of their own."""
        manifest = self._setup.store.find(plan.model)
        if manifest is None:
            return plan.model
        return manifest.model if manifest.form == "weights" else f"{manifest.model}@{manifest.form}"

    def _unfinished(self, start: QualityStart) -> QualityRun | None:
        """The newest interrupted run of the same subject by the same protocol."""
        if not self._asked.is_resuming:
            return None
        for run in reversed(self._store.runs()):
            same = msgspec.structs.replace(run.start, run=start.run, at=start.at, gemstead=start.gemstead)
            if run.missing and same == start:
                self._setup.say(f"going on with {run.start.run}: missing are {', '.join(run.missing)}")
                return run
        return None

    def _begin(self, start: QualityStart) -> QualityRun:
        self._store.append(start)
        return QualityRun(start)

    async def _ask(self, run: QualityRun, plan: Plan, sets: Sequence[str]) -> None:
        async with (
            opened_engine(self._setup, plan, self._installation) as engine,
            open_session(engine.target) as session,
        ):
            for part in sets:
                tasks, answers = self._tasks[part], []
                for number, task in enumerate(tasks, 1):
                    timeline = await ask(session, engine.target, _question(plan.model, task))
                    is_cut = timeline.finish_reason == "length"
                    answers.append(Answered(task.name, timeline.text, is_right(task, timeline.text), is_cut))
                    event = ProgressEvent(f"ask {part}", number, len(tasks), "steps", is_done=number == len(tasks))
                    self._setup.progress(event)
                self._store.append(QualityAnswers(run.start.run, part, tasks_sha256(tasks), tuple(answers)))  # type: ignore[arg-type]


def _question(model: str, task: Task) -> Question:
    """Greedy, and evaluated from its first token: what is in a cache was summed up in another order."""
    messages = [{"role": turn.role, "content": turn.content} for turn in task.messages]
    return Question(model, "", task.max_tokens, {"messages": messages, "cache_prompt": False})
