"""One engine behind one exchange: what `run`, `chat` and `serve` have in common."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from gemstead.api.dialect import ModelCard
from gemstead.api.metrics import DoorMetrics
from gemstead.api.readiness import EngineStatus
from gemstead.api.services import Services
from gemstead.app.setup import Setup
from gemstead.core.errors import EngineFailed, NameUnknown
from gemstead.core.plan import Plan
from gemstead.core.progress import ProgressEvent
from gemstead.core.types import ChatRequest
from gemstead.engines.base import Engine, Installation
from gemstead.engines.process import EngineProcess, ProcessOptions
from gemstead.pipeline.admission import Admission
from gemstead.pipeline.exchange import Exchange
from gemstead.pipeline.outcome import Outcome

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
        )

    async def start(self) -> Engine:
        """Raises: EngineFailed, with the engine's last words."""
        try:
            return await self.engine.ensure_ready()
        except EngineFailed as exc:
            self._failure = exc.what
            raise

    def services(self) -> Services:
        """What the API needs of this gateway."""
        card = ModelCard(self.plan.model, self._created_s, owner="gemstead", context_length=self.plan.context_length)
        build = f"{self.installation.kind}-{self.installation.version}"
        return Services(
            chat=self.exchange.chat,
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


def addressed(request: ChatRequest, model: str) -> ChatRequest:
    """The same request to `model`."""
    return msgspec.structs.replace(request, model=model)
