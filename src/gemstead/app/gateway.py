"""One engine behind one exchange: what `run`, `chat` and `serve` have in common."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from gemstead.api.conversations import Conversations
from gemstead.api.dialect import ModelCard
from gemstead.api.metrics import DoorMetrics
from gemstead.api.readiness import EngineStatus
from gemstead.api.services import Services
from gemstead.app.desk import DeskRules, Loaded, StoreDesk
from gemstead.app.door_front import DoorFront
from gemstead.app.embedding_engine import EmbeddingEngine
from gemstead.app.facts import ServedModel
from gemstead.app.names import ServedNames
from gemstead.app.residency import KeepAlive
from gemstead.app.setup import Setup, source_options
from gemstead.catalog.entries import Sampling as Recommended
from gemstead.catalog.store import Store
from gemstead.core.errors import GemsteadError
from gemstead.core.plan import Plan
from gemstead.core.progress import ProgressEvent
from gemstead.core.types import ChatRequest, Event, Sampling
from gemstead.engines.base import Engine, Installation
from gemstead.engines.process import EngineProcess, ProcessOptions
from gemstead.pipeline.admission import Admission
from gemstead.pipeline.exchange import Exchange
from gemstead.pipeline.media import MediaLimits
from gemstead.pipeline.outcome import Outcome
from gemstead.pipeline.prepare import PrepareRules
from gemstead.settings.model import ResponsesSettings

MAX_WAIT_S = 600.0
"""How long a request may stand in line for a slot: longer than any answer a person waits for."""


class Gateway:
    """A supervised engine, the path requests take to it, and what is counted on the way."""

    def __init__(self, setup: Setup, plan: Plan, installation: Installation, run_dir: Path) -> None:
        settings = setup.loaded.settings
        self.plan = plan
        self.installation = installation
        self.metrics = DoorMetrics()
        self._created_s = int(time.time())
        self._load: ProgressEvent | None = None
        self._tell = setup.progress
        self._failure: str | None = None
        self._served = ServedModel(plan)
        self._recommended = recommended_sampling(setup.store, plan.model)
        self._max_body_bytes = settings.server.max_body_bytes
        self._conversations = conversations_of(settings.responses)
        self.engine = EngineProcess(
            setup.kind,
            installation,
            plan,
            run_dir=run_dir,
            log_dir=setup.loaded.paths.logs,
            options=ProcessOptions(
                environ=setup.loaded.environ,
                extra_args=settings.engine.extra_args,
                start_s=settings.engine.start_timeout_s,
            ),
            progress=self._note_progress,
        )
        self.embedding_engine = EmbeddingEngine(
            setup, plan, installation, run_dir, is_chat_loaded=lambda: self.engine.state == "ready"
        )
        limit = settings.server.max_concurrent_requests
        self._admission = Admission(min(plan.num_slots, limit), max(0, limit - plan.num_slots), MAX_WAIT_S)
        self.exchange = Exchange(
            admit=lambda _request: self._admission.place(),
            engine_for=self._engine_for,
            embed_engine_for=self._embed_engine_for,
            record=self._record,
            facts_of=lambda _model: self._served.facts,
            rules=PrepareRules(
                context_policy=settings.door.context_policy, media=MediaLimits(**settings.media.model_dump())
            ),
        )

        keep_s = settings.engine.keep_alive_s
        self.keep_alive = KeepAlive(lambda: self._unload(0.0), math.inf if keep_s is None else keep_s)
        self.front = DoorFront(
            plan=plan,
            engine=self.engine,
            exchange=self.exchange,
            names=ServedNames(setup.store, setup.store.require(plan.model)),
            keep_alive=self.keep_alive,
            load=self._engine_for,
            complete=lambda request: with_recommended(request, self._recommended),
        )
        rules = DeskRules(
            formats=setup.kind.artefact_formats,
            sources=source_options(setup.loaded),
            servers=setup.loaded.paths.servers,
            allows_changes=settings.door.allows_model_changes,
        )
        self.desk = StoreDesk(setup.store, rules, plan.model, self._loaded)

    async def start(self) -> Engine:
        """Raises: EngineFailed, with the engine's last words; ModelMissing if the file is gone."""
        try:
            if not self._served.is_read:
                await asyncio.gather(self.engine.ensure_ready(), self._served.read())
            return await self.engine.ensure_ready()
        except GemsteadError as exc:
            self._failure = exc.what
            raise

    def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """As `DoorFront.chat`; what the request leaves open about sampling is as the model's authors recommend."""
        return self.front.chat(request)

    def services(self) -> Services:
        """What the API needs of this gateway."""
        card = ModelCard(self.plan.model, self._created_s, owner="gemstead", context_length=self.plan.context_length)
        build = f"{self.installation.kind}-{self.installation.version}"
        return Services(
            chat=self.chat,
            count_tokens=self.front.count_tokens,
            tokenize=self.front.tokenize,
            embed=self.front.embed,
            desk=self.desk,
            models=lambda: (card,),
            engines=self._statuses,
            metrics=self.metrics,
            fingerprint=lambda _model: build,
            conversations=self._conversations,
            sampling=lambda _model: open_sampling(self._recommended),
            max_body_bytes=self._max_body_bytes,
        )

    async def stop(self, drain_s: float) -> None:
        """Ends what runs, after running answers had `drain_s` to finish."""
        await self.keep_alive.close()
        await self._unload(drain_s)

    async def _unload(self, drain_s: float) -> None:
        await asyncio.gather(self.engine.stop(drain_s), self.embedding_engine.stop(drain_s))

    async def _engine_for(self, model: str) -> Engine:
        await self._check_model(model)
        return await self.start()

    async def _embed_engine_for(self, model: str) -> Engine:
        await self._check_model(model)
        await self._served.read()
        return await self.embedding_engine.ensure_ready()

    async def _check_model(self, model: str) -> None:
        if model != self.plan.model:
            raise await self.front.names.refusal(model)

    def _loaded(self) -> Loaded | None:
        if self.engine.state != "ready":
            return None
        gpu_bytes, host_bytes = self.plan.resident_bytes("gpu"), self.plan.resident_bytes("host")
        return Loaded(
            name=self.plan.model,
            context_length=self.plan.context_length,
            resident_bytes=host_bytes + gpu_bytes,
            gpu_bytes=gpu_bytes,
            expires_at_s=self.keep_alive.expires_at_s(),
        )

    def _record(self, outcome: Outcome) -> None:
        self.metrics.count_outcome(outcome)

    def _note_progress(self, event: ProgressEvent) -> None:
        self._load = event
        self._tell(event)

    def _statuses(self) -> tuple[EngineStatus, ...]:
        embedding = self.embedding_engine.status()
        return (self._status(),) if embedding is None else (self._status(), embedding)

    def _status(self) -> EngineStatus:
        load, state = self._load, self.engine.state
        share = load.done / load.total if load and load.total and state == "starting" else None
        reason = self._failure if state == "failed" else None
        is_on_demand = self.keep_alive.has_unloaded and state != "failed"
        return EngineStatus(self.plan.model, self.installation.kind, state, share, reason, is_on_demand)


@asynccontextmanager
async def opened_gateway(
    setup: Setup, plan: Plan, installation: Installation, run_dir: Path, *, drain_s: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[Gateway]:
    """A gateway whose engines are ended on the way out, after running answers had `drain_s` to finish."""
    gateway = Gateway(setup, plan, installation, run_dir)
    try:
        yield gateway
    finally:
        await gateway.stop(drain_s())


def recommended_sampling(store: Store, model: str) -> Recommended | None:
    """What the catalogue says of a model of the store; None for one it does not know."""
    manifest = store.require(model)
    entry = next((entry for entry in store.catalog.models if entry.name == (manifest.base or manifest.model)), None)
    return entry.sampling if entry else None


def conversations_of(settings: ResponsesSettings) -> Conversations:
    max_kept = settings.max_kept if settings.keep == "memory" else 0
    return Conversations(max_kept, settings.max_bytes, settings.max_idle_s)


def open_sampling(recommended: Recommended | None) -> Sampling:
    """What a request leaves open, where its reply must name it: as recommended, else as the API documents it."""
    if recommended is None:
        return Sampling(temperature=1.0, top_p=1.0)
    return Sampling(temperature=recommended.temperature, top_p=recommended.top_p)


def with_recommended(request: ChatRequest, recommended: Recommended | None) -> ChatRequest:
    """`request`, its unset temperature, top_p and top_k filled in."""
    if recommended is None:
        return request
    default = Sampling(temperature=recommended.temperature, top_p=recommended.top_p, top_k=recommended.top_k)
    return msgspec.structs.replace(request, sampling=request.sampling.filled(default))
