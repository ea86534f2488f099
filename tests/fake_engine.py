"""A fake engine: a real process that speaks llama-server's HTTP and fails on command. For faults and overhead only.

It never computes anything: it answers `token0 token1 ...` at the pace its flags say, or breaks in the way they say.
Run it by hand with `python tests/fake_engine.py --help`; tests start it through `fake_engine_kind()`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gemstead.core.plan import Plan
    from gemstead.engines.base import EngineKind, Installation

CHUNK_HEAD = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 0, "model": "fake"}
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)
HEALTH_PATHS = ("/health", "/v1/health")
CHAT_PATHS = ("/v1/chat/completions", "/chat/completions")
COUNT_PATH = "/v1/chat/completions/input_tokens"


def build_parser() -> argparse.ArgumentParser:
    """Every fault is one flag; without any it is a well-behaved engine that answers at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, help="unix socket to listen on")
    where.add_argument("--port", type=int, help="loopback port to listen on; 0 takes a free one and prints it")
    parser.add_argument("--load-s", type=float, default=0.0, help="/health answers 503 for this long")
    parser.add_argument("--ttft-s", type=float, default=0.0, help="silence before the first token")
    parser.add_argument("--itl-s", type=float, default=0.0, help="gap between tokens")
    parser.add_argument("--tokens", type=int, default=8, help="tokens of an answer, unless the request asks for fewer")
    parser.add_argument("--context", type=int, default=4096, help="prompts of more words are refused as too long")
    parser.add_argument("--exit-at-start", type=int, help="exit with this code instead of loading")
    parser.add_argument("--say", default="fake engine starting", help="printed at start, as an engine would its error")
    parser.add_argument("--crash-after", type=int, help="die by SIGKILL after this many tokens of an answer")
    parser.add_argument("--cut-after", type=int, help="close the connection after this many tokens, no finish")
    parser.add_argument("--break-after", type=int, help="send a chunk that is not JSON after this many tokens")
    parser.add_argument("--hang-after", type=int, help="say nothing more after this many tokens, but for pings")
    parser.add_argument("--error-after", type=int, help="send an error event after this many tokens")
    parser.add_argument("--status", type=int, help="answer every chat request with this status and an error body")
    parser.add_argument("--flood-bytes", type=int, default=0, help="send one line of this many bytes, without an end")
    parser.add_argument("--pings", action="store_true", help="send a comment line before every token")
    parser.add_argument("--is-deaf", action="store_true", help="ignore SIGTERM")
    parser.add_argument("--crash-once", type=Path, help="crash only if this file is absent, and make it")
    parser.add_argument("--script", type=Path, help="JSON list of replies, one a chat request; the last one repeats")
    return parser


class FakeEngine:
    """One listener; `num_running` counts answers in work, as /slots shows it.

    A reply of `--script` is an object: `deltas` (each one chunk, sent `times` over), `finish_reason` and `usage`.
    """

    def __init__(self, faults: argparse.Namespace, api_key: str | None) -> None:
        self.faults = faults
        self.api_key = api_key
        self.is_loading = faults.load_s > 0
        self.num_running = 0
        self.script: list[dict[str, Any]] = json.loads(faults.script.read_text()) if faults.script else []
        self.num_asked = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            method, path, _ = lines[0].split(" ", 2)
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            await self.route(method, path, headers, body, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def route(
        self, method: str, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter
    ) -> None:
        if self.is_loading:
            await reply_error(writer, 503, "unavailable_error", "Loading model")
        elif path in HEALTH_PATHS:
            await reply(writer, 200, {"status": "ok"})
        elif self.api_key and headers.get("authorization") != f"Bearer {self.api_key}":
            await reply_error(writer, 401, "authentication_error", "Invalid API Key")
        elif path == "/slots":
            await reply(writer, 200, [{"id": 0, "is_processing": self.num_running > 0}])
        elif path == "/v1/models":
            await reply(writer, 200, {"object": "list", "data": [{"id": "fake", "object": "model"}]})
        elif path == "/metrics":
            await reply_bytes(writer, 200, b"llamacpp:requests_processing %d\n" % self.num_running, "text/plain")
        elif method == "POST" and path == COUNT_PATH:
            await reply(writer, 200, {"input_tokens": count_words(json.loads(body))})
        elif method == "POST" and path in CHAT_PATHS:
            await self.chat(json.loads(body), writer)
        else:
            await reply_error(writer, 404, "not_found_error", "File Not Found")

    async def chat(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        prompt_tokens = count_words(request)
        if self.faults.status is not None:
            await reply_error(writer, self.faults.status, "fake_error", f"fake status {self.faults.status}")
        elif prompt_tokens > self.faults.context:
            extra = {"n_prompt_tokens": prompt_tokens, "n_ctx": self.faults.context}
            await reply_error(writer, 400, "exceed_context_size_error", "the request is too long", extra)
        else:
            self.num_running += 1
            self.num_asked += 1
            try:
                if self.script:
                    await self.recite(self.script[min(self.num_asked, len(self.script)) - 1], writer)
                else:
                    await self.answer(request, prompt_tokens, writer)
            finally:
                self.num_running -= 1

    async def answer(self, request: dict[str, Any], prompt_tokens: int, writer: asyncio.StreamWriter) -> None:
        asked = request.get("max_tokens")
        num_tokens = self.faults.tokens if asked is None else min(self.faults.tokens, asked)
        reason = "length" if asked is not None and asked <= self.faults.tokens else "stop"
        await asyncio.sleep(self.faults.ttft_s)
        usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": num_tokens,
            "total_tokens": prompt_tokens + num_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
        }
        timings = {"cache_n": 0, "prompt_n": prompt_tokens, "prompt_ms": 1.0, "predicted_n": num_tokens}
        if not request.get("stream"):
            text = "".join(word(index) for index in range(num_tokens))
            choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text}}
            await reply(writer, 200, {**CHUNK_HEAD, "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        writer.write(STREAM_HEAD)
        send(writer, event(delta={"role": "assistant", "content": None}))
        for index in range(num_tokens):
            if index and self.faults.itl_s:
                await asyncio.sleep(self.faults.itl_s)
            if await self.misbehave(index, writer):
                return
            if self.faults.pings:
                send(writer, b": ping\n\n")
            send(writer, event(delta={"content": word(index)}))
            await writer.drain()
        if await self.misbehave(num_tokens, writer):
            return
        send(writer, event(delta={}, finish_reason=reason))
        last = {**CHUNK_HEAD, "choices": [], "usage": usage, "timings": {**timings, "predicted_ms": 1.0}}
        send(writer, b"data: " + json.dumps(last).encode() + b"\n\n")
        send(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def recite(self, reply: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        for _ in range(reply.get("times", 1)):
            for delta in reply["deltas"]:
                send(writer, event(delta=delta))
                await writer.drain()
        send(writer, event(delta={}, finish_reason=reply.get("finish_reason", "stop")))
        if "usage" in reply:
            last = {**CHUNK_HEAD, "choices": [], "usage": reply["usage"]}
            send(writer, b"data: " + json.dumps(last).encode() + b"\n\n")
        send(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def misbehave(self, index: int, writer: asyncio.StreamWriter) -> bool:
        """Whether a fault set for token `index` ends the answer here."""
        faults = self.faults
        if index == faults.crash_after and self.is_crash_due():
            await writer.drain()
            os.kill(os.getpid(), signal.SIGKILL)
        while index == faults.hang_after:
            if faults.pings:
                send(writer, b": ping\n\n")
            await writer.drain()
            await asyncio.sleep(0.05)
        if faults.flood_bytes:
            await flood(writer, faults.flood_bytes)
        elif index == faults.break_after:
            send(writer, b'data: {"choices": [{"delta"\n\n')
        elif index == faults.error_after:
            error = {"code": 500, "type": "server_error", "message": "fake fault in mid-stream"}
            send(writer, b"data: " + json.dumps({"error": error}).encode() + b"\n\n")
        elif index != faults.cut_after:
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def is_crash_due(self) -> bool:
        mark: Path | None = self.faults.crash_once
        if mark is None:
            return True
        if mark.exists():
            return False
        mark.touch()
        return True


def log(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def word(index: int) -> str:
    return f"token{index} "


def count_words(request: dict[str, Any]) -> int:
    """The fake's tokens are the words of all messages."""
    texts = []
    for message in request["messages"]:
        content = message.get("content") or ""
        texts += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    return sum(len(text.split()) for text in texts)


def event(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps({**CHUNK_HEAD, "choices": [choice]}).encode() + b"\n\n"


def send(writer: asyncio.StreamWriter, payload: bytes) -> None:
    """One HTTP chunk."""
    writer.write(b"%x\r\n%b\r\n" % (len(payload), payload))


async def flood(writer: asyncio.StreamWriter, num_bytes: int) -> None:
    block = b"x" * 65536
    for _ in range(num_bytes // len(block)):
        send(writer, block)
        await writer.drain()


async def reply(writer: asyncio.StreamWriter, status: int, body: Any) -> None:
    await reply_bytes(writer, status, json.dumps(body).encode(), "application/json")


async def reply_error(
    writer: asyncio.StreamWriter, status: int, kind: str, message: str, extra: dict[str, Any] | None = None
) -> None:
    await reply(writer, status, {"error": {"code": status, "type": kind, "message": message, **(extra or {})}})


async def reply_bytes(writer: asyncio.StreamWriter, status: int, body: bytes, media_type: str) -> None:
    head = f"HTTP/1.1 {status} Fake\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
    await writer.drain()


async def serve(faults: argparse.Namespace) -> None:
    engine = FakeEngine(faults, os.environ.get("LLAMA_API_KEY"))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, (lambda: None) if faults.is_deaf else stop.set)
    if faults.socket is not None:
        server = await asyncio.start_unix_server(engine.handle, faults.socket)
    else:
        server = await asyncio.start_server(engine.handle, "127.0.0.1", faults.port)
        log(f"listening on port {server.sockets[0].getsockname()[1]}")
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), faults.load_s or 0.001)
    engine.is_loading = False
    log("fake engine ready")
    await stop.wait()
    server.close()


def fake_engine_kind(*faults: str) -> EngineKind:
    """llama.cpp's kind with this program in its place, failing as `faults` (flags of this program) say."""
    import msgspec

    from gemstead.engines.base import Command, Endpoint
    from gemstead.engines.kinds.llama_cpp import DROPPED_ENV, ENGINE

    def command(plan: Plan, installation: Installation, endpoint: Endpoint) -> Command:
        where = ("--socket", str(endpoint.socket_path)) if endpoint.socket_path else ("--port", str(endpoint.port))
        argv = (sys.executable, "-I", "-S", str(installation.program), *where, *faults)
        return Command(argv, secret_env={"LLAMA_API_KEY": endpoint.api_key}, dropped_env=DROPPED_ENV)

    return msgspec.structs.replace(ENGINE, name="fake", title="the fake engine", command=command)


def fake_installation() -> Installation:
    from gemstead.engines.base import Installation

    return Installation("fake", Path(__file__).resolve(), "1", "the tests")


def small_plan(model: str = "tiny", **changes: Any) -> Plan:
    """A plan that fits anywhere; `changes` replace its fields."""
    import msgspec

    from gemstead.core.figures import BytesFigure
    from gemstead.core.plan import Plan

    plan = Plan(
        model=model,
        quant="Q4_0",
        engine="llama_cpp",
        context_length=1024,
        num_slots=1,
        kv_cache_dtype="f16",
        ubatch_tokens=512,
        gpu_layers=0,
        num_threads=2,
        memory=(),
        host_available=BytesFigure(16 * 1024**3, "assumed"),
    )
    return msgspec.structs.replace(plan, **changes)


def main() -> int:
    faults = build_parser().parse_args()
    log(faults.say)
    if faults.exit_at_start is not None:
        return int(faults.exit_at_start)
    asyncio.run(serve(faults))
    return 0


if __name__ == "__main__":
    sys.exit(main())
