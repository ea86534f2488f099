"""Wires the doctor: what it examines, and the engine that the deep checks ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from gemstead.api.hosts import is_loopback
from gemstead.app.choose import choose
from gemstead.app.detached import read_readiness
from gemstead.app.door_lock import is_locked
from gemstead.app.servers import ServerRecord, running_servers, stale_folders, status_of
from gemstead.app.setup import Setup, find_engine, this_machine
from gemstead.core.errors import GemsteadError, ModelMissing
from gemstead.core.plan import Plan
from gemstead.doctor.check import load_checks
from gemstead.doctor.examination import Report, look_through
from gemstead.doctor.path import Answer, DecisionPath, walk
from gemstead.doctor.subject import MemoryHistory, RunningServer, Subject
from gemstead.hardware.cgroups import oom_kills
from gemstead.hardware.probe import read_membership
from gemstead.hardware.snapshot import Machine


def examine(setup: Setup, *, is_deep: bool = False) -> Report:
    """Every check; the deep ones only if asked for. Fetches and changes nothing; `is_deep` may start an engine."""
    subject, checks = subject_of(setup), load_checks()
    findings = look_through(checks, subject)
    deep = [check for check in checks if check.is_deep]
    if not is_deep:
        return Report(tuple(findings), len(deep))
    from gemstead.app.doctor_deep import ask_model

    return Report((*findings, *ask_model(setup, subject, deep)))


def explain(setup: Setup, path: DecisionPath) -> list[Answer]:
    """The path walked with what is true here."""
    return walk(path, subject_of(setup))


def subject_of(setup: Setup) -> Subject:
    """What the checks look at. The folders of servers that are gone are listed before anything removes them."""
    loaded = setup.loaded
    stale = stale_folders(loaded.paths.servers)
    machine = this_machine(loaded)
    return Subject(
        loaded=loaded,
        store=setup.store,
        kind=setup.kind,
        machine=machine,
        memory_history=_memory_history(),
        find_engine=cache(lambda: find_engine(setup)),
        plan=_remembering(lambda headroom: _plan(setup, machine, headroom)),
        servers=cache(lambda: tuple(_running(record) for record in running_servers(loaded.paths.servers))),
        stale_folders=lambda: stale,
        is_loopback=is_loopback,
        is_locked=cache(lambda: is_locked(loaded)),
        now_s=time.time(),
    )


def _memory_history() -> MemoryHistory:
    import psutil

    swap = psutil.swap_memory()
    return MemoryHistory(swap.total, swap.used, oom_kills(read_membership()))


def _plan(setup: Setup, machine: Machine, headroom: float | None) -> Plan:
    """Raises: as `choose`; ModelMissing if only the file can tell what it needs."""
    if headroom is not None:
        changed = setup.loaded.settings.plan.model_copy(update={"headroom": headroom})
        settings = setup.loaded.settings.model_copy(update={"plan": changed})
        setup = msgspec.structs.replace(setup, loaded=msgspec.structs.replace(setup.loaded, settings=settings))
    choice = choose(setup, machine, setup.loaded.settings.model.name)
    if choice.plan is None:
        hint = f"gemstead models pull {choice.model}"
        raise ModelMissing(f"the dimensions of {choice.model} are known once it is here", hint=hint)
    return choice.plan


def _remembering(plan: Callable[[float | None], Plan]) -> Callable[[float | None], Plan]:
    """Plans once for each head-room, refusals included: several checks ask the same."""
    known: dict[float | None, Plan | GemsteadError] = {}

    def remembered(headroom: float | None) -> Plan:
        if headroom not in known:
            try:
                known[headroom] = plan(headroom)
            except GemsteadError as exc:
                known[headroom] = exc
        found = known[headroom]
        if isinstance(found, GemsteadError):
            raise found
        return found

    return remembered


def _running(record: ServerRecord) -> RunningServer:
    engines: list[dict[str, Any]] = (read_readiness(record) or {}).get("engines") or []
    return RunningServer(
        pid=record.pid,
        port=record.port,
        model=record.model,
        engine=record.engine,
        rss_bytes=status_of(record).rss_bytes,
        state=str(engines[0].get("state")) if engines else None,
        listens_at=_listening(record.pid),
        has_tls=record.tls_cert is not None,
    )


def _listening(pid: int) -> tuple[str, ...]:
    """TCP addresses of the process and everything below it; those that end meanwhile have none."""
    import psutil

    addresses = set()
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            for one in process.net_connections(kind="tcp"):
                if one.status == psutil.CONN_LISTEN:
                    addresses.add(f"{one.laddr.ip}:{one.laddr.port}")
    except psutil.Error:
        return tuple(sorted(addresses))
    return tuple(sorted(addresses))
