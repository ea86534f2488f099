"""What a connection may cost before a request has come out of it: the bounds that uvicorn's protocol does not have.

A request's own bounds are elsewhere: its body's size and time in `call.read_body`, its answer's in `call.write`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gemstead.api.hosts import is_loopback


class ConnectionLimits(msgspec.Struct, frozen=True):
    """`head_s` is how long a request's head may take, from the connection's or its own first byte; `body_s` how long
    the rest of a body may that nobody reads; `linger_s` how long a client may take to read what is left for it.
    """

    max_connections: int = 512
    max_head_bytes: int = 64 * 1024
    head_s: float = 10.0
    body_s: float = 60.0
    stall_s: float = 70.0
    """A little more than a writer's own patience (`Services.stall_limit_s`), which ends the work behind it first."""
    linger_s: float = 30.0

    def max_per_address(self, address: str) -> int:
        """One address cannot take all; a proxy on this machine is many clients."""
        return self.max_connections if not address or is_loopback(address) else max(1, self.max_connections // 2)


class Slots:
    """How many connections are open, in all and by address."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._by_address: Counter[str] = Counter()

    def take(self, address: str) -> bool:
        if self._by_address.total() >= self._limits.max_connections:
            return False
        if self._by_address[address] >= self._limits.max_per_address(address):
            return False
        self._by_address[address] += 1
        return True

    def give_back(self, address: str) -> None:
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's, which has a limit for the pause between two requests, and none for one that never gets whole."""

    def __init__(self, *args: Any, limits: ConnectionLimits, slots: Slots, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self._limits = limits
        self._slots = slots
        self._slot: str | None = None
        self._waiting: asyncio.TimerHandle | None = None
        """Ends the connection unless the head of a request is whole by then."""
        self._stalled: asyncio.TimerHandle | None = None
        self._num_head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        if not self._slots.take(address):
            self._answer_at_once(b"503 Service Unavailable", b"too many connections")
            return
        self._slot = address
        self._wait(self._limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._slot is not None:
            self._slots.give_back(self._slot)
            self._slot = None
        for timer in (self._waiting, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        is_rest = self._is_rest_of_a_body()
        if self._is_between_requests():
            if self._waiting is None:
                self._wait(self._limits.body_s if is_rest else self._limits.head_s)
            self._num_head_bytes += 0 if is_rest else len(data)
        super().data_received(data)
        # A head may arrive with a body behind it: only what is too large and still no head is refused.
        if self._num_head_bytes > self._limits.max_head_bytes and self._is_between_requests():
            self._answer_at_once(b"431 Request Header Fields Too Large", b"the head of the request is too large")

    def on_headers_complete(self) -> None:
        self._num_head_bytes = 0
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._linger()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._linger()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self._limits.stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _is_between_requests(self) -> bool:
        return not self._has_cycle() or self.cycle.response_complete

    def _is_rest_of_a_body(self) -> bool:
        """The answer is out, and the request it answered still comes in."""
        return self._has_cycle() and self.cycle.response_complete and self.cycle.more_body

    def _has_cycle(self) -> bool:
        """Whether a request has come at all; uvicorn's own annotation does not know of the time before."""
        cycle: object = self.cycle
        return cycle is not None

    def _wait(self, limit_s: float) -> None:
        self._waiting = self.loop.call_later(limit_s, self._give_up)

    def _give_up(self) -> None:
        self._waiting = None
        if self._num_head_bytes:
            self._answer_at_once(b"408 Request Timeout", b"the head of the request did not come in time")
        else:
            self.transport.close()
            self._linger()

    def _linger(self) -> None:
        """A closed transport still waits for a client to read; not for ever."""
        self.loop.call_later(self._limits.linger_s, self.transport.abort)

    def _answer_at_once(self, status: bytes, text: bytes) -> None:
        """An answer to what is no request yet: nobody can say in which dialect it would have been."""
        if self.transport.is_closing():
            return
        head = b"HTTP/1.1 %s\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, len(text)) + text)
        self.transport.close()
        self._linger()
