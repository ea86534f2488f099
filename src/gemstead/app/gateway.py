"""One engine behind one exchange: what `run`, `chat` and `serve` have in common."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from gemstead.api.dialect import ModelCard
from gemstead.api.metrics import DoorMetrics
from gemstead.api.readiness import EngineStatus
from gemstead.api.services import Services
from gemstead.app.setup import Setup
from gemstead.catalog.entries import Sampling as Recommended
from gemstead.catalog.store import Store
from gemstead.core.errors import GemsteadError, NameUnknown
from gemstead.core.plan import Plan
from gemstead.core.progress import ProgressEvent
from gemstead.core.types import ChatRequest, Event
from gemstead.engines.base import Engine, Installation
from gemstead.engines.process import EngineProcess, ProcessOptions
from gemstead.pipeline.admission import Admission
from gemstead.pipeline.exchange import Exchange
from gemstead.pipeline.outcome import Outcome
from gemstead.pipeline.prepare import PrepareRules

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
        self._recommended = recommended_sampling(setup.store, plan.model)
        self._max_body_bytes = settings.server.max_body_bytes
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
        limit = settings.server.max_concurrent_requests
        self._admission = Admission(min(plan.num_slots, limit), max(0, limit - plan.num_slots), MAX_WAIT_S)
        self.exchange = Exchange(
            admit=lambda _request: self._admission.place(),
            engine_for=self._engine_for,
            record=self._record,
            rules=PrepareRules(context_policy=settings.door.context_policy),
        )

    async def start(self) -> Engine:
        """Raises: EngineFailed, with the engine's last words; ModelMissing if the file is gone."""
        try:
            return await self.engine.ensure_ready()
        except GemsteadError as exc:
            self._failure = exc.what
            raise

    def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """As `Exchange.chat`; what the request leaves open about sampling is as the model's authors recommend."""
        return self.exchange.chat(with_recommended(request, self._recommended))

    def services(self) -> Services:
        """What the API needs of this gateway."""
        card = ModelCard(self.plan.model, self._created_s, owner="gemstead", context_length=self.plan.context_length)
        build = f"{self.installation.kind}-{self.installation.version}"
        return Services(
            chat=self.chat,
            count_tokens=self.exchange.count_tokens,
            tokenize=self.exchange.tokenize,
            embed=self.exchange.embed,
            models=lambda: (card,),
            engines=lambda: (self._status(),),
            metrics=self.metrics,
            fingerprint=lambda _model: build,
            max_body_bytes=self._max_body_bytes,
        )

    async def _engine_for(self, model: str) -> Engine:
        if model != self.plan.model:
            raise NameUnknown("model", model, [self.plan.model], param="model")
        return await self.start()

    def _record(self, outcome: Outcome) -> None:
        self.metrics.count_outcome(outcome)

    def _note_progress(self, event: ProgressEvent) -> None:
        self._load = event
        self._tell(event)

    def _status(self) -> EngineStatus:
        load, state = self._load, self.engine.state
        share = load.done / load.total if load and load.total and state == "starting" else None
        reason = self._failure if state == "failed" else None
        return EngineStatus(self.plan.model, self.installation.kind, state, share, reason)


@asynccontextmanager
async def opened_gateway(
    setup: Setup, plan: Plan, installation: Installation, run_dir: Path, *, drain_s: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[Gateway]:
    """A gateway whose engine is ended on the way out, after running answers had `drain_s` to finish."""
    gateway = Gateway(setup, plan, installation, run_dir)
    try:
        yield gateway
    finally:
        await gateway.engine.stop(drain_s())


def recommended_sampling(store: Store, model: str) -> Recommended | None:
    """What the catalogue says of a model of the store; None for one it does not know."""
    manifest = store.require(model)
    entry = next((entry for entry in store.catalog.models if entry.name == manifest.model), None)
    return entry.sampling if entry else None


def with_recommended(request: ChatRequest, recommended: Recommended | None) -> ChatRequest:
    """`request`, its unset temperature, top_p and top_k filled in."""
    if recommended is None:
        return request
    asked = request.sampling
    sampling = msgspec.structs.replace(
        asked,
        temperature=recommended.temperature if asked.temperature is None else asked.temperature,
        top_p=recommended.top_p if asked.top_p is None else asked.top_p,
        top_k=recommended.top_k if asked.top_k is None else asked.top_k,
    )
    return msgspec.structs.replace(request, sampling=sampling)
