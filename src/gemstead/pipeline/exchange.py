"""The one path every chat request takes, whatever dialect it came in and whatever engine answers: top to bottom."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

import msgspec

from gemstead.core.errors import GemsteadError
from gemstead.core.facts import ModelFacts
from gemstead.core.types import ChatRequest, Embeddings, EmbedRequest, Event, Finish, Usage
from gemstead.engines.base import Engine
from gemstead.pipeline.answer import Answer
from gemstead.pipeline.embed import embed_texts
from gemstead.pipeline.grant import Grant
from gemstead.pipeline.outcome import Outcome, Trace
from gemstead.pipeline.prepare import PrepareRules, count_prompt, prepare
from gemstead.pipeline.recording import UNRECORDED, Entry, Recorder, Unrecorded
from gemstead.pipeline.screen import GuardRules


class Exchange(msgspec.Struct, frozen=True):
    """The functions the path is wired with; it holds no state of its own.

    `admit` holds a place while its block runs, and what it grants is settled by the trace at the end (PolicyRefused,
    QuotaExceeded, EngineBusy). `engine_for` gives the ready engine of a model
    (NameUnknown, EngineFailed), `embed_engine_for` the one that embeds; None: the same. `record` is called exactly once
    per request, however it ended, before its last byte leaves. `facts_of` says what is known of a model it serves.
    `recorder` writes the evidence; None: none is kept.
    """

    admit: Callable[[ChatRequest | EmbedRequest], AbstractAsyncContextManager[Grant]]
    engine_for: Callable[[str], Awaitable[Engine]]
    record: Callable[[Outcome], None]
    embed_engine_for: Callable[[str], Awaitable[Engine]] | None = None
    facts_of: Callable[[str], ModelFacts] = lambda _model: ModelFacts()
    rules: PrepareRules = PrepareRules()
    guards: GuardRules = GuardRules()
    recorder: Callable[[], Recorder | None] = lambda: None
    clock: Callable[[], float] = time.perf_counter

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Events of the reply, ended by exactly one Finish; pulled one by one, so a slow reader slows the engine.

        Closing it, or cancelling its reader, cancels the generation in the engine.

        Raises: any GemsteadError; before the first event has been given, the whole request may be answered with it.
        """
        async with self._recorded(request) as (trace, entry), self.admit(request) as grant:
            trace.admitted_s = self.clock()
            grant.follow(trace)
            engine = await self.engine_for(request.model)
            facts = self.facts_of(request.model)
            screening = self.guards.screening(grant.decision)
            trace.verdicts = screening.verdicts
            asked = await screening.ask(grant.narrowed(request))
            prepared = await prepare(engine, facts, self.rules, asked)
            trace.num_neutralised, trace.template = prepared.num_neutralised, facts.template_sha256
            answer = Answer(engine, facts, prepared, lambda event: trace.see(event, self.clock()))
            trace.serve(engine.kind, answer.catches)
            warnings = (*grant.warnings, *prepared.warnings)
            async with aclosing(entry.kept(warnings, screening.answer(answer.events()))) as events:
                async for event in events:
                    yield event

    async def count_tokens(self, request: ChatRequest) -> int:
        """Tokens of the prompt as `chat` prepares it, template included, every turn. Raises: any GemsteadError."""
        engine = await self.engine_for(request.model)
        return await count_prompt(engine, self.facts_of(request.model), self.rules, request)

    async def tokenize(self, model: str, text: str) -> tuple[int, ...]:
        """The tokens of a plain text. Raises: any GemsteadError."""
        engine = await self.engine_for(model)
        return await engine.tokenize(text)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """One vector a text, each of length 1; admitted and recorded as `chat` is. Raises: any GemsteadError."""
        async with self._recorded(request) as (trace, entry), self.admit(request) as grant:
            trace.admitted_s = self.clock()
            grant.follow(trace)
            engine = await (self.embed_engine_for or self.engine_for)(request.model)
            trace.serve(engine.kind, [])
            screening = self.guards.screening(grant.decision)
            trace.verdicts = screening.verdicts
            asked = await screening.ask_to_embed(request)
            entry.open()
            embeddings, trace.num_neutralised = await embed_texts(engine, self.facts_of(request.model), asked)
            trace.see(Usage(embeddings.prompt_tokens, completion_tokens=0), self.clock())
            trace.see(Finish("stop"), self.clock())
            await entry.close(Finish("stop"))
            return embeddings

    @asynccontextmanager
    async def _recorded(self, request: ChatRequest | EmbedRequest) -> AsyncIterator[tuple[Trace, Entry | Unrecorded]]:
        """Notes how the block ended, and records it whatever that was."""
        trace = Trace(request.model, self.clock())
        entry: Entry | Unrecorded = UNRECORDED
        try:
            if (recorder := self.recorder()) is not None:
                entry = recorder.entry(request, trace, self.clock)
            yield trace, entry
        except GemsteadError as exc:
            trace.fail(exc.code)
            raise
        except Exception:
            trace.fail(GemsteadError.code)
            raise
        finally:
            outcome = trace.outcome(self.clock())
            self.record(outcome)
            await entry.end(outcome)
