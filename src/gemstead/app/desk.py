"""The model desk over this machine's store: the file work runs in threads, and says how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from gemstead.api.desk import CreateModel, LoadedModel, ModelDetails, StoredModel, WorkProgress
from gemstead.app.desk_details import DescribedFiles
from gemstead.app.servers import running_servers
from gemstead.app.work import running_work
from gemstead.catalog.derive import derive_model
from gemstead.catalog.manifests import Manifest, Preset
from gemstead.catalog.names import artefact_of_address
from gemstead.catalog.pull import PullRequest, pull_first, requests_for
from gemstead.catalog.source import SourceOptions
from gemstead.catalog.store import Store
from gemstead.core.errors import PolicyRefused
from gemstead.core.progress import ProgressEvent

T = TypeVar("T")


class Loaded(msgspec.Struct, frozen=True):
    """What the engine of this server holds now."""

    name: str
    context_length: int
    resident_bytes: int
    gpu_bytes: int
    expires_at_s: float | None


class DeskRules(msgspec.Struct, frozen=True):
    """`formats` are those the engine takes; `allows_changes` is the operator's word on changes over HTTP."""

    formats: tuple[str, ...]
    sources: SourceOptions
    servers: Path
    allows_changes: bool


class StoreDesk:
    """Implements `api.desk.ModelDesk`."""

    def __init__(self, store: Store, rules: DeskRules, served: str, loaded: Callable[[], Loaded | None]) -> None:
        self._store = store
        self._rules = rules
        self._served = served
        self._loaded = loaded
        self._files = DescribedFiles(store)

    async def list_models(self) -> tuple[StoredModel, ...]:
        return await asyncio.to_thread(lambda: tuple(self._files.brief(found) for found in self._store.list()))

    async def list_loaded(self) -> tuple[LoadedModel, ...]:
        loaded = self._loaded()
        if loaded is None:
            return ()
        model = await asyncio.to_thread(lambda: self._files.brief(self._store.require(loaded.name)))
        return (
            LoadedModel(model, loaded.context_length, loaded.resident_bytes, loaded.gpu_bytes, loaded.expires_at_s),
        )

    async def show(self, name: str) -> ModelDetails:
        return await asyncio.to_thread(lambda: self._files.details(self._store.require(_plain(name))))

    async def copy(self, source: str, name: str) -> None:
        await self._change(lambda: self._derive(source, name, None))

    async def remove(self, name: str) -> None:
        await self._change(lambda: self._remove(_plain(name)))

    async def create(self, order: CreateModel) -> AsyncGenerator[WorkProgress]:
        preset = Preset(order.system, order.sampling, order.wanted_context, order.licence)
        yield WorkProgress(f"reading {order.source[:200]}")
        await self._change(lambda: self._derive(order.source, order.name, preset))
        yield WorkProgress(f"writing the record of {order.name}")

    async def pull(self, name: str) -> AsyncGenerator[WorkProgress]:
        self._check_allowed()
        requests = await asyncio.to_thread(self._requests, name)
        digests = {f"pull {request.name}": request.artefact.sha256 for request in requests}
        yield WorkProgress(f"looking for {requests[0].name}")
        async for event in running_work(
            lambda progress: pull_first(self._store, requests, self._rules.sources, progress)
        ):
            yield _step(event, digests)

    async def _change(self, change: Callable[[], T]) -> T:
        self._check_allowed()
        return await asyncio.to_thread(change)

    def _check_allowed(self) -> None:
        if not self._rules.allows_changes:
            raise PolicyRefused(
                "models are not changed over HTTP here",
                why="door.allows_model_changes is false",
                hint="use gemstead models on the machine itself",
            )

    def _requests(self, name: str) -> list[PullRequest]:
        """Raises: PolicyRefused for an address that is no repository of the model hub."""
        address = artefact_of_address(name)
        if address is not None and address.source != "hf":
            raise PolicyRefused(
                "models are not fetched from any address over HTTP",
                why="a caller could reach networks that only this machine reaches",
                hint="gemstead models pull URL, on the machine itself",
            )
        return requests_for(self._store, name, formats=self._rules.formats)

    def _derive(self, source: str, name: str, preset: Preset | None) -> Manifest:
        self._check_unused(name)
        return derive_model(self._store, _plain(source), name, preset)

    def _remove(self, name: str) -> None:
        self._check_unused(self._store.require(name).name)
        self._store.remove(name)

    def _check_unused(self, name: str) -> None:
        """Raises: PolicyRefused if a server of this machine serves the model."""
        served = {self._served, *(record.model for record in running_servers(self._rules.servers))}
        if name in served:
            raise PolicyRefused(
                f"{name} is being served",
                why="its server would lose its files",
                hint="stop that server first: gemstead stop",
            )


def _plain(name: str) -> str:
    return name.removesuffix(":latest")


def _step(event: ProgressEvent, digests: dict[str, str | None]) -> WorkProgress:
    status = event.task if event.note is None else f"{event.task}: {event.note}"
    is_counted = event.unit == "bytes" and event.total is not None
    return WorkProgress(
        status,
        done_bytes=int(event.done) if is_counted else None,
        total_bytes=int(event.total) if is_counted and event.total is not None else None,
        sha256=digests.get(event.task),
    )
