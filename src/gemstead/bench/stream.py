"""Asks once over HTTP and notes when each chunk came. Speaks OpenAI chat completions, as every server here does."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from gemstead.bench.target import Target
from gemstead.bench.timeline import Kind, Stamp, Timeline
from gemstead.core.errors import EngineFailed, EngineTimeout
from gemstead.core.types import Event, Finish, FinishReason, ReasoningDelta, TextDelta, Usage
from gemstead.engines.openai_errors import MAX_ERROR_BYTES, error_from_reply
from gemstead.engines.openai_stream import OpenAiStreamDecoder
from gemstead.engines.sse import SseParser

if TYPE_CHECKING:
    import aiohttp

PATH = "/v1/chat/completions"
RAW_PATH = "/v1/completions"


class Question(msgspec.Struct, frozen=True):
    """What is asked. `extra` goes into the body as it stands, for what one engine understands (`ignore_eos`).

    `is_raw`: the prompt is a text to go on with, no chat template around it. `is_streamed` False: the answer comes in
    one piece, and only the engine's own timings say how fast it was.
    """

    model: str
    prompt: str
    max_tokens: int
    extra: dict[str, Any] = {}
    is_raw: bool = False
    is_streamed: bool = True

    def body(self) -> dict[str, Any]:
        """Greedy, with usage."""
        prompt = {"prompt": self.prompt} if self.is_raw else {"messages": [{"role": "user", "content": self.prompt}]}
        return {
            "model": self.model,
            **prompt,
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "seed": 1,
            "stream": self.is_streamed,
            **({"stream_options": {"include_usage": True}} if self.is_streamed else {}),
            **self.extra,
        }


class _Chunk(msgspec.Struct):
    choices: list[msgspec.Raw] = []


async def ask(
    session: aiohttp.ClientSession, target: Target, question: Question, *, limit_s: float = 600.0
) -> Timeline:
    """One answer, from sending to the end of its stream.

    Raises: what the server's refusal means (RequestInvalid, ContextOverflow, EngineBusy ...); EngineFailed if the
    connection or the stream breaks; EngineTimeout after `limit_s`.
    """
    import asyncio

    import aiohttp

    try:
        async with asyncio.timeout(limit_s):
            return await _ask(session, target, question)
    except TimeoutError as exc:
        raise EngineTimeout(f"{target.name} did not finish an answer within {limit_s:.0f} s") from exc
    except (aiohttp.ClientError, OSError) as exc:
        raise EngineFailed(f"the connection to {target.name} broke", why=str(exc) or type(exc).__name__) from exc


async def _ask(session: aiohttp.ClientSession, target: Target, question: Question) -> Timeline:
    recorder, parser = _Recorder(), SseParser()
    sent_at_s = time.perf_counter()
    path = RAW_PATH if question.is_raw else PATH
    async with session.post(f"{target.url}{path}", json=question.body(), allow_redirects=False) as response:
        if response.status != 200:
            raise error_from_reply(response.status, await response.content.read(MAX_ERROR_BYTES))
        if not question.is_streamed:
            # A whole answer says what its last chunk would: why it ended, its usage and timings.
            recorder.take(await response.read(), time.perf_counter() - sent_at_s)
        while chunk := await response.content.readany():
            at_s = time.perf_counter() - sent_at_s
            for payload in parser.feed(chunk):
                recorder.take(payload, at_s)
    return recorder.close(sent_at_s, time.perf_counter() - sent_at_s)


class _Recorder:
    """Chunks in, a timeline out."""

    def __init__(self) -> None:
        self._decoder = OpenAiStreamDecoder()
        self._stamps: list[Stamp] = []
        self._usage: Usage | None = None
        self._finish: FinishReason | None = None
        self._text: list[str] = []

    def take(self, payload: bytes, at_s: float) -> None:
        """Raises: EngineFailed for a broken chunk, or what the server's error event says."""
        events = list(self._decoder.feed(payload))
        kind = _kind(events)
        if kind != "other" or (payload != b"[DONE]" and msgspec.json.decode(payload, type=_Chunk).choices):
            self._stamps.append(Stamp(at_s, kind))
        self._note(events)

    def close(self, sent_at_s: float, end_s: float) -> Timeline:
        """Raises: EngineFailed if the stream ended before the answer did."""
        self._note(self._decoder.close())
        return Timeline(sent_at_s, tuple(self._stamps), end_s, self._usage, self._finish, "".join(self._text))

    def _note(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Usage):
                self._usage = event
            elif isinstance(event, Finish):
                self._finish = event.reason
            elif isinstance(event, TextDelta):
                self._text.append(event.text)


def _kind(events: list[Event]) -> Kind:
    if any(isinstance(event, TextDelta) for event in events):
        return "content"
    return "reasoning" if any(isinstance(event, ReasoningDelta) for event in events) else "other"
