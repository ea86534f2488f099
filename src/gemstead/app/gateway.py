"""One engine behind one exchange: what `run`, `chat` and `serve` have in common."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import msgspec

from gemstead.access.lock import FailedAttempt
from gemstead.api.conversations import Conversations
from gemstead.api.dialect import ModelCard
from gemstead.api.metrics import DoorMetrics
from gemstead.api.readiness import EngineStatus
from gemstead.api.services import Services
from gemstead.api.sign_in import SignIn
from gemstead.app.desk import DeskRules, Loaded, StoreDesk
from gemstead.app.door_front import DoorFront
from gemstead.app.embedding_engine import EmbeddingEngine
from gemstead.app.facts import ServedModel
from gemstead.app.guards import guard_rules
from gemstead.app.names import ServedNames
from gemstead.app.residency import KeepAlive
from gemstead.app.server_evidence import ServerEvidence
from gemstead.app.setup import Setup, source_options
from gemstead.catalog.entries import Sampling as Recommended
from gemstead.catalog.store import Store
from gemstead.core.caller import Caller
from gemstead.core.errors import GemsteadError
from gemstead.core.plan import Plan
from gemstead.core.progress import ProgressEvent
from gemstead.core.quota import QuotaState
from gemstead.core.types import ChatRequest, EmbedRequest, Event, Sampling
from gemstead.engines.base import Engine, Installation
from gemstead.engines.process import EngineChange, EngineProcess, ProcessOptions
from gemstead.pipeline.admission import Admission
from gemstead.pipeline.embed import SPECIAL_TOKENS
from gemstead.pipeline.exchange import Exchange
from gemstead.pipeline.govern import Governed
from gemstead.pipeline.grant import Grant
from gemstead.pipeline.media import MediaLimits
from gemstead.pipeline.outcome import Outcome
from gemstead.pipeline.prepare import PrepareRules
from gemstead.pipeline.recording import Recorder
from gemstead.settings.model import ResponsesSettings, Settings

MAX_WAIT_S = 600.0
"""How long a request may stand in line for a slot: longer than any answer a person waits for."""


class LineSizes(NamedTuple):
    """How many requests are in work at once, how many wait, and for how long."""

    max_running: int
    max_waiting: int
    wait_limit_s: float


class Gateway:
    """A supervised engine, the path requests take to it, and what is counted on the way."""

    def __init__(
        self,
        setup: Setup,
        plan: Plan,
        installation: Installation,
        run_dir: Path,
        evidence: ServerEvidence | None = None,
    ) -> None:
        settings = setup.loaded.settings
        self.plan = plan
        self.installation = installation
        self.metrics = DoorMetrics() if evidence is None else evidence.metrics
        self._evidence = evidence
        self._created_s = int(time.time())
        self._load: ProgressEvent | None = None
        self._tell = setup.progress
        self._failure: str | None = None
        self._served = ServedModel(plan)
        self._recommended = recommended_sampling(setup.store, plan.model)
        self._server = settings.server
        self._conversations = conversations_of(settings.responses)
        self.engine = self._new_engine(setup, run_dir)
        self.embedding_engine = EmbeddingEngine(
            setup,
            plan,
            installation,
            run_dir,
            is_chat_loaded=lambda: self.engine.state == "ready",
            on_change=lambda change: self._note_engine(change, "embed"),
        )
        self.line = line_sizes(plan.num_slots, settings.server.max_concurrent_requests)
        self._admission = Admission(*self.line)
        self._governed: Governed | None = None
        self.exchange = Exchange(
            admit=self._admit,
            engine_for=self._engine_for,
            embed_engine_for=self._embed_engine_for,
            record=self._record,
            facts_of=lambda _model: self._served.facts,
            rules=prepare_rules(settings),
            guards=guard_rules(settings),
            recorder=self._recorder,
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
            aside=self._aside,
        )
        self.desk = StoreDesk(setup.store, desk_rules(setup), plan.model, self._loaded)

    def _new_engine(self, setup: Setup, run_dir: Path) -> EngineProcess:
        asked = setup.loaded.settings.engine
        return EngineProcess(
            setup.kind,
            self.installation,
            self.plan,
            run_dir=run_dir,
            log_dir=setup.loaded.paths.logs,
            options=ProcessOptions(
                environ=setup.loaded.environ,
                extra_args=asked.extra_args,
                start_s=asked.start_timeout_s,
                on_change=self._note_engine,
            ),
            progress=self._note_progress,
        )

    def govern(self, governed: Governed) -> None:
        """From here on policy and limits decide who gets in."""
        self._governed = governed

    async def quota_left(self, request: ChatRequest | EmbedRequest) -> QuotaState | None:
        """What is left of its caller's limits for requests like this one; None: nothing is limited."""
        if self._governed is None:
            return None
        return self._governed.state(msgspec.structs.replace(request, model=await self.front.served_name(request.model)))

    async def count_exactly(self, request: ChatRequest | EmbedRequest) -> int:
        """Tokens of all that goes to the engine, its answer left out. Raises: any GemsteadError."""
        if isinstance(request, ChatRequest):
            return await self.exchange.count_tokens(request)
        counts = [len(await self.exchange.tokenize(request.model, text)) + SPECIAL_TOKENS for text in request.texts]
        return sum(counts)

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

    def services(self, sign_in: SignIn | None = None) -> Services:
        """What the API needs of this gateway. `sign_in` None: everybody may do everything."""
        card = ModelCard(self.plan.model, self._created_s, owner="gemstead", context_length=self.plan.context_length)
        build = f"{self.installation.kind}-{self.installation.version}"
        return Services(
            chat=self.chat,
            count_tokens=self.front.count_tokens,
            tokenize=self.front.tokenize,
            embed=self.front.embed,
            desk=self.desk,
            models=lambda: (card,),
            engines=self.statuses,
            metrics=self.metrics,
            fingerprint=lambda _model: build,
            conversations=self._conversations,
            sampling=lambda _model: open_sampling(self._recommended),
            may_see=self._may_see,
            quota=self.quota_left if self._governed is not None else None,
            sign_in=sign_in,
            note_refusal=self._note_refusal,
            host_names=frozenset(name.lower() for name in self._server.host_names),
            origins=frozenset(self._server.allowed_origins),
            max_body_bytes=self._server.max_body_bytes,
        )

    def note_sign_in_failure(self, attempt: FailedAttempt) -> None:
        self.metrics.count_sign_in_failure(attempt.reason)
        if self._evidence is not None:
            self._evidence.note_sign_in_failure(attempt)

    async def forget_texts(self) -> None:
        """Drops every text that is in memory here or in the engines, after running answers had their time to finish.

        An engine's prompt cache is cleared by nothing but its end; the next request has it loaded anew.
        """
        await self.keep_alive.unload(lambda: self._unload(self._server.drain_s))
        # Only now: answers that were running have left their responses here.
        self._conversations.clear()

    async def stop(self, drain_s: float) -> None:
        """Ends what runs, after running answers had `drain_s` to finish."""
        await self.keep_alive.close()
        await self._unload(drain_s)

    async def _unload(self, drain_s: float) -> None:
        await asyncio.gather(self.engine.stop(drain_s), self.embedding_engine.stop(drain_s))

    def _admit(self, request: ChatRequest | EmbedRequest) -> AbstractAsyncContextManager[Grant]:
        return self._admission.place() if self._governed is None else self._governed.admit(request)

    def _aside(self, request: ChatRequest) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._governed is None else self._governed.admit_aside(request)

    def _may_see(self, caller: Caller, model: str, dialect: str) -> bool:
        return self._governed is None or self._governed.may_see(caller, model, dialect)

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

    def _recorder(self) -> Recorder | None:
        return None if self._evidence is None else self._evidence.recorder()

    def _note_engine(self, change: EngineChange, purpose: str = "chat") -> None:
        if self._evidence is not None:
            self._evidence.note_engine(change, purpose)

    def _note_refusal(self, key_id: str | None, code: str) -> None:
        if self._evidence is not None:
            self._evidence.note_refusal(key_id, code)

    def _record(self, outcome: Outcome) -> None:
        self.metrics.count_outcome(outcome)

    def _note_progress(self, event: ProgressEvent) -> None:
        self._load = event
        self._tell(event)

    def statuses(self) -> tuple[EngineStatus, ...]:
        """Of its engines, as `/readyz` shows them."""
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
    setup: Setup,
    plan: Plan,
    installation: Installation,
    run_dir: Path,
    *,
    drain_s: Callable[[], float] = lambda: 0.0,
    evidence: ServerEvidence | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway whose engines are ended on the way out, after running answers had `drain_s` to finish."""
    gateway = Gateway(setup, plan, installation, run_dir, evidence)
    try:
        yield gateway
    finally:
        await gateway.stop(drain_s())


def line_sizes(num_slots: int, max_concurrent_requests: int) -> LineSizes:
    """What has no slot waits, as long as all together stay within the limit."""
    running = min(num_slots, max_concurrent_requests)
    return LineSizes(running, max(0, max_concurrent_requests - num_slots), MAX_WAIT_S)


def prepare_rules(settings: Settings) -> PrepareRules:
    return PrepareRules(settings.door.context_policy, MediaLimits(**settings.media.model_dump()))


def desk_rules(setup: Setup) -> DeskRules:
    return DeskRules(
        formats=setup.kind.artefact_formats,
        sources=source_options(setup.loaded),
        servers=setup.loaded.paths.servers,
        allows_changes=setup.loaded.settings.door.allows_model_changes,
    )


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
