"""The engine that turns texts into vectors: beside the one that answers, and only once somebody asks for vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from gemstead.api.readiness import EngineStatus
from gemstead.app.candidates import stored_candidate
from gemstead.app.setup import Setup, this_machine
from gemstead.core.errors import EngineRefused
from gemstead.core.plan import Plan
from gemstead.engines.base import Engine, Installation
from gemstead.engines.process import EngineChange, EngineProcess, ProcessOptions
from gemstead.planner.embeddings import make_embed_plan


class EmbeddingEngine:
    """At most one process for the model of `chat`; `stop()` it with the gateway.

    `is_chat_loaded` says whether the engine that answers holds the weights now, which this one then shares. Flags the
    user gave for that one are not for this one.
    """

    def __init__(
        self,
        setup: Setup,
        chat: Plan,
        installation: Installation,
        run_dir: Path,
        is_chat_loaded: Callable[[], bool],
        on_change: Callable[[EngineChange], None] = lambda _change: None,
    ) -> None:
        self._setup = setup
        self._chat = chat
        self._installation = installation
        self._run_dir = run_dir
        self._is_chat_loaded = is_chat_loaded
        self._on_change = on_change
        self._process: EngineProcess | None = None
        self._planning = asyncio.Lock()

    async def ensure_ready(self) -> Engine:
        """Starts it at the first call; later calls find it running, or plan it anew if it failed.

        Raises: EngineRefused if this kind of engine gives no embeddings; DoesNotFit if there is no memory for it now;
        EngineFailed.
        """
        if self._setup.kind.embed is None:
            raise EngineRefused(f"{self._setup.kind.title} gives no embeddings", hint="gemstead engine list")
        async with self._planning:
            if self._process is None or self._process.state == "failed":
                # Planning looks at the machine and reads the file's header.
                self._process = self._new_process(await asyncio.to_thread(self._plan))
        return await self._process.ensure_ready()

    def status(self) -> EngineStatus | None:
        """None unless it runs: whether the server can answer does not depend on it."""
        if self._process is None or self._process.state != "ready":
            return None
        return EngineStatus(self._chat.model, f"{self._installation.kind} (embeddings)", "ready")

    async def stop(self, drain_s: float) -> None:
        """Ends it; the next call for it plans anew, since memory may be scarcer by then."""
        if self._process is not None:
            await self._process.stop(drain_s)
            self._process = None

    def _plan(self) -> Plan:
        loaded, store = self._setup.loaded, self._setup.store
        chat = self._chat if self._is_chat_loaded() else msgspec.structs.replace(self._chat, memory=())
        return make_embed_plan(
            stored_candidate(store, store.require(self._chat.model)),
            this_machine(loaded),
            chat,
            loaded.settings.embeddings.context_length,
            loaded.settings.plan.headroom,
        )

    def _new_process(self, plan: Plan) -> EngineProcess:
        loaded = self._setup.loaded
        return EngineProcess(
            self._setup.kind,
            self._installation,
            plan,
            run_dir=self._run_dir,
            log_dir=loaded.paths.logs,
            options=ProcessOptions(
                environ=loaded.environ, start_s=loaded.settings.engine.start_timeout_s, on_change=self._on_change
            ),
        )
