"""The one path every chat request takes, whatever dialect it came in and whatever engine answers: top to bottom."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing

import msgspec

from gemstead.core.errors import GemsteadError
from gemstead.core.types import ChatRequest, Event
from gemstead.engines.base import Engine
from gemstead.pipeline.context import check_context
from gemstead.pipeline.outcome import Outcome, Trace
from gemstead.pipeline.verify import ReplyCheck


class Exchange(msgspec.Struct, frozen=True):
    """The functions the path is wired with; it holds no state of its own.

    `admit` holds a place while its block runs (EngineBusy); `engine_for` gives the ready engine of a model
    (NameUnknown, EngineFailed); `record` is called exactly once per request, however it ended, before its last byte
    leaves.
    """

    admit: Callable[[ChatRequest], AbstractAsyncContextManager[None]]
    engine_for: Callable[[str], Awaitable[Engine]]
    record: Callable[[Outcome], None]
    clock: Callable[[], float] = time.perf_counter

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Events of the reply, ended by exactly one Finish; pulled one by one, so a slow reader slows the engine.

        Closing it, or cancelling its reader, cancels the generation in the engine.

        Raises: any GemsteadError; before the first event has been given, the whole request may be answered with it.
        """
        trace = Trace(request.model, self.clock())
        check = ReplyCheck()
        try:
            async with self.admit(request):
                trace.admitted_s = self.clock()
                engine = await self.engine_for(request.model)
                for warning in await check_context(engine, request):
                    yield warning
                async with aclosing(engine.chat(request)) as reply:
                    async for event in reply:
                        for verified in check.feed(event):
                            trace.see(verified, self.clock())
                            yield verified
                check.close()
        except GemsteadError as exc:
            trace.fail(exc.code)
            raise
        except Exception:
            trace.fail(GemsteadError.code)
            raise
        finally:
            self.record(trace.outcome(self.clock(), tuple(check.catches)))
