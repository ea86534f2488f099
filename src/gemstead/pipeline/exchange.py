"""The one path every chat request takes, whatever dialect it came in and whatever engine answers: top to bottom."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing

import msgspec

from gemstead.core.errors import GemsteadError
from gemstead.core.facts import ModelFacts
from gemstead.core.types import ChatRequest, Embeddings, EmbedRequest, Event
from gemstead.engines.base import Engine
from gemstead.pipeline.answer import Answer
from gemstead.pipeline.outcome import Outcome, Trace
from gemstead.pipeline.prepare import PrepareRules, prepare


class Exchange(msgspec.Struct, frozen=True):
    """The functions the path is wired with; it holds no state of its own.

    `admit` holds a place while its block runs (EngineBusy); `engine_for` gives the ready engine of a model
    (NameUnknown, EngineFailed); `record` is called exactly once per request, however it ended, before its last byte
    leaves; `facts_of` says what is known of a model it serves.
    """

    admit: Callable[[ChatRequest], AbstractAsyncContextManager[None]]
    engine_for: Callable[[str], Awaitable[Engine]]
    record: Callable[[Outcome], None]
    facts_of: Callable[[str], ModelFacts] = lambda _model: ModelFacts()
    rules: PrepareRules = PrepareRules()
    clock: Callable[[], float] = time.perf_counter

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Events of the reply, ended by exactly one Finish; pulled one by one, so a slow reader slows the engine.

        Closing it, or cancelling its reader, cancels the generation in the engine.

        Raises: any GemsteadError; before the first event has been given, the whole request may be answered with it.
        """
        trace = Trace(request.model, self.clock())
        try:
            async with self.admit(request):
                trace.admitted_s = self.clock()
                engine = await self.engine_for(request.model)
                facts = self.facts_of(request.model)
                prepared = await prepare(engine, facts, self.rules, request)
                for warning in prepared.warnings:
                    yield warning
                answer = Answer(engine, facts, prepared)
                trace.serve(engine.kind, answer.catches)
                async with aclosing(answer.events()) as events:
                    async for event in events:
                        trace.see(event, self.clock())
                        yield event
        except GemsteadError as exc:
            trace.fail(exc.code)
            raise
        except Exception:
            trace.fail(GemsteadError.code)
            raise
        finally:
            self.record(trace.outcome(self.clock()))

    async def count_tokens(self, request: ChatRequest) -> int:
        """Tokens of the prompt that `chat` would send, template included. Raises: any GemsteadError."""
        engine = await self.engine_for(request.model)
        return await engine.count_tokens(request)

    async def tokenize(self, model: str, text: str) -> tuple[int, ...]:
        """The tokens of a plain text. Raises: any GemsteadError."""
        engine = await self.engine_for(model)
        return await engine.tokenize(text)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Raises: any GemsteadError."""
        engine = await self.engine_for(request.model)
        return await engine.embed(request)
