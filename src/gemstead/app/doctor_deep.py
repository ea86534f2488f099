"""The deep examination: an engine to ask, found or started, and why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from gemstead.app.choose import choose
from gemstead.app.conversation import server_for
from gemstead.app.gateway import opened_gateway
from gemstead.app.server_engine import endpoint_of
from gemstead.app.servers import forget, passing_folder
from gemstead.app.setup import KINDS, Setup, find_engine, this_machine
from gemstead.core.errors import EngineMissing, GemsteadError, ModelMissing
from gemstead.core.plan import Plan
from gemstead.core.plugins import load_plugin
from gemstead.doctor.check import Check
from gemstead.doctor.engine_logs import read_runs
from gemstead.doctor.examination import ask_through
from gemstead.doctor.finding import Finding
from gemstead.doctor.nearest_plan import smaller_than_planned
from gemstead.doctor.subject import Subject
from gemstead.engines.base import Engine, EngineKind
from gemstead.engines.client import EngineClient


def ask_model(setup: Setup, subject: Subject, checks: Sequence[Check]) -> list[Finding]:
    """What the deep checks find; one finding for all of them where no engine can be asked. Fetches nothing."""
    try:
        return asyncio.run(_ask_all(setup, subject, checks))
    except GemsteadError as exc:
        return [_unasked(subject, exc, len(checks))]


async def _ask_all(setup: Setup, subject: Subject, checks: Sequence[Check]) -> list[Finding]:
    async with _opened_engine(setup) as engine:
        return await ask_through(checks, subject, engine, setup.progress)


@asynccontextmanager
async def _opened_engine(setup: Setup) -> AsyncIterator[Engine]:
    """The engine of a server that runs, asked past the door; else one of our own, from what is here already.

    Raises: EngineMissing, ModelMissing if something would have to be fetched; as `choose`; EngineFailed.
    """
    record = server_for(setup)
    if record is not None:
        kind = load_plugin(KINDS, record.engine.partition(" ")[0], "ENGINE", EngineKind)
        client = EngineClient(kind, endpoint_of(record), record.model, record.context_length)
        try:
            yield client
        finally:
            await client.close()
        return
    installation = find_engine(setup)
    if installation is None:
        raise EngineMissing(f"{setup.kind.title} is not installed", hint="gemstead engine install")
    plan = _plan_here(setup)
    folder: Path = passing_folder(setup.loaded.paths.servers)
    try:
        async with opened_gateway(setup, plan, installation, folder) as gateway:
            yield await gateway.start()
    finally:
        forget(folder)


def _plan_here(setup: Setup) -> Plan:
    choice = choose(setup, this_machine(setup.loaded), setup.loaded.settings.model.name)
    if choice.plan is None or choice.requests:
        raise ModelMissing(f"{choice.model} is not in the store", hint=f"gemstead models pull {choice.model}")
    return choice.plan


def _unasked(subject: Subject, exc: GemsteadError, num_checks: int) -> Finding:
    """Why the model could not be asked; where memory ran out, with what fits instead."""
    what = f"{num_checks} checks could not ask the model: {exc.what}"
    if isinstance(exc, EngineMissing | ModelMissing):
        return Finding("warning", what, exc.why, exc.hint, check="answers")
    runs = read_runs(subject.loaded.paths.logs, subject.kind)
    is_out_of_memory = bool(runs) and runs[0].is_out_of_memory
    fix = smaller_than_planned(subject) if is_out_of_memory else exc.hint
    return Finding("error", what, exc.why, fix, check="answers")
