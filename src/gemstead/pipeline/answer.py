"""One verified reply out of an engine: mended, asked for again once, or refused."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import msgspec

from gemstead.core.errors import BrokenPromise, ReplyBroken
from gemstead.core.facts import ModelFacts
from gemstead.core.types import Event, Usage, Warning
from gemstead.core.units import MIB
from gemstead.engines.base import Engine
from gemstead.pipeline.catches import Catch, CatchAction
from gemstead.pipeline.prepare import Prepared
from gemstead.pipeline.retry import ask_again
from gemstead.pipeline.verify import ReplyCheck

MAX_TOKEN_CHARS = 256
"""No token of a vocabulary stands for more text; most for four characters."""


class Answer:
    """Verifies what the engine says, and asks it a second and last time if the first reply was broken.

    A reply that is not streamed is verified whole before anything of it is given out, so that all of it can still be
    retried; a streamed one can be for as long as nothing but warnings was given. A loop that cannot be retried is cut
    and ends at `length`, because what came before it may be what the caller wanted; every other broken promise is an
    error. Usage is that of the reply that was given: `catches`, which fills while the events are read, tells of the
    other.

    `watch` sees each verified event when it comes from the engine; a whole reply is given out later. A retry is seen as
    its warning.
    """

    def __init__(self, engine: Engine, facts: ModelFacts, prepared: Prepared, watch: Callable[[Event], None]) -> None:
        self.catches: list[Catch] = []
        self._engine = engine
        self._facts = facts
        self._request = prepared.request
        self._dropped_messages = prepared.dropped_messages
        self._watch = watch
        self._held: list[Event] = []
        self._has_given = False
        self._is_last_attempt = False

    async def events(self) -> AsyncGenerator[Event]:
        """Ended by exactly one Finish. Closing it ends the work in the engine.

        Raises: ReplyBroken for a reply that breaks its promises; RequestInvalid for schemas that are none; whatever the
        engine raises.
        """
        while True:
            check = self._new_check()
            try:
                async with aclosing(self._engine.chat(self._request)) as reply:
                    async for event in reply:
                        for ready in self._take(check.feed(event)):
                            yield ready
                check.close()
            except ReplyBroken as broken:
                if self._asks_again(broken):
                    continue
                self._cut(check, broken)
            break
        self._note("repaired", *check.repairs.kinds)
        for ready in self._held:
            yield ready

    def _new_check(self) -> ReplyCheck:
        return ReplyCheck(self._request, self._facts, MIB + self._engine.context_length * MAX_TOKEN_CHARS)

    def _take(self, verified: list[Event]) -> list[Event]:
        """What may be given out now."""
        if self._dropped_messages:
            verified = [self._complete(event) for event in verified]
        for event in verified:
            self._watch(event)
        if self._has_given:
            return verified
        self._held += verified
        if not self._request.is_stream or all(isinstance(event, Warning) for event in self._held):
            return []
        self._has_given = True
        ready, self._held = self._held, []
        return ready

    def _complete(self, event: Event) -> Event:
        """Usage also tells what the engine was not shown."""
        if not isinstance(event, Usage):
            return event
        return msgspec.structs.replace(event, dropped_messages=self._dropped_messages)

    def _asks_again(self, broken: ReplyBroken) -> bool:
        """Whether there is a second attempt; then it is ready to begin."""
        if self._is_last_attempt or self._has_given:
            return False
        self._is_last_attempt = True
        self._note("retried", broken.kind)
        self._request, warning = ask_again(self._request, broken.kind)
        self._watch(warning)
        self._held = [warning]
        return True

    def _cut(self, check: ReplyCheck, broken: ReplyBroken) -> None:
        """Raises: `broken`, unless it is a loop; ReplyBroken if what came before the loop is broken too."""
        try:
            if broken.kind != "repetition_loop":
                raise broken
            end = check.cut()
        except ReplyBroken as final:
            self._note("refused", final.kind)
            raise
        self._note("repaired", broken.kind)
        ready = self._take(end)
        self._held += ready

    def _note(self, action: CatchAction, *kinds: BrokenPromise) -> None:
        self.catches += [Catch(kind, action) for kind in kinds]
