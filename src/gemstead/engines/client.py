"""Speaks HTTP to one running engine: a request becomes events, a client that leaves frees the engine's slot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from io import BytesIO
from typing import Any

import aiohttp
import msgspec

from gemstead.core.errors import EngineError, EngineFailed, EngineTimeout, RequestInvalid
from gemstead.core.types import ChatRequest, Embeddings, EmbedRequest, Event, Finish
from gemstead.engines.base import Ask, Endpoint, StreamDecoder, Wire
from gemstead.engines.joined import joined
from gemstead.engines.openai_errors import MAX_ERROR_BYTES, error_from_reply
from gemstead.engines.sse import SseParser

KEEPALIVE_S = 2.0
"""How long an idle connection is kept: well below the 5 s after which llama-server closes it from its side. A request
that met a closing connection could not be told from one the engine had started to answer."""

BYTES_AS_FILE = 512 * 1024
"""Request bodies from here on are given to aiohttp as a file: it warns about large ones given as bytes, and images make
them large."""

END_S = 1.0
"""How long the end of a stream may stay away after its last event; a connection without it is not used again."""

MAX_REPLY_BYTES = 1024 * 1024
"""How much of a reply that is not a stream is read (token counts, metrics)."""


class ClientTimeouts(msgspec.Struct, frozen=True):
    """`first_event_s` covers waiting for a slot, and each batch of the prefill where the engine tells its progress.

    `silence_s` is the gap between events after it: an engine may prefill a batch of somebody else's prompt in between.
    Comments do not count: a server whose computation hangs may go on sending them.
    """

    connect_s: float = 5.0
    first_event_s: float = 900.0
    silence_s: float = 300.0
    short_s: float = 30.0
    """For requests that need no slot: counts, metrics."""
    health_s: float = 2.0


class EngineClient:
    """One engine at one endpoint; implements `base.Engine`. Close it when the engine is gone."""

    def __init__(
        self,
        wire: Wire,
        endpoint: Endpoint,
        model: str,
        context_length: int,
        timeouts: ClientTimeouts | None = None,
    ) -> None:
        self._wire = wire
        self._model = model
        self._context_length = context_length
        self._timeouts = timeouts or ClientTimeouts()
        self._endpoint = endpoint
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._num_active = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def model(self) -> str:
        return self._model

    @property
    def kind(self) -> str:
        return self._wire.name

    @property
    def context_length(self) -> int:
        return self._context_length

    @property
    def num_active(self) -> int:
        """Answers in work."""
        return self._num_active

    async def wait_idle(self) -> None:
        """Returns when no answer is in work."""
        await self._idle.wait()

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Events of one reply, ended by exactly one Finish. Closing the iterator ends the generation in the engine.

        Raises: ContextOverflow, RequestInvalid, EngineRefused, EngineBusy, EngineFailed, EngineTimeout.
        """
        path, body = self._addressed(request)
        parser, decoder = SseParser(), self._wire.new_decoder()
        with self._in_work():
            async with self._post(path, body, self._timeouts.first_event_s) as response:
                limit_s, last_s, num_seen = self._timeouts.first_event_s, time.monotonic(), 0
                while chunk := await self._next_chunk(response, last_s + limit_s):
                    for event in joined(_decode(parser, decoder, chunk)):
                        yield event
                        if isinstance(event, Finish):
                            await self._read_to_end(response)
                            return
                        limit_s = self._timeouts.silence_s
                    if parser.num_events > num_seen:
                        last_s, num_seen = time.monotonic(), parser.num_events
            for event in decoder.close():
                yield event

    async def count_tokens(self, request: ChatRequest) -> int:
        """Exact tokens of the rendered prompt, template included.

        Raises: EngineError if this kind of engine cannot count, or as `chat` does.
        """
        if request.prompt is not None:
            return int(await self._ask("count tokens", self._wire.count_text, request.prompt, self._timeouts.short_s))
        return int(await self._ask("count tokens", self._wire.count, request, self._timeouts.short_s))

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """The tokens of `text` as plain text. Raises: as `count_tokens`."""
        return tuple(await self._ask("show tokens", self._wire.tokenize, text, self._timeouts.short_s))

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Raises: as `count_tokens`; EngineRefused if the engine, as it runs, gives no embeddings."""
        with self._in_work():
            embeddings = await self._ask("embed", self._wire.embed, request, self._timeouts.first_event_s)
        assert isinstance(embeddings, Embeddings)
        return embeddings

    @contextmanager
    def _in_work(self) -> Iterator[None]:
        self._num_active += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._num_active -= 1
            if not self._num_active:
                self._idle.set()

    def _addressed(self, request: ChatRequest) -> tuple[str, dict[str, Any]]:
        """Where the request goes, and its body. Raises: RequestInvalid for a raw prompt the engine cannot continue."""
        wire = self._wire
        if request.prompt is None:
            return wire.chat_path, wire.encode_chat(request)
        if wire.complete_path is None or wire.encode_complete is None:
            raise RequestInvalid(
                f"{wire.title} does not continue raw prompts", param="prompt", hint="send the prompt as a user message"
            )
        return wire.complete_path, wire.encode_complete(request)

    async def _ask(self, what: str, ask: Ask | None, question: object, limit_s: float) -> Any:
        if ask is None:
            raise EngineError(f"{self._wire.title} cannot {what}")
        async with self._post(ask.path, ask.encode(question), limit_s) as response:
            content = await self._read(response)
        try:
            return ask.read(msgspec.json.decode(content, type=dict[str, Any]))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as exc:
            raise EngineFailed(f"asked to {what}, the engine answered {content[:200]!r}") from exc

    async def metrics(self) -> str | None:
        """The engine's own metrics in Prometheus text; None if it has none."""
        if self._wire.metrics_path is None:
            return None
        async with self._exchange("GET", self._wire.metrics_path, None, self._timeouts.short_s) as response:
            return (await self._read(response)).decode("utf-8", "replace")

    async def is_ready(self) -> bool:
        """Whether the engine answers its health path with 200; False while it loads or does not listen yet."""
        try:
            async with asyncio.timeout(self._timeouts.health_s):
                async with self._open_session().get(self._wire.health_path) as response:
                    return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def close(self) -> None:
        """What is still in work fails, and so does everything asked from now on."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        """Made on first use: a session belongs to the running loop."""
        if self._is_closed:
            raise EngineFailed(f"the engine of {self._model} is gone", retry_after_s=1.0)
        if self._session is None:
            path = self._endpoint.socket_path
            keeping: dict[str, Any] = (
                {"keepalive_timeout": KEEPALIVE_S} if self._wire.keeps_connections else {"force_close": True}
            )
            connector = (
                aiohttp.UnixConnector(str(path), limit=0, **keeping)
                if path
                else aiohttp.TCPConnector(limit=0, ssl=self._endpoint.tls or True, **keeping)
            )
            scheme, host = "https" if self._endpoint.tls else "http", self._endpoint.host
            self._session = aiohttp.ClientSession(
                f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._endpoint.port or 80}",
                connector=connector,
                headers={"Authorization": f"Bearer {self._endpoint.api_key}"} if self._endpoint.api_key else None,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect_s),
                trust_env=False,
            )
        return self._session

    def _post(
        self, path: str, body: dict[str, Any], head_s: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self._exchange("POST", path, msgspec.json.encode(body), head_s)

    @asynccontextmanager
    async def _exchange(
        self, method: str, path: str, body: bytes | None, head_s: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A reply with status 200. Leaving it early cuts the connection, which ends the work in the engine.

        `head_s` ends with the head of the reply: what follows has limits of its own.
        """
        content = BytesIO(body) if body is not None and len(body) >= BYTES_AS_FILE else body
        headers = {"Content-Type": "application/json"} if body is not None else None
        with _engine_errors():
            try:
                async with asyncio.timeout(head_s):
                    response = await self._open_session().request(method, path, data=content, headers=headers)
            except TimeoutError as exc:
                raise EngineTimeout(f"the engine did not begin to answer within {head_s:.0f} s") from exc
            try:
                if response.status != 200:
                    raise error_from_reply(response.status, await self._read(response, MAX_ERROR_BYTES))
                yield response
            finally:
                response.close()

    async def _next_chunk(self, response: aiohttp.ClientResponse, give_up_s: float) -> bytes:
        """What has arrived; empty at the end of the reply. Raises: EngineTimeout at `give_up_s` of the steady clock."""
        try:
            async with asyncio.timeout(max(0.0, give_up_s - time.monotonic())):
                return await response.content.readany()
        except TimeoutError as exc:
            raise EngineTimeout("the engine fell silent in mid-answer", hint="gemstead ps") from exc

    async def _read_to_end(self, response: aiohttp.ClientResponse) -> None:
        """Past the last event there is only the end of the stream: with it read, the connection can be used again."""
        if not self._wire.keeps_connections:
            return
        try:
            async with asyncio.timeout(END_S):
                while not response.content.at_eof():
                    await response.content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError):
            response.close()

    async def _read(self, response: aiohttp.ClientResponse, max_bytes: int = MAX_REPLY_BYTES) -> bytes:
        """The whole body, at most `max_bytes` of it."""
        content = bytearray()
        give_up_s = time.monotonic() + self._timeouts.short_s
        while len(content) < max_bytes and (chunk := await self._next_chunk(response, give_up_s)):
            content += chunk
        return bytes(content[:max_bytes])


def _decode(parser: SseParser, decoder: StreamDecoder, chunk: bytes) -> Iterator[Event]:
    for payload in parser.feed(chunk):
        yield from decoder.feed(payload)


@contextmanager
def _engine_errors() -> Iterator[None]:
    """What goes wrong on the wire, as EngineFailed: the engine died, or is not there."""
    try:
        yield
    except (aiohttp.ClientError, OSError) as exc:
        raise EngineFailed(
            "the connection to the engine broke" if isinstance(exc, _BROKEN) else "the engine cannot be reached",
            why=str(exc) or type(exc).__name__,
            retry_after_s=1.0,
        ) from exc


_BROKEN = (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ConnectionResetError)
