"""The exchange as the door calls it: under every name of the served model, with the model loaded when it is needed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext

import msgspec

from gemstead.app.names import ServedNames, with_preset
from gemstead.app.residency import KeepAlive, LoadWait
from gemstead.core.plan import Plan
from gemstead.core.types import ChatRequest, Embeddings, EmbedRequest, Event, Finish, Warning
from gemstead.engines.process import EngineProcess
from gemstead.pipeline.exchange import Exchange


class DoorFront(msgspec.Struct, frozen=True):
    """`load` loads the model that is named, or raises what keeps it from that; `complete` fills in what a request and
    the model's own record leave open.
    """

    plan: Plan
    engine: EngineProcess
    exchange: Exchange
    names: ServedNames
    keep_alive: KeepAlive
    load: Callable[[str], Awaitable[object]]
    complete: Callable[[ChatRequest], ChatRequest]
    aside: Callable[[ChatRequest], AbstractAsyncContextManager[None]] = lambda _request: nullcontext()
    """Lets in what generates nothing, as `Exchange.admit` lets in what does."""

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """As `Exchange.chat`. A request without anything to answer loads or unloads the model, and only that."""
        asked, warnings = await self._understood(request)
        if asked.is_load:
            async with self.aside(asked):
                await self._load(asked)
            yield Finish("stop")
            return
        waiting = LoadWait(self.engine)
        async with (
            self.keep_alive.hold(asked.keep_alive_s),
            aclosing(self.exchange.chat(asked)) as events,
        ):
            for warning in warnings:
                yield warning
            async for event in events:
                yield waiting.tell(event)

    async def count_tokens(self, request: ChatRequest) -> int:
        """Raises: what `aside` raises; any GemsteadError."""
        asked, _warnings = await self._understood(request)
        async with self.aside(asked), self.keep_alive.hold(None):
            return await self.exchange.count_tokens(asked)

    async def tokenize(self, model: str, text: str) -> tuple[int, ...]:
        """For a request whose tokens were counted before: that has let it in."""
        async with self.keep_alive.hold(None):
            return await self.exchange.tokenize(await self.served_name(model), text)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        asked = msgspec.structs.replace(request, model=await self.served_name(request.model))
        async with self.keep_alive.hold(request.keep_alive_s):
            return await self.exchange.embed(asked)

    async def _understood(self, request: ChatRequest) -> tuple[ChatRequest, list[Warning]]:
        """A name that means another model stays: the exchange refuses it, and records that."""
        meant = await self.names.meant_by(request.model)
        if meant is None:
            return request, []
        if request.model != self.plan.model:
            request = msgspec.structs.replace(request, model=self.plan.model)
        asked = self.complete(with_preset(request, meant.preset))
        warnings = [meant.warning] if meant.warning else []
        wanted, served = asked.wanted_context, self.plan.context_length
        if wanted is not None and wanted > served:
            message = (
                f"a context length of {wanted} is counted on, {served} is served; what is longer is not cut unsaid"
            )
            warnings.append(Warning(code="context_smaller", message=message))
        return asked, warnings

    async def served_name(self, name: str) -> str:
        """The served model's own name where `name` means it; else `name`."""
        return self.plan.model if await self.names.meant_by(name) is not None else name

    async def _load(self, asked: ChatRequest) -> None:
        async with self.keep_alive.hold(asked.keep_alive_s):
            if asked.keep_alive_s != 0 or asked.model != self.plan.model:
                await self.load(asked.model)
        await self.keep_alive.settled()
