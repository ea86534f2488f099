"""No record, no answer: what one exchange leaves in the evidence, and what has to wait for it.

The opening record goes to the ledger while the engine works, and nothing of the answer leaves before it is safe; the
Finish does not leave before the closing one is. An exchange whose records cannot be written is refused.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias, get_args

import msgspec

from gemstead.access.policy import Decision
from gemstead.core.errors import EvidenceUnavailable, GemsteadError
from gemstead.core.types import ChatRequest, EmbedRequest, Event, Finish, FinishReason, Warning
from gemstead.evidence import records
from gemstead.evidence.pseudonyms import KeyedHash, Pseudonyms
from gemstead.evidence.records import Closing, Opening, Record
from gemstead.evidence.tallies import Tallies
from gemstead.pipeline.fold import FoldedReply, ReplyFold
from gemstead.pipeline.marks import ReplyMarks, is_long, prompt_pieces
from gemstead.pipeline.outcome import Outcome, Trace

logger = logging.getLogger(__name__)

MAX_UNWRITTEN = 1024
"""Records under way at once. A ledger that is slower than clients leave must not fill the memory."""

Written: TypeAlias = Literal["opening", "closing", "event"]

OIDC_HOLDER = "oidc_"
"""How the ids of callers with a token of an identity provider begin."""

WRITTEN: tuple[Written, ...] = get_args(Written)


class Writer(Protocol):
    """The ledger. `submit` raises EvidenceUnavailable; so does the future, which has the record's position once that
    is safe. Cancelling it takes nothing back.
    """

    def submit(self, record: Record) -> asyncio.Future[int]: ...


class ContentKeeper(Protocol):
    """Keeps texts apart, where the policy says so. `opened` is the position of the opening record, `label` the data
    label of the request.
    """

    def wants(self, decision: Decision | None) -> bool: ...

    async def keep(
        self,
        request: ChatRequest | EmbedRequest,
        decision: Decision | None,
        reply: FoldedReply,
        opened: int,
        label: str,
    ) -> str:
        """The SHA-256 of the ciphertext. What it raises refuses the answer."""
        ...


class RecordWatch(Protocol):
    """What is counted: records that are safe, how long an answer stood still for one, records that were not written."""

    def count_record(self, what: Written) -> None: ...

    def count_record_wait(self, what: Written, wait_s: float) -> None: ...

    def count_record_failure(self, what: Written) -> None: ...


class Served(msgspec.Struct, frozen=True):
    """What answers here, as the records call it: this run of gemstead, its engine's build, its model's SHA-256."""

    run: str
    engine_build: str | None = None
    model_digest: str | None = None


class Names(msgspec.Struct, frozen=True):
    """How people and texts are called in a record."""

    people: Pseudonyms
    texts: KeyedHash

    def key(self, key_id: str | None, at_s: float) -> str | None:
        """A key's own id; of a token's holder a pseudonym: the id they go by is made from their name at the provider,
        without a key, and for good.
        """
        return self.people.of(key_id, at_s) if key_id is not None and key_id.startswith(OIDC_HOLDER) else key_id


class Recorder:
    """Writes what exchanges leave. `clock` is Unix time in seconds."""

    def __init__(
        self,
        ledger: Writer,
        names: Names,
        served: Served,
        watch: RecordWatch,
        *,
        content: ContentKeeper | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.names = names
        self.served = served
        self.watch = watch
        self.content = content
        self.clock = clock
        self._ledger = ledger
        self._under_way: set[asyncio.Future[Any]] = set()
        self._refused: Tallies[tuple[str | None, str]] = Tallies(partial(_refusal, names), (None, "other"))

    def entry(self, request: ChatRequest | EmbedRequest, trace: Trace, clock: Callable[[], float]) -> Entry:
        return Entry(self, request, trace, clock)

    def write(self, what: Written, record: Record) -> asyncio.Future[int]:
        """On its way when this returns. Raises: EvidenceUnavailable; so does the future, which nobody may cancel."""
        try:
            future = self._ledger.submit(record)
        except EvidenceUnavailable:
            self.watch.count_record_failure(what)
            raise
        self._under_way.add(future)
        future.add_done_callback(partial(self._written, what))
        return future

    def note(self, record: Record) -> None:
        """Writes a record that no answer waits for; one that cannot be written is told in the log."""
        try:
            self.write("event", record)
        except EvidenceUnavailable as exc:
            logger.error("%s was not recorded: %s", record["kind"], exc)

    def count_refusal(self, key: str | None, code: str) -> None:
        """Of a request that came to no engine; those of some seconds together are one record."""
        self._refused.add((key, code), self.clock())

    def flush(self) -> None:
        """Writes what was only counted so far; nobody waits for it. Raises: SettingInvalid if nobody can be named."""
        for record in self._refused.take(self.clock()):
            self.note(record)

    async def settle(self) -> None:
        """Until everything that is under way is written, or has failed."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def check_room(self) -> None:
        """Raises: EvidenceUnavailable."""
        if len(self._under_way) >= MAX_UNWRITTEN:
            raise EvidenceUnavailable(
                f"{MAX_UNWRITTEN} records wait to be written: no more is answered until they are",
                hint="gemstead evidence verify; is the disk full, or very slow?",
            )

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Goes on even if nobody waits for it any more."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._end)
        return task

    def _written(self, what: Written, future: asyncio.Future[int]) -> None:
        if self._end(future) is None:
            self.watch.count_record(what)
            return
        self.watch.count_record_failure(what)
        if what == "event":
            logger.error("an event was not recorded: %s", future.exception())

    def _end(self, future: asyncio.Future[Any]) -> BaseException | None:
        """Also marks its error as seen, for the case that nobody waits any more."""
        self._under_way.discard(future)
        return None if future.cancelled() else future.exception()


class Entry:
    """What one exchange leaves; it looks at `trace` when it is opened and when it is closed."""

    def __init__(
        self,
        recorder: Recorder,
        request: ChatRequest | EmbedRequest,
        trace: Trace,
        clock: Callable[[], float],
    ) -> None:
        self._recorder = recorder
        self._request = request
        self._trace = trace
        self._clock = clock
        self._opening: Opening | None = None
        self._opened: asyncio.Future[int] | None = None
        self._closed: asyncio.Future[Any] | None = None
        self._marks = ReplyMarks(recorder.names.texts)
        self._text: ReplyFold | None = None

    def open(self) -> None:
        """From here on the engine may be asked. Raises: EvidenceUnavailable if too much waits already."""
        recorder = self._recorder
        recorder.check_room()
        if recorder.content is not None and recorder.content.wants(self._trace.decision):
            self._text = ReplyFold()
        pieces = prompt_pieces(self._request)
        if is_long(pieces):
            self._opened = recorder.start(self._write_long(pieces))
        else:
            self._opened = self._write_opening(recorder.names.texts.of(pieces))

    async def kept(self, warnings: Sequence[Warning], reply: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """The warnings and the reply, each event once it may leave. Raises: EvidenceUnavailable; as `reply` does."""
        self.open()
        finish: Finish | None = None
        is_safe = False
        async with aclosing(reply) as events:
            async for event in events:
                if not is_safe:
                    await self.safe()
                    is_safe = True
                    for warning in warnings:
                        yield warning
                if isinstance(event, Finish):
                    finish = event
                    continue
                self._see(event)
                yield event
        assert finish is not None, "every reply ends with a Finish"
        await self.close(finish)
        yield finish

    async def safe(self) -> None:
        """Until the opening record is. Raises: EvidenceUnavailable."""
        assert self._opened is not None, "`open` comes first"
        await self._waited("opening", self._opened)

    async def close(self, finish: Finish) -> None:
        """Until the closing record is safe: only then the end may be told. Raises: EvidenceUnavailable."""
        await self._waited("closing", self._begin_closing(self._trace.outcome(self._clock()), finish.reason))

    async def end(self, outcome: Outcome) -> None:
        """The exchange is over, in whatever way. Never raises: an error that ended it is told, not this.

        Nobody waits for the record of a client that left.
        """
        if self._closed is not None:
            return
        if self._opened is None:
            self._recorder.count_refusal(self._request.origin.caller.key_id, outcome.error_code or "cancelled")
            return
        with suppress(EvidenceUnavailable):
            closed = self._begin_closing(outcome, outcome.finish_reason)
            if outcome.finish_reason != "cancelled":
                await asyncio.wait([closed])

    async def _waited(self, what: Written, future: asyncio.Future[Any]) -> None:
        """Who waits may be cancelled; the record is written all the same."""
        begin_s = time.perf_counter()
        await asyncio.shield(future)
        self._recorder.watch.count_record_wait(what, time.perf_counter() - begin_s)

    def _see(self, event: Event) -> None:
        self._marks.see(event)
        if self._text is not None:
            self._text.add(event)

    async def _write_long(self, pieces: list[bytes]) -> int:
        """In a thread: all other streams would stand still."""
        return await self._write_opening(await asyncio.to_thread(self._recorder.names.texts.of, pieces))

    def _write_opening(self, prompt: str) -> asyncio.Future[int]:
        at_s = self._recorder.clock()
        try:
            self._opening = self._described(at_s, prompt)
        except GemsteadError as exc:
            self._recorder.watch.count_record_failure("opening")
            raise EvidenceUnavailable(f"nobody can be named in the record: {exc.what}", hint=exc.hint) from exc
        return self._recorder.write("opening", records.exchange_opened(self._opening, at_s))

    def _described(self, at_s: float, prompt: str) -> Opening:
        request, trace = self._request, self._trace
        origin, decision, served = request.origin, trace.decision, self._recorder.served
        caller = origin.caller
        who = caller.owner or caller.key_id
        people = self._recorder.names.people
        return Opening(
            run=served.run,
            exchange=origin.request_id,
            action="chat" if isinstance(request, ChatRequest) else "embed",
            model=request.model,
            dialect=origin.dialect,
            key=self._recorder.names.key(caller.key_id, at_s),
            actor=people.of(who, at_s) if who else None,
            user=people.of(f"{who or ''}\x1f{request.user}", at_s) if request.user else None,
            address=origin.address,
            label=trace.label or origin.label,
            model_digest=served.model_digest,
            engine=trace.engine,
            engine_build=served.engine_build,
            template=trace.template,
            policy=decision.sha256 if decision else None,
            rules=decision.rule_ids if decision else (),
            route_to=trace.engine,
            prompt=prompt,
        )

    def _begin_closing(self, outcome: Outcome, reason: FinishReason) -> asyncio.Future[Any]:
        """Raises: EvidenceUnavailable."""
        assert self._opened is not None, "`open` comes first"
        if self._text is None and self._opened.done():
            self._closed = self._write_closed(self._opened.result(), _closing(outcome, reason, self._marks))
        else:
            self._closed = self._recorder.start(self._write_closing(self._opened, outcome, reason))
        return self._closed

    async def _write_closing(self, opened: asyncio.Future[int], outcome: Outcome, reason: FinishReason) -> None:
        position = await opened
        closing = _closing(outcome, reason, self._marks)
        try:
            content = await self._keep_text(position, reason)
        except GemsteadError as exc:
            # What the policy says must be kept, and cannot be, ends the exchange; that is recorded too.
            await self._write_closed(position, msgspec.structs.replace(closing, status="error", error=exc.code))
            raise
        await self._write_closed(position, msgspec.structs.replace(closing, content=content) if content else closing)

    def _write_closed(self, position: int, closing: Closing) -> asyncio.Future[int]:
        assert self._opening is not None, "it was written"
        record = records.exchange_closed(self._opening, position, closing, self._recorder.clock())
        return self._recorder.write("closing", record)

    async def _keep_text(self, position: int, reason: FinishReason) -> str | None:
        """None where nothing is to be kept."""
        content = self._recorder.content
        if self._text is None or content is None:
            return None
        self._text.add(Finish(reason))
        trace = self._trace
        return await content.keep(self._request, trace.decision, self._text.reply(), position, trace.label)


class Unrecorded:
    """In the place of an entry where no evidence is kept."""

    def open(self) -> None:
        return None

    async def kept(self, warnings: Sequence[Warning], reply: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        async with aclosing(reply) as events:
            for warning in warnings:
                yield warning
            async for event in events:
                yield event

    async def safe(self) -> None:
        return None

    async def close(self, _finish: Finish) -> None:
        return None

    async def end(self, _outcome: Outcome) -> None:
        return None


UNRECORDED = Unrecorded()


def _refusal(names: Names, group: tuple[str | None, str], num: int, first_s: float, at_s: float) -> Record:
    key, code = group
    named = names.key(key, first_s)
    return records.exchange_refused(named, code, num, first_s, at_s)


def _closing(outcome: Outcome, reason: FinishReason, marks: ReplyMarks) -> Closing:
    usage = outcome.usage
    return Closing(
        status=reason,
        error=outcome.error_code,
        # Each once: a guard may have seen the same kind of thing in a thousand places.
        verdicts=tuple(dict.fromkeys(f"{verdict.rule}:{verdict.action}" for verdict in outcome.verdicts)),
        catches=tuple(f"{catch.kind}:{catch.action}" for catch in outcome.catches),
        tools=marks.tools(),
        prompt_tokens=usage.prompt_tokens if usage else None,
        cached_tokens=usage.cached_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        reasoning_tokens=usage.reasoning_tokens if usage else None,
        wait_s=outcome.wait_s,
        ttft_s=outcome.ttft_s,
        total_s=outcome.duration_s,
        reply=marks.reply(),
        reasoning=marks.reasoning(),
        calls=marks.calls(),
        num_dropped=usage.dropped_messages if usage else 0,
        num_neutralised=outcome.num_neutralised,
    )
