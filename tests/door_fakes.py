"""A fake engine inside the test's own process, and the door around it. For faults only: it computes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

from gemstead.api.asgi import build_api
from gemstead.api.dialect import ModelCard
from gemstead.api.metrics import DoorMetrics
from gemstead.api.readiness import EngineStatus
from gemstead.api.server import listen, run_server
from gemstead.api.services import Services
from gemstead.core.errors import NameUnknown
from gemstead.core.facts import ModelFacts
from gemstead.core.types import (
    ChatRequest,
    Embeddings,
    EmbedRequest,
    Event,
    Finish,
    Message,
    TextDelta,
    TextPart,
    Usage,
)
from gemstead.engines.base import Engine
from gemstead.pipeline.admission import Admission
from gemstead.pipeline.exchange import Exchange
from gemstead.pipeline.outcome import Outcome

ANSWER: tuple[Event, ...] = (
    TextDelta("Hello"),
    TextDelta(" there"),
    Usage(prompt_tokens=5, completion_tokens=2, cached_tokens=1),
    Finish("stop"),
)

NO_FACTS = ModelFacts()
"""A model of which nothing is known."""


class FakeEngine:
    """Gives `events` in order, raising those that are exceptions and waiting for those that are asyncio Events.

    `is_closed` is set when its generator ends, however it ends; `num_given` counts what was pulled out of it, and
    `has_given` is set at the first.
    """

    model = "fake"
    kind = "fake"

    def __init__(self, *events: Any, context_length: int = 4096, num_tokens: int = 5, is_endless: bool = False) -> None:
        self.events = events or ANSWER
        self.context_length = context_length
        self.num_tokens = num_tokens
        self.is_endless = is_endless
        self.requests: list[ChatRequest] = []
        self.counted: list[ChatRequest] = []
        self.num_given = 0
        self.has_given = asyncio.Event()
        self.is_closed = asyncio.Event()

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        self.requests.append(request)
        try:
            while True:
                for event in self.events:
                    if isinstance(event, asyncio.Event):
                        await event.wait()
                    elif isinstance(event, Exception):
                        raise event
                    else:
                        self.num_given += 1
                        self.has_given.set()
                        yield event
                        await asyncio.sleep(0)
                if not self.is_endless:
                    return
        finally:
            self.is_closed.set()

    async def count_tokens(self, request: ChatRequest) -> int:
        self.counted.append(request)
        return self.num_tokens

    async def tokenize(self, text: str) -> tuple[int, ...]:
        return tuple(range(len(text.split())))

    async def embed(self, request: EmbedRequest) -> Embeddings:
        return Embeddings(tuple((1.0, 0.0) for _ in request.texts), prompt_tokens=self.num_tokens)


class FakeReplies(FakeEngine):
    """Gives the next of `replies` at each request, and the last one ever after; `is_asked_again` from the second on."""

    def __init__(self, *replies: tuple[Any, ...]) -> None:
        super().__init__(*replies[0])
        self.replies = replies
        self.is_asked_again = asyncio.Event()

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        self.events = self.replies[min(len(self.requests), len(self.replies) - 1)]
        if self.requests:
            self.is_asked_again.set()
        async with aclosing(super().chat(request)) as events:
            async for event in events:
                yield event


def ask(text: str = "hi", model: str = "fake", **fields: Any) -> ChatRequest:
    return ChatRequest(model=model, messages=(Message("user", (TextPart(text),)),), **fields)


def fake_exchange(
    engine: Engine,
    record: Callable[[Outcome], None] = lambda _outcome: None,
    admit: Callable[[ChatRequest], AbstractAsyncContextManager[None]] | None = None,
    facts: ModelFacts = NO_FACTS,
) -> Exchange:
    async def engine_for(model: str) -> Engine:
        if model != "fake":
            raise NameUnknown("model", model, ["fake"], param="model")
        return engine

    admission = Admission(max_running=64, max_waiting=0, wait_limit_s=1.0)
    return Exchange(
        admit=admit or (lambda _request: admission.place()),
        engine_for=engine_for,
        record=record,
        facts_of=lambda _model: facts,
    )


def fake_services(engine: Engine, facts: ModelFacts = NO_FACTS, **fields: Any) -> Services:
    metrics = DoorMetrics()
    exchange = fake_exchange(engine, metrics.count_outcome, facts=facts)
    given: dict[str, Any] = {
        "chat": exchange.chat,
        "count_tokens": exchange.count_tokens,
        "tokenize": exchange.tokenize,
        "embed": exchange.embed,
        "models": lambda: (ModelCard("fake", 1700000000, "tests", 4096), ModelCard("org/fake:e2b@tiny", 1, "tests")),
        "engines": lambda: (EngineStatus("fake", "fake engine", "ready"),),
        "metrics": metrics,
    }
    return Services(**(given | fields))


@asynccontextmanager
async def serving(services: Services, *, drain_limit_s: int = 5) -> AsyncIterator[str]:
    """The door on a free loopback port; gives its URL, and drains at the end."""
    stop = asyncio.Event()
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    listener = listen("127.0.0.1", 0)
    server = asyncio.create_task(
        run_server(build_api(services), listener, stop=stop, on_started=started.set_result, drain_limit_s=drain_limit_s)
    )
    try:
        yield f"http://127.0.0.1:{await started}"
    finally:
        stop.set()
        await server
