"""One verified reply out of an engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from gemstead.core.facts import ModelFacts
from gemstead.core.types import Event, Usage
from gemstead.engines.base import Engine
from gemstead.pipeline.prepare import Prepared
from gemstead.pipeline.verify import ReplyCheck


class Answer:
    """`catches` fills while the events are read."""

    def __init__(self, engine: Engine, facts: ModelFacts, prepared: Prepared) -> None:
        self.engine = engine
        self.facts = facts
        self.prepared = prepared
        self.catches: list[str] = []

    async def events(self) -> AsyncGenerator[Event]:
        """Ended by exactly one Finish. Closing it ends the work in the engine.

        Raises: EngineError for a reply that breaks its promises.
        """
        check = ReplyCheck()
        try:
            async with aclosing(self.engine.chat(self.prepared.request)) as reply:
                async for event in reply:
                    for verified in check.feed(event):
                        yield self._complete(verified)
            check.close()
        finally:
            self.catches += check.catches

    def _complete(self, event: Event) -> Event:
        """Usage also tells what the engine was not shown."""
        if isinstance(event, Usage) and self.prepared.dropped_messages:
            return msgspec.structs.replace(event, dropped_messages=self.prepared.dropped_messages)
        return event
