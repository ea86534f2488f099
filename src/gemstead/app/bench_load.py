"""`gemstead bench load`: a server of this machine, one it starts, or one the user says is theirs, under load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from gemstead import __version__
from gemstead.app.bench_engine import door_target
from gemstead.app.conversation import server_for
from gemstead.app.detached import bring_up
from gemstead.app.machine_note import machine_note
from gemstead.app.servers import ServerRecord, status_of, stop_server
from gemstead.app.setup import Setup, this_machine
from gemstead.bench.corpus import Corpus
from gemstead.bench.load import Loader, Shape, loader
from gemstead.bench.load_summary import Limits, find_knee, summarise
from gemstead.bench.results import LoadLevel, LoadRun
from gemstead.bench.store import ResultStore, new_run_id
from gemstead.bench.target import Target
from gemstead.catalog.manifests import now_utc
from gemstead.core.errors import PolicyRefused, RequestInvalid, SettingInvalid
from gemstead.core.progress import ProgressEvent

MEMORY_INTERVAL_S = 1.0
_WHOLE = 100.0


class Elsewhere(msgspec.Struct, frozen=True):
    """A server named by address. `is_own`: the user says it is theirs to burden, wherever it is.

    `key_variable` names the environment variable that holds its API key.
    """

    url: str
    model: str
    is_own: bool = False
    key_variable: str | None = None


class _Server(msgspec.Struct, frozen=True):
    target: Target
    model: str
    record: ServerRecord | None = None


async def bench_load(
    setup: Setup, shapes: Sequence[Shape], limits: Limits, corpus: Corpus, elsewhere: Elsewhere | None = None
) -> LoadRun:
    """Runs the levels one after another; with several, the first beyond the knee is the last one run.

    Raises: PolicyRefused for an address that is not loopback and not said to be the user's own; as `bring_up`; what the
    server answers to the first, unloaded requests.
    """
    async with _server(setup, elsewhere) as server, loader(server.target, server.model, corpus) as generator:
        levels: list[LoadLevel] = []
        for number, shape in enumerate(shapes, 1):
            levels.append(await _level(setup, server, generator, shape, limits, f"level {number}/{len(shapes)}"))
            if len(shapes) > 1 and find_knee(levels) != number - 1:
                break
    run = _load_run(setup, server, shapes[0], limits, levels, len(shapes) > 1)
    ResultStore(setup.loaded.paths.data).append(run)
    return run


def check_address(url: str, *, is_own: bool) -> None:
    """Raises: SettingInvalid for what is no http address; PolicyRefused if it is not loopback, unless `is_own`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingInvalid(f"{url!r} is no address of a server", param="url", hint="--url http://127.0.0.1:8484")
    if not is_own and not _is_loopback(parts.hostname):
        raise PolicyRefused(
            f"{parts.hostname} is not this machine: load on somebody else's server is an attack",
            hint="--i-own-this-server, if it is yours",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@asynccontextmanager
async def _server(setup: Setup, elsewhere: Elsewhere | None) -> AsyncIterator[_Server]:
    """The one named, else one of ours that runs with the model, else one started for as long as the block lasts."""
    if elsewhere is not None:
        yield _named(setup, elsewhere)
        return
    if (record := server_for(setup)) is not None:
        yield _Server(door_target("server", record), record.model, record)
        return
    record = (await asyncio.to_thread(bring_up, setup, None)).record
    try:
        yield _Server(door_target("server", record), record.model, record)
    finally:
        await asyncio.to_thread(stop_server, record, is_now=True)


def _named(setup: Setup, elsewhere: Elsewhere) -> _Server:
    check_address(elsewhere.url, is_own=elsewhere.is_own)
    if not elsewhere.model:
        raise RequestInvalid("a server named by address needs a model, too", param="model", hint="add --model NAME")
    headers = {}
    if elsewhere.key_variable is not None:
        key = setup.loaded.environ.get(elsewhere.key_variable)
        if not key:
            raise RequestInvalid(f"{elsewhere.key_variable} is not set", param="key_from")
        headers["Authorization"] = f"Bearer {key}"
    url = elsewhere.url.rstrip("/").removesuffix("/v1")
    return _Server(Target("server", url, None, headers), elsewhere.model)


async def _level(
    setup: Setup, server: _Server, generator: Loader, shape: Shape, limits: Limits, task: str
) -> LoadLevel:
    loop = asyncio.get_running_loop()
    begin_s = loop.time()

    def on_done(number: int) -> None:
        share = min(_WHOLE, _WHOLE * (loop.time() - begin_s) / shape.duration_s)
        setup.progress(ProgressEvent(task, share, _WHOLE, "percent", f"{number} requests"))

    memory: list[tuple[float, float]] = []
    watching = asyncio.create_task(_watch_memory(server.record, memory))
    try:
        requests = await generator.run(shape, on_done)
    finally:
        watching.cancel()
    setup.progress(ProgressEvent(task, _WHOLE, _WHOLE, "percent", f"{len(requests)} requests", is_done=True))
    return summarise(shape, requests, limits, memory)


async def _watch_memory(record: ServerRecord | None, samples: list[tuple[float, float]]) -> None:
    """Resident bytes of the server and its engine, where they are ours to look at."""
    if record is None:
        return
    loop = asyncio.get_running_loop()
    while True:
        samples.append((loop.time(), float(status_of(record).rss_bytes)))
        await asyncio.sleep(MEMORY_INTERVAL_S)


def _load_run(
    setup: Setup, server: _Server, shape: Shape, limits: Limits, levels: Sequence[LoadLevel], is_ramp: bool
) -> LoadRun:
    is_here = server.record is not None
    return LoadRun(
        run=new_run_id(),
        at=now_utc(),
        gemstead=__version__,
        server=server.record.engine if server.record else server.target.url,
        model=server.model,
        machine=machine_note(this_machine(setup.loaded)) if is_here else None,
        prompt_tokens=shape.prompt_tokens,
        answer_tokens=shape.answer_tokens,
        ttft_limit_s=limits.ttft_s,
        tpot_limit_s=limits.tpot_s,
        levels=tuple(levels),
        knee=find_knee(levels) if is_ramp else None,
    )
