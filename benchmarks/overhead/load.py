"""The caller: HTTP/1.1 over kept connections, written so that its own cost stays small beside what it measures."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

QUESTION = "Explain in a few sentences why the sky is blue. " * 20  # about 1 KB


@dataclass(frozen=True)
class Target:
    """Something that answers `chat/completions` on a loopback port; `can_stream` False: only whole answers."""

    name: str
    port: int
    headers: dict[str, str] = field(default_factory=dict)
    pids: tuple[int, ...] = ()
    can_stream: bool = True

    def request(self, *, is_stream: bool) -> bytes:
        body = json.dumps(
            {
                "model": "fake",
                "messages": [{"role": "user", "content": QUESTION}],
                "max_tokens": 512,
                "temperature": 0,
                "stream": is_stream,
            }
        ).encode()
        lines = [
            "POST /v1/chat/completions HTTP/1.1",
            f"host: 127.0.0.1:{self.port}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Sample:
    """One answer: seconds to its first body byte and to its end, and how many tokens came."""

    first_s: float
    total_s: float
    num_tokens: int


class Caller:
    """One kept connection, one request at a time."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.requests = {is_stream: target.request(is_stream=is_stream) for is_stream in (False, True)}
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def call(self, *, is_stream: bool = False) -> Sample:
        """Raises: RuntimeError for any answer but 200."""
        if self.writer is None or self.reader is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.target.port)
        begin_s = time.perf_counter()
        self.writer.write(self.requests[is_stream])
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"{self.target.name} answered {head[:80]!r} {await self.reader.read(300)!r}")
        first_s, body = await self._body(head)
        sample = Sample(first_s - begin_s, time.perf_counter() - begin_s, body.count(b"token "))
        if b"connection: close" in head:
            self.close()
        return sample

    async def _body(self, head: bytes) -> tuple[float, bytes]:
        assert self.reader is not None
        if b"transfer-encoding: chunked" not in head:
            length = int(head.split(b"content-length:")[1].split(b"\r\n", 1)[0])
            body = await self.reader.readexactly(length)
            return time.perf_counter(), body
        received, first_s = bytearray(), 0.0
        while not received.endswith(b"0\r\n\r\n"):
            piece = await self.reader.read(65536)
            first_s = first_s or time.perf_counter()
            if not piece:
                raise RuntimeError(f"{self.target.name} broke off")
            received += piece
        return first_s, bytes(received)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


async def one_after_another(caller: Caller, num_requests: int, *, is_stream: bool = False) -> list[Sample]:
    return [await caller.call(is_stream=is_stream) for _ in range(num_requests)]


async def all_at_once(target: Target, num_callers: int, num_requests: int, *, is_stream: bool = False) -> float:
    """Seconds for `num_requests` answers, asked by so many callers that each wait for theirs."""
    callers = [Caller(target) for _ in range(num_callers)]
    left = iter(range(num_requests))

    async def work(caller: Caller) -> None:
        for _ in left:
            await caller.call(is_stream=is_stream)

    begin_s = time.perf_counter()
    try:
        await asyncio.gather(*(work(caller) for caller in callers))
    finally:
        for caller in callers:
            caller.close()
    return time.perf_counter() - begin_s


async def streams_at_once(target: Target, num_streams: int) -> float:
    """Tokens a second of so many paced streams together."""
    callers = [Caller(target) for _ in range(num_streams)]
    begin_s = time.perf_counter()
    try:
        samples = await asyncio.gather(*(caller.call(is_stream=True) for caller in callers))
    finally:
        for caller in callers:
            caller.close()
    return sum(sample.num_tokens for sample in samples) / (time.perf_counter() - begin_s)
