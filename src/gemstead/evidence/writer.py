"""The one thread of a process that writes records.

What comes in while a group is committed becomes the next group: many who wait share the cost of one commit. At
durability "process" a group is committed without waiting for the disk, and `syncer` waits for it a moment later.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Literal, TypeAlias

import msgspec

from gemstead.core.errors import EvidenceUnavailable, GemsteadError
from gemstead.evidence.appender import Appender
from gemstead.evidence.sealer import Sealer
from gemstead.evidence.syncer import Syncer

logger = logging.getLogger(__name__)

Durability: TypeAlias = Literal["process", "power"]

SYNC_AFTER_S = 0.05
"""How long a commit may stay before its sync begins; what is promised is that 0.1 s after it, it is done."""
BRING_IN_AFTER_S = 0.25
"""The same where each commit is synced at once: only to keep the log short."""
SEAL_AGAIN_S = 30.0
"""After a checkpoint that could not be made."""
MAX_GROUP = 512
MAX_WAITING = 8192
"""Records that wait to be written, before their writers have to wait to bring them."""


class Order:
    """A record to append, as canonical bytes, or something else to do on the thread; and who waits for it.

    `loop` None: `future` is a thread's.
    """

    __slots__ = ("future", "loop", "work")

    def __init__(
        self,
        work: bytes | Callable[[], object],
        future: Future[Any] | asyncio.Future[Any],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self.work = work
        self.future: Any = future
        self.loop = loop


class WriterOptions(msgspec.Struct, frozen=True):
    """See `LedgerOptions`."""

    is_power_safe: bool
    checkpoint_every: int
    checkpoint_s: float


class Writer:
    """`on_note` is given each checkpoint once it is safe. What is public but not a method is only read elsewhere."""

    def __init__(
        self, appender: Appender, sealer: Sealer, options: WriterOptions, on_note: Callable[[str], None] | None
    ) -> None:
        self._appender = appender
        self.sealer = sealer
        self._options = options
        self._on_note = on_note
        self.size = sealer.size
        self.failures = 0
        self.last_error: str | None = None
        self._queue: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._is_closed = False
        self._sync_at_s: float | None = None
        """When to sync here, where the syncer could not."""
        after_s = BRING_IN_AFTER_S if options.is_power_safe else SYNC_AFTER_S
        self._syncer = Syncer(appender.database, after_s, self._ask_for_sync)
        self._seal_at_s = time.monotonic() + options.checkpoint_s
        self._seal_not_before_s = 0.0
        self._in_hand: list[Order] = []
        self._thread = threading.Thread(target=self._run, name="evidence", daemon=True)
        self._thread.start()

    def num_waiting(self) -> int:
        return self._queue.qsize()

    def has_room(self) -> bool:
        return self._queue.qsize() < MAX_WAITING

    def put(self, order: Order) -> None:
        """Raises: EvidenceUnavailable once it is closed."""
        with self._gate:
            if self._is_closed:
                raise EvidenceUnavailable("nothing can be recorded any more: the evidence is closed")
            self._queue.put(order)

    def close(self) -> None:
        """Does what waits, makes a checkpoint of it, and ends the thread."""
        with self._gate:
            if not self._is_closed:
                self._is_closed = True
                self._queue.put(None)
        self._thread.join()

    def seal(self) -> str:
        """On the thread: see `Sealer.seal`."""
        note = self.sealer.seal(time.time_ns() // 1_000_000)
        self.size = max(self.size, self.sealer.sealed_size)
        self._sync_at_s = None
        self._seal_at_s = time.monotonic() + self._options.checkpoint_s
        if self._on_note is not None:
            self._on_note(note)
        return note

    def _run(self) -> None:
        try:
            while self._take():
                self._serve()
                self._look_at_clock()
            self._finish()
        finally:
            self._syncer.close()
            self._appender.close()
            # However it ends, nobody is left waiting.
            with self._gate:
                self._is_closed = True
            left = [*self._in_hand, *self._drained()]
            settle([(order, EvidenceUnavailable("nothing can be recorded any more")) for order in left])

    def _take(self) -> bool:
        """Takes what waits in hand, up to a group; nothing once something else is due. False: it was the end."""
        due_s = self._seal_at_s if self._sync_at_s is None else min(self._seal_at_s, self._sync_at_s)
        with suppress(queue.Empty):
            order = self._queue.get(timeout=max(0.0, due_s - time.monotonic()))
            while order is not None:
                self._in_hand.append(order)
                if len(self._in_hand) >= MAX_GROUP:
                    return True
                order = self._queue.get_nowait()
            return False
        return True

    def _drained(self) -> Iterator[Order]:
        with suppress(queue.Empty):
            while True:
                if (order := self._queue.get_nowait()) is not None:
                    yield order

    def _serve(self) -> None:
        records = [(order, order.work) for order in self._in_hand if isinstance(order.work, bytes)]
        if records:
            self._append(records)
        for order in self._in_hand:
            if not isinstance(order.work, bytes):
                settle([(order, _done(order.work))])
        self._in_hand = []

    def _append(self, records: Sequence[tuple[Order, bytes]]) -> None:
        orders = [order for order, _ in records]
        try:
            group = self._appender.append([record for _, record in records], is_full=self._options.is_power_safe)
        except EvidenceUnavailable as exc:
            self._failed("records were refused", exc)
            settle([(order, EvidenceUnavailable(exc.what, why=exc.why, hint=exc.hint)) for order in orders])
            return
        self.last_error = None
        self.size = group.head.size
        settle([(order, position) for position, order in enumerate(orders, group.first)])
        self.sealer.grow(group)
        self._syncer.note()

    def _look_at_clock(self) -> None:
        now_s = time.monotonic()
        fresh = self.size - self.sealer.sealed_size
        if fresh >= self._options.checkpoint_every and now_s >= self._seal_not_before_s:
            self._try_seal(now_s)
        elif now_s >= self._seal_at_s:
            self._seal_at_s = now_s + self._options.checkpoint_s
            if fresh > 0:
                self._try_seal(now_s)
        if self._sync_at_s is not None and now_s >= self._sync_at_s:
            self._try_sync(now_s)

    def _try_seal(self, now_s: float) -> None:
        try:
            self.seal()
        except GemsteadError as exc:
            self._failed("a checkpoint could not be made", exc)
            self._seal_at_s = self._seal_not_before_s = now_s + SEAL_AGAIN_S

    def _try_sync(self, now_s: float) -> None:
        try:
            self._appender.sync()
            self._sync_at_s = None
        except EvidenceUnavailable as exc:
            self._failed("what was written is not yet safe against power loss", exc)
            self._sync_at_s = now_s + SYNC_AFTER_S

    def _ask_for_sync(self) -> None:
        """On the syncer's thread."""
        with suppress(EvidenceUnavailable):
            self.put(Order(self._sync_now, Future(), None))

    def _sync_now(self) -> None:
        self._try_sync(time.monotonic())

    def _finish(self) -> None:
        self._serve()
        if self.size > self.sealer.sealed_size:
            self._try_seal(time.monotonic())
        if self._appender.is_unsynced:
            self._try_sync(time.monotonic())

    def _failed(self, what: str, exc: GemsteadError) -> None:
        self.failures += 1
        if self.last_error != exc.what:
            logger.error("%s: %s", what, exc.what)
        self.last_error = exc.what


def settle(results: Sequence[tuple[Order, object]]) -> None:
    """Gives each who waits what became of the order: a result, or an exception. Each event loop is woken once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], object]]] = {}
    for order, result in results:
        if order.loop is None:
            _give(order.future, result)
        else:
            by_loop.setdefault(order.loop, []).append((order.future, result))
    for loop, given in by_loop.items():
        # A loop that is gone has nobody who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_give_all, given)


def _give_all(given: Sequence[tuple[asyncio.Future[Any], object]]) -> None:
    for future, result in given:
        _give(future, result)


def _give(future: Any, result: object) -> None:
    if future.done():
        return  # its writer gave up waiting
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _done(work: Callable[[], object]) -> object:
    try:
        return work()
    except GemsteadError as exc:
        return exc
