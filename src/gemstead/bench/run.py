"""Measures one engine: warm-up, then each prompt length with its repeats; every finished point is handed on at once."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from gemstead.bench.corpus import Corpus, own_corpus
from gemstead.bench.energy import Meter
from gemstead.bench.measures import Answer, decode_span_s, measure
from gemstead.bench.results import Protocol
from gemstead.bench.spread import spread_of
from gemstead.bench.stream import Question, ask
from gemstead.bench.target import Target, open_session
from gemstead.bench.timeline import Timeline
from gemstead.core.errors import EngineRefused

if TYPE_CHECKING:
    import aiohttp

WARM_UP_WORDS = 64
IDLE_S = 2.0
MIN_UNCACHED_SHARE = 0.9
"""Below it an engine took part of a prompt from a cache: its prefill rate says little."""
MAX_CLOCK_GAP = 0.05
"""Between our decode rate and the engine's own: beyond, something held the tokens up on their way."""
MAX_ANSWER_VARIATION = 0.1
"""The quartiles' distance of the decode rate over its median, of answers that should be alike."""

_FULL_LENGTH: dict[str, Any] = {"ignore_eos": True}
"""llama-server goes on past the end of the text, so that every answer has the tokens asked for."""

_READABLE: dict[str, Any] = {"logit_bias": [[" the", 100]]}
"""A bias no other token can make up for: Gemma 4's logits end at 30. It costs no time to speak of."""


def full_length(model: str) -> dict[str, Any]:
    """What makes an answer as long as asked for, and one that can be seen: generated weights mostly pick tokens that
    the engine keeps to itself, so that they are told to say a word instead. The work for a token stays the same."""
    is_generated = model.endswith(("@synthetic", "@tiny"))
    return _FULL_LENGTH | _READABLE if is_generated else _FULL_LENGTH


class Asker:
    """Asks one target, each time with a prompt nobody has seen."""

    def __init__(self, session: aiohttp.ClientSession, target: Target, model: str, corpus: Corpus) -> None:
        self._session = session
        self._target = target
        self._model = model
        self._corpus = corpus
        self._seeds = count(time.time_ns())
        self.tokens_per_word = 1.4
        """Of English prose with a large vocabulary, roughly; `calibrate` finds out."""

    async def calibrate(self) -> None:
        """Two answers that are not counted: they warm the engine up, and their difference tells how long a word is.

        Raises: EngineRefused if the target tells no tokens; as `stream.ask`.
        """
        short, long = [await self._prompt_tokens(num_words) for num_words in (WARM_UP_WORDS, 4 * WARM_UP_WORDS)]
        if long > short:
            self.tokens_per_word = (long - short) / (3 * WARM_UP_WORDS)

    async def ask(
        self, prompt_tokens: int, answer_tokens: int, *, is_full_length: bool = True, is_streamed: bool = True
    ) -> Timeline:
        """A prompt whose text has about `prompt_tokens`; the template comes on top.

        `is_full_length`: the answer has `answer_tokens`, where the engine can be told so. Raises: as `stream.ask`.
        """
        num_words = max(1, round(prompt_tokens / self.tokens_per_word))
        extra = full_length(self._model) if is_full_length else {}
        return await self._send(num_words, answer_tokens, extra, is_streamed=is_streamed)

    async def _prompt_tokens(self, num_words: int) -> int:
        timeline = await self._send(num_words, 8, {})
        if timeline.usage is None:
            raise EngineRefused(f"{self._target.name} does not tell how many tokens it used")
        return timeline.usage.prompt_tokens

    async def _send(
        self, num_words: int, answer_tokens: int, extra: dict[str, Any], *, is_streamed: bool = True
    ) -> Timeline:
        prompt = self._corpus.prompt(num_words, next(self._seeds))
        question = Question(self._model, prompt, answer_tokens, extra, is_streamed=is_streamed)
        return await ask(self._session, self._target, question)


OnPoint = Callable[[int, Sequence[Answer]], None]


async def measure_engine(
    target: Target,
    model: str,
    protocol: Protocol,
    lengths: Sequence[int],
    meter: Meter,
    *,
    on_point: OnPoint,
    on_answer: Callable[[int], None],
) -> float | None:
    """Measures the `lengths` of the protocol, shortest first; returns the idle power in watts where it was metered.

    `on_point` gets each finished point; what it was given is kept whatever happens later. `on_answer` gets the
    number of answers so far.

    Raises: as `stream.ask`.
    """
    num_done = 0
    async with open_session(target) as session:
        on_answer(0)
        asker = Asker(session, target, model, own_corpus())
        await asker.calibrate()
        idle_w = await _idle_power(meter)
        for length in sorted(lengths):
            answers = []
            for _ in range(protocol.repeats):
                timeline = await asker.ask(length, protocol.answer_tokens)
                await meter.settle()
                answers.append(with_energy(timeline, meter))
                num_done += 1
                on_answer(num_done)
            on_point(length, answers)
    return idle_w


def with_energy(timeline: Timeline, meter: Meter) -> Answer:
    """The figures of one answer, energy included where the meter covers it."""
    answer, span = measure(timeline), decode_span_s(timeline)
    if span is None:
        return answer
    sent_at_s, (begin_s, end_s) = timeline.sent_at_s, span
    return msgspec.structs.replace(
        answer,
        prefill_j=meter.energy_j(sent_at_s, sent_at_s + begin_s),
        decode_j=meter.energy_j(sent_at_s + begin_s, sent_at_s + end_s),
    )


def cached_prompts(prompt_tokens: int, answers: Sequence[Answer]) -> int:
    """How many answers took a noticeable part of their text of `prompt_tokens` from a cache, by the engine's own count.

    The head of a chat template is alike in all of them, comes from the cache, and does not count.
    """
    fresh = [answer.prefill_tokens for answer in answers if answer.prefill_tokens is not None]
    return sum(num_tokens < MIN_UNCACHED_SHARE * prompt_tokens for num_tokens in fresh)


def clock_gap(answers: Sequence[Answer]) -> float | None:
    """Our decode rate over the engine's own, less 1, as a median; None where tokens are hidden or it tells none."""
    ratios = [
        answer.decode_tok_per_s / answer.engine_decode_tok_per_s
        for answer in answers
        if answer.decode_tok_per_s and answer.engine_decode_tok_per_s and not answer.has_hidden_tokens
    ]
    return statistics.median(ratios) - 1 if ratios else None


def decode_variation(answers: Sequence[Answer]) -> float | None:
    """The quartiles' distance of the decode rates over their median; None with fewer than three."""
    spread = spread_of(answer.decode_tok_per_s for answer in answers)
    if spread is None or spread.num < 3:
        return None
    return (spread.high_quartile - spread.low_quartile) / spread.median


async def _idle_power(meter: Meter) -> float | None:
    if not meter.sources:
        return None
    begin_s = time.perf_counter()
    await asyncio.sleep(IDLE_S)
    await meter.settle()
    energy_j = meter.energy_j(begin_s, begin_s + IDLE_S)
    return None if energy_j is None else energy_j / IDLE_S
