"""A fake engine at next to zero cost: it reads a request, computes nothing and sends an answer made at its start.

For measuring what stands in front of it, and for nothing else. It speaks the part of HTTP that the two sides of the
benchmark need: keep-alive, Content-Length bodies, `chat/completions` whole and streamed, and token counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import cast

import uvloop

WORD = "token "
HEAD = {"id": "chatcmpl-fake", "created": 0, "model": "fake"}


def chunk_event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return event({**HEAD, "object": "chat.completion.chunk", "choices": [choice]})


def event(body: object) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def http_chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def whole(status: bytes, body: object) -> bytes:
    payload = json.dumps(body).encode()
    return (
        b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(payload))
        + payload
    )


class Answers:
    """Everything it can say, as bytes."""

    def __init__(self, num_tokens: int) -> None:
        usage = {"prompt_tokens": 200, "completion_tokens": num_tokens, "total_tokens": 200 + num_tokens}
        message = {"role": "assistant", "content": WORD * num_tokens}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.reply = whole(b"200 OK", {**HEAD, "object": "chat.completion", "choices": [choice], "usage": usage})
        self.count = whole(b"200 OK", {"input_tokens": 200})
        self.health = whole(b"200 OK", {"status": "ok"})
        self.unknown = whole(b"404 Not Found", {"error": {"message": "not here", "type": "not_found_error"}})
        self.stream_head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        self.token = http_chunk(chunk_event({"content": WORD}))
        last = event({**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        self.end = http_chunk(chunk_event({}, "stop") + last + b"data: [DONE]\n\n") + b"0\r\n\r\n"


class FakeUpstream(asyncio.Protocol):
    """One connection. With a gap it sends token by token, else the whole stream at once."""

    def __init__(self, answers: Answers, num_tokens: int, gap_s: float) -> None:
        self.answers = answers
        self.num_tokens = num_tokens
        self.gap_s = gap_s
        self.received = b""
        self.transport: asyncio.Transport | None = None
        self.pacing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses of it

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio calls it so)
        if self.pacing is not None:
            self.pacing.cancel()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, rest = self.received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) < length:
            return
        self.received = rest[length:]
        self.answer(head.split(b" ", 2)[1], rest[:length])

    def answer(self, path: bytes, body: bytes) -> None:
        assert self.transport is not None
        if path.endswith(b"/input_tokens"):
            self.transport.write(self.answers.count)
        elif path.endswith(b"/health"):
            self.transport.write(self.answers.health)
        elif not path.endswith(b"/chat/completions"):
            self.transport.write(self.answers.unknown)
        elif b'"stream":true' not in body and b'"stream": true' not in body:
            self.transport.write(self.answers.reply)
        elif not self.gap_s:
            self.transport.write(self.answers.stream_head + self.answers.token * self.num_tokens + self.answers.end)
        else:
            self.transport.write(self.answers.stream_head)
            self.send_token(self.num_tokens, asyncio.get_running_loop().time())

    def send_token(self, num_left: int, due_s: float) -> None:
        """Paced by a schedule, not by sleeping: a late token does not delay the next."""
        assert self.transport is not None
        if not num_left:
            self.transport.write(self.answers.end)
            return
        self.transport.write(self.answers.token)
        loop = asyncio.get_running_loop()
        self.pacing = loop.call_at(due_s + self.gap_s, self.send_token, num_left - 1, due_s + self.gap_s)


async def serve(where: argparse.Namespace) -> None:
    answers = Answers(where.tokens)
    loop = asyncio.get_running_loop()

    def new_connection() -> FakeUpstream:
        return FakeUpstream(answers, where.tokens, where.gap_s)

    on_port = await loop.create_server(new_connection, "127.0.0.1", where.port)
    on_socket = await loop.create_unix_server(new_connection, str(where.socket))
    async with on_port, on_socket:
        await loop.create_future()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--gap-s", type=float, default=0.0)
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
