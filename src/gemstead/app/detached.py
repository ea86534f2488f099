"""Leaves a server behind: plans, pulls and installs here, where progress is seen, then starts it in its own session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gemstead.app.choose import AUTO, Choice, choose, provide_choice
from gemstead.app.servers import ServerRecord, read_token, running_servers, start_detached, tls_context
from gemstead.app.setup import Setup, ensure_engine, this_machine
from gemstead.core.errors import AlreadyRunning
from gemstead.core.plan import Plan
from gemstead.core.progress import ProgressEvent

READY_MARGIN_S = 60.0
"""On top of the engine's own start timeout: our process has to start, too."""


class Standing(msgspec.Struct, frozen=True):
    """A server that answers; `is_new` False: it ran already."""

    record: ServerRecord
    is_new: bool
    plan: Plan | None = None
    choice: Choice | None = None


def bring_up(setup: Setup, config_file: str | None) -> Standing:
    """A server for the model of the settings: the one that runs, or a new one.

    Raises: AlreadyRunning if the port is taken by a server of ours with another model; as `provide` and the engine.
    """
    settings = setup.loaded.settings
    servers = running_servers(setup.loaded.paths.servers)
    here = next((one for one in servers if one.port == settings.server.port and settings.server.port), None)
    if here is not None:
        if _is_meant(setup, here):
            return Standing(here, is_new=False)
        raise AlreadyRunning(
            f"port {here.port} already serves {here.model}",
            hint=f"gemstead stop {here.port}, or choose another with --port",
        )
    machine = this_machine(setup.loaded)
    choice = choose(setup, machine, settings.model.name)
    ensure_engine(setup)
    plan = provide_choice(setup, machine, settings.model.name, choice)
    record = _start(setup, plan, config_file)
    return Standing(record, True, plan, choice)


def _is_meant(setup: Setup, record: ServerRecord) -> bool:
    name = setup.loaded.settings.model.name
    if name == AUTO:
        return True
    stored = setup.store.find(name)
    return stored is not None and stored.name == record.model


def _start(setup: Setup, plan: Plan, config_file: str | None) -> ServerRecord:
    loaded = setup.loaded
    return start_detached(
        list(_arguments(setup, plan, config_file)),
        servers=loaded.paths.servers,
        log_path=loaded.paths.logs / f"server-{loaded.settings.server.port}.log",
        environ=loaded.environ,
        timeout_s=loaded.settings.engine.start_timeout_s + READY_MARGIN_S,
        on_wait=_Waiting(setup, plan.model),
    )


def _arguments(setup: Setup, plan: Plan, config_file: str | None) -> Iterator[str]:
    """The `serve` command that starts what was planned here."""
    engine = setup.loaded.settings.engine
    server, is_offline = setup.loaded.settings.server, setup.loaded.settings.sources.is_offline
    if config_file is not None:
        yield from ("--config", config_file)
    yield from ("serve", "--model", plan.model, "--host", server.host, "--port", str(server.port))
    if is_offline:
        yield "--offline"
    yield from ("--speculation", engine.speculation, "--tuned" if engine.uses_tuned else "--no-tuned")
    yield from ("--context", str(plan.context_length), "--parallel", str(plan.num_slots), "--kv", plan.kv_cache_dtype)


class _Waiting:
    """Asks the server how far it is, and shows it."""

    def __init__(self, setup: Setup, model: str) -> None:
        self._setup = setup
        self._task = f"start {model}"

    def __call__(self, record: ServerRecord | None) -> bool:
        reply = None if record is None else read_readiness(record)
        if reply is None:
            return False
        is_ready = bool(reply.get("is_ready"))
        engines = reply.get("engines") or [{}]
        share = engines[0].get("progress")
        done = 100.0 if is_ready else 100.0 * (share or 0.0)
        note = "ready" if is_ready else "loading weights"
        self._setup.progress(ProgressEvent(self._task, done, 100.0, "percent", note, is_ready))
        return is_ready


def read_readiness(record: ServerRecord) -> dict[str, Any] | None:
    """What `/readyz` says; None while nothing answers there."""
    import urllib.error
    import urllib.request

    token = read_token(record)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{record.url}/readyz", headers=headers)  # noqa: S310 (a server of ours)
    try:
        tls = urllib.request.HTTPSHandler(context=tls_context(record))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), tls)
        with opener.open(request, timeout=2.0) as response:
            content = response.read(65536)
    except urllib.error.HTTPError as exc:
        content = exc.read(65536)
    except OSError:
        return None
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError:
        return None
