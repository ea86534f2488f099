"""Responses kept in memory, so that a later request can go on from them: bounded, and gone when the process ends."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from gemstead.api.errors import ResponseUnknown

OVERHEAD_BYTES = 512
"""What one kept response costs besides its content, generously."""


class KeptResponse(msgspec.Struct, frozen=True, eq=False):
    """`body` is the response as it was sent. `given` and `made` are the items that came in and that the model gave.

    Items are JSON of the dialect's own, with ids. `previous` is the response it went on from: several may share one.
    """

    id: str
    body: bytes
    given: tuple[bytes, ...]
    made: tuple[bytes, ...]
    previous: KeptResponse | None = None

    def conversation(self) -> tuple[bytes, ...]:
        """Every item up to and with this response, oldest first."""
        turns = list(_back_from(self))
        return tuple(item for turn in reversed(turns) for item in (*turn.given, *turn.made))

    def input_items(self) -> tuple[bytes, ...]:
        """Every item this response was made of, oldest first."""
        return (*(self.previous.conversation() if self.previous else ()), *self.given)


class Memory(Protocol):
    """What is kept for one caller, as a stateful dialect sees it."""

    def find(self, response_id: str) -> KeptResponse:
        """Raises: ResponseUnknown."""
        ...

    def can_keep(self, num_bytes: int) -> bool:
        """Whether a response of that size would be kept at all."""
        ...

    def keep(self, response: KeptResponse) -> None: ...

    def now_s(self) -> int:
        """Unix time: a dialect has no clock of its own."""
        ...


class Conversations:
    """At most `max_responses` responses and `max_bytes` of content, each until it is unused for `max_idle_s`.

    The least recently used goes first. Content that several responses go on from is held, and counted, once: it goes
    with the last of them. `max_responses` 0 keeps nothing. For one event loop: no method waits.
    """

    def __init__(
        self, max_responses: int, max_bytes: int, max_idle_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.max_responses = max_responses
        self.max_bytes = max_bytes
        self.max_idle_s = max_idle_s
        self.num_bytes = 0
        self._clock = clock
        self._kept: OrderedDict[tuple[str | None, str], tuple[KeptResponse, float]] = OrderedDict()
        """Owner and id -> the response and when it was last used; least recently used first."""
        self._num_holders: dict[str, int] = {}
        """Id -> one for being kept, and one for each held response that goes on from it."""

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, owner: str | None, response_id: str) -> KeptResponse:
        """Raises: ResponseUnknown: never kept, not this owner's, deleted, or gone since."""
        self._drop_idle()
        entry = self._kept.get((owner, response_id))
        if entry is None:
            raise ResponseUnknown(f"there is no response {response_id[:100]!r}", param="response_id", hint=self._hint())
        self._kept[owner, response_id] = entry[0], self._clock()
        self._kept.move_to_end((owner, response_id))
        return entry[0]

    def can_keep(self, num_bytes: int) -> bool:
        return self.max_responses > 0 and num_bytes + OVERHEAD_BYTES <= self.max_bytes

    def keep(self, owner: str | None, response: KeptResponse) -> None:
        """The oldest others go to make room; if even the conversation alone is too large, it goes itself."""
        self._drop_idle()
        self._kept[owner, response.id] = response, self._clock()
        self._hold(response)
        while len(self._kept) > self.max_responses or self.num_bytes > self.max_bytes:
            self._drop_oldest()

    def forget(self, owner: str | None, response_id: str) -> None:
        """Raises: ResponseUnknown."""
        response = self.find(owner, response_id)
        del self._kept[owner, response_id]
        self._release(response)

    def clear(self) -> None:
        """Forgets every response, of everybody."""
        self._kept.clear()
        self._num_holders.clear()
        self.num_bytes = 0

    def _drop_idle(self) -> None:
        limit_s = self._clock() - self.max_idle_s
        while self._kept and next(iter(self._kept.values()))[1] < limit_s:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, (response, _) = self._kept.popitem(last=False)
        self._release(response)

    def _hold(self, response: KeptResponse) -> None:
        for turn in _back_from(response):
            num_holders = self._num_holders.get(turn.id, 0)
            self._num_holders[turn.id] = num_holders + 1
            if num_holders:
                return
            self.num_bytes += _size_bytes(turn)

    def _release(self, response: KeptResponse) -> None:
        for turn in _back_from(response):
            self._num_holders[turn.id] -= 1
            if self._num_holders[turn.id]:
                return
            del self._num_holders[turn.id]
            self.num_bytes -= _size_bytes(turn)

    def _hint(self) -> str:
        if not self.max_responses:
            return 'this server keeps no responses: send the whole conversation, or set responses.keep = "memory"'
        return "responses are kept in memory, for a while: send the whole conversation"


class OwnedMemory(msgspec.Struct, frozen=True):
    """The `Memory` of one caller. `owner` None: nobody is told apart."""

    conversations: Conversations
    owner: str | None

    def find(self, response_id: str) -> KeptResponse:
        return self.conversations.find(self.owner, response_id)

    def can_keep(self, num_bytes: int) -> bool:
        return self.conversations.can_keep(num_bytes)

    def keep(self, response: KeptResponse) -> None:
        self.conversations.keep(self.owner, response)

    def forget(self, response_id: str) -> None:
        self.conversations.forget(self.owner, response_id)

    def now_s(self) -> int:
        return int(time.time())


def _back_from(response: KeptResponse) -> Iterator[KeptResponse]:
    turn: KeptResponse | None = response
    while turn is not None:
        yield turn
        turn = turn.previous


def _size_bytes(response: KeptResponse) -> int:
    return OVERHEAD_BYTES + len(response.body) + sum(len(item) for item in (*response.given, *response.made))
