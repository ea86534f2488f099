"""The record of what happened, as those see it who write it: a record goes in, and is safe when the call returns."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from gemstead.core.errors import EvidenceUnavailable, GemsteadError
from gemstead.evidence.appender import Appender
from gemstead.evidence.canonical import Value, canonical
from gemstead.evidence.second_place import DeliveryHealth, SecondPlace
from gemstead.evidence.writer import Durability, Order, Writer, WriterOptions
from gemstead.store.database import open_database

if TYPE_CHECKING:
    from gemstead.evidence.identity import Identity

Record: TypeAlias = dict[str, Value]

ROOM_TIMEOUT_S = 10.0
ROOM_LOOK_S = 0.005
DELIVERY_WAIT_S = 5.0
"""How long closing waits for the second place."""


class LedgerOptions(msgspec.Struct, frozen=True):
    """`durability`: what a record is safe against before its writer goes on. "process": the death of this process, and
    0.1 s later a power cut too; "power": both. A checkpoint is made each `checkpoint_every` records, or after
    `checkpoint_s` seconds if there are new ones, and at the end. `second_place`: a file or an HTTP address.
    """

    durability: Durability = "process"
    checkpoint_every: int = 1000
    checkpoint_s: float = 3600.0
    second_place: str | None = None


class LedgerHealth(msgspec.Struct, frozen=True):
    """`size`: records in the chain, as far as this process saw; `sealed_size`: of the last checkpoint. `failures`:
    groups of records, or checkpoints, that could not be written; `last_error` None: the last could.
    """

    size: int
    sealed_size: int
    waiting: int
    failures: int
    last_error: str | None
    second_place: DeliveryHealth | None


class Ledger:
    """Made by `opened_ledger`. All calls may come from any thread."""

    def __init__(self, writer: Writer, second_place: SecondPlace | None) -> None:
        self._writer = writer
        self._second_place = second_place

    async def write(self, record: Record) -> int:
        """Appends `record`; its position, once it is as safe as `durability` says.

        A caller that is cancelled gives up waiting, not the record. Raises: EvidenceUnavailable; ValueError for what
        no record can hold.
        """
        loop = asyncio.get_running_loop()
        order = Order(canonical(record), loop.create_future(), loop)
        deadline_s = loop.time() + ROOM_TIMEOUT_S
        while not self._writer.has_room():
            _check_time(loop.time(), deadline_s)
            await asyncio.sleep(ROOM_LOOK_S)
        self._writer.put(order)
        return int(await order.future)

    def submit(self, record: Record) -> asyncio.Future[int]:
        """As `write`, for who has other things to do meanwhile: on an event loop, and at once or not at all.

        Raises: EvidenceUnavailable, also if there is no room; ValueError. The future raises as `write` does.
        """
        loop = asyncio.get_running_loop()
        order = Order(canonical(record), loop.create_future(), loop)
        if not self._writer.has_room():
            raise EvidenceUnavailable("too many records wait to be written", hint="is the disk very slow?")
        self._writer.put(order)
        future: asyncio.Future[int] = order.future
        return future

    def write_now(self, record: Record) -> int:
        """As `write`, for a thread or a command; an event loop would stand still for as long."""
        order = Order(canonical(record), Future(), None)
        deadline_s = time.monotonic() + ROOM_TIMEOUT_S
        while not self._writer.has_room():
            _check_time(time.monotonic(), deadline_s)
            time.sleep(ROOM_LOOK_S)
        self._writer.put(order)
        return int(order.future.result())

    def checkpoint_now(self) -> str:
        """The signed note of all that is in the chain now. It goes to the second place too, which nobody waits for.

        Raises: EvidenceUnavailable; FileDamaged, Missing or SettingInvalid if the records or the key are not right.
        """
        return str(self._call(self._writer.seal))

    def named_key(self) -> bytes:
        """The public key that the chain names last. Raises: EvidenceUnavailable, FileDamaged."""
        return bytes(self._call(self._writer.sealer.named_key))

    def health(self) -> LedgerHealth:
        writer = self._writer
        place = None if self._second_place is None else self._second_place.health()
        return LedgerHealth(
            writer.size, writer.sealer.sealed_size, writer.num_waiting(), writer.failures, writer.last_error, place
        )

    def close(self) -> None:
        """Writes what waits, makes a last checkpoint, and gives the second place a moment."""
        self._writer.close()
        if self._second_place is not None:
            self._second_place.close(DELIVERY_WAIT_S)

    def _call(self, work: Callable[[], object]) -> Any:
        """What `work` gives on the writer's thread, after all that was brought before it."""
        order = Order(work, Future(), None)
        self._writer.put(order)
        return order.future.result()


@contextmanager
def opened_ledger(path: Path, identity: Identity, options: LedgerOptions) -> Iterator[Ledger]:
    """The ledger in the database `path`, made and begun if there is none. Several processes may have it open.

    Raises: FileDamaged if the records since the last checkpoint are not those that were written, or `identity` is not
    the one that the chain names; SettingInvalid; EvidenceUnavailable.
    """
    from gemstead.evidence.sealer import Sealer

    appender = Appender(open_database(path, "evidence"))
    try:
        appender.begin(canonical(begun_record(identity, time.time_ns() // 1_000_000)))
        sealer = Sealer(appender, identity)
        sealer.open()
    except GemsteadError:
        appender.close()
        raise
    place = None if options.second_place is None else SecondPlace(options.second_place)
    asked = WriterOptions(options.durability == "power", options.checkpoint_every, options.checkpoint_s)
    ledger = Ledger(Writer(appender, sealer, asked, on_note=None if place is None else place.put), place)
    try:
        yield ledger
    finally:
        ledger.close()


def begun_record(identity: Identity, at_ms: int) -> Record:
    """The first record of a chain: who signs its checkpoints."""
    public_key = base64.b64encode(identity.public).decode()
    return {"v": 1, "kind": "evidence.begun", "at_ms": at_ms, "origin": identity.origin, "public_key": public_key}


def _check_time(now_s: float, deadline_s: float) -> None:
    if now_s >= deadline_s:
        raise EvidenceUnavailable(
            f"the evidence was not written in {ROOM_TIMEOUT_S:.0f} s: too much waits",
            hint="see that the disk of the data folder is not full, and how busy it is",
        )
