"""The figures of one answer, computed from its timeline, in the words of docs/glossary.md.

Everything is in seconds and tokens per second, by the client's clock, except what an `engine_` name marks as the
engine's own measurement. None: the answer does not tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import msgspec

from gemstead.bench.timeline import Kind, Timeline

_LEAST_COVERED = 0.95
_LEAST_SEEN_UNTIMED = 0.5


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer, measured. `prefill_tokens` are those the engine really evaluated; `itl_s` each gap between tokens.

    `prefill_j` and `decode_j` are the energy before and after the first token, where a meter ran.
    `has_hidden_tokens`: tokens came without text, so that `tpot_s` and the rates are the engine's own, if it told.
    """

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    prefill_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    latency_s: float | None = None
    ttfr_s: float | None = None
    ttft_s: float | None = None
    ttft_reasoning_s: float | None = None
    tpot_s: float | None = None
    decode_tok_per_s: float | None = None
    prefill_tok_per_s: float | None = None
    engine_decode_tok_per_s: float | None = None
    engine_prefill_tok_per_s: float | None = None
    itl_s: tuple[float, ...] = ()
    prefill_j: float | None = None
    decode_j: float | None = None
    has_hidden_tokens: bool = False


def measure(timeline: Timeline) -> Answer:
    """Every figure of one answer."""
    usage = timeline.usage
    timings = usage.timings if usage else None
    tpot = tpot_s(timeline)
    return Answer(
        prompt_tokens=usage.prompt_tokens if usage else None,
        cached_tokens=usage.cached_tokens if usage else None,
        prefill_tokens=_prefill_tokens(timeline),
        completion_tokens=usage.completion_tokens if usage else None,
        reasoning_tokens=usage.reasoning_tokens if usage else None,
        latency_s=timeline.end_s,
        ttfr_s=ttfr_s(timeline),
        ttft_s=ttft_s(timeline),
        ttft_reasoning_s=ttft_s(timeline, "reasoning"),
        tpot_s=tpot,
        decode_tok_per_s=1 / tpot if tpot else None,
        prefill_tok_per_s=prefill_tok_per_s(timeline),
        engine_decode_tok_per_s=_engine_decode_tok_per_s(timeline),
        engine_prefill_tok_per_s=_rate(timings.prefill_tokens, timings.prefill_s) if timings else None,
        itl_s=itl_s(timeline),
        has_hidden_tokens=has_hidden_tokens(timeline),
    )


def ttfr_s(timeline: Timeline) -> float | None:
    """Sent to the first chunk with choices, whatever it holds."""
    return timeline.stamps[0].at_s if timeline.stamps else None


def ttft_s(timeline: Timeline, kind: Kind = "content") -> float | None:
    """Sent to the first token of the answer; with `reasoning`, to the first token of the thinking.

    None where tokens are hidden and the first text came later than the first chunk: it was not the first token then.
    """
    at_s = next((stamp.at_s for stamp in timeline.stamps if stamp.kind == kind), None)
    if at_s is None or not has_hidden_tokens(timeline):
        return at_s
    tpot = tpot_s(timeline)
    is_at_once = tpot is not None and timeline.token_times_s[0] - timeline.stamps[0].at_s < tpot
    return at_s if is_at_once else None


def has_hidden_tokens(timeline: Timeline) -> bool:
    """Whether tokens came without text, so many of them at the ends that the text covers too little of the decoding.

    Control tokens and halves of characters are what an engine keeps to itself; generated weights answer with little
    else. Too little is less than 95 % of the engine's own decode time; where it tells none, half of the tokens.
    """
    usage, times = timeline.usage, timeline.token_times_s
    if usage is None or len(times) >= usage.completion_tokens:
        return False
    if usage.timings is None or not usage.timings.decode_s:
        return len(times) < _LEAST_SEEN_UNTIMED * usage.completion_tokens
    return not times or times[-1] - times[0] < _LEAST_COVERED * usage.timings.decode_s


def decode_span_s(timeline: Timeline) -> tuple[float, float] | None:
    """From the first token to the last, in seconds after sending; None with fewer than two.

    Where tokens are hidden: the engine's own decode time, counted back from the last chunk; None if it does not tell.
    """
    times = timeline.token_times_s
    if has_hidden_tokens(timeline):
        timings = timeline.usage.timings if timeline.usage else None
        if timings is None or not timings.decode_s or not timeline.stamps:
            return None
        end_s = timeline.stamps[-1].at_s
        return end_s - timings.decode_s, end_s
    return (times[0], times[-1]) if len(times) >= 2 and times[-1] > times[0] else None


def tpot_s(timeline: Timeline) -> float | None:
    """Seconds of `decode_span_s` / (completion_tokens - 1); None with fewer than two tokens."""
    span, usage = decode_span_s(timeline), timeline.usage
    if span is None or usage is None or usage.completion_tokens < 2:
        return None
    return (span[1] - span[0]) / (usage.completion_tokens - 1)


def itl_s(timeline: Timeline) -> tuple[float, ...]:
    """The gaps between chunks that carry tokens; engines put one token in each, some now and then two."""
    times = timeline.token_times_s
    return tuple(after - before for before, after in pairwise(times))


def prefill_tok_per_s(timeline: Timeline) -> float | None:
    """Uncached prompt tokens / time to the first token of any kind: prefill, and whatever else a user waits for.

    Where tokens are hidden: the engine's own prefill time instead; None if it does not tell.
    """
    times = timeline.token_times_s
    if has_hidden_tokens(timeline):
        timings = timeline.usage.timings if timeline.usage else None
        return _rate(timings.prefill_tokens, timings.prefill_s) if timings else None
    return _rate(_prefill_tokens(timeline), times[0] if times else None)


def meets(answer: Answer, ttft_limit_s: float | None, tpot_limit_s: float | None) -> bool:
    """Whether an answer counts for goodput: within every limit there is. An unknown figure does not meet a limit."""
    pairs = ((answer.ttft_s, ttft_limit_s), (answer.tpot_s, tpot_limit_s))
    return all(limit is None or (value is not None and value <= limit) for value, limit in pairs)


def j_per_token(answers: Iterable[Answer], idle_w: float = 0.0) -> float | None:
    """Energy of the decoding / tokens decoded after the first, over all answers.

    `idle_w` is what the machine draws anyway: it is taken off for as long as the decoding took.
    """
    energy_j = num_tokens = 0.0
    for answer in answers:
        if answer.decode_j is None or answer.tpot_s is None or not answer.completion_tokens:
            continue
        tokens = answer.completion_tokens - 1
        energy_j += answer.decode_j - idle_w * tokens * answer.tpot_s
        num_tokens += tokens
    return energy_j / num_tokens if num_tokens else None


def _prefill_tokens(timeline: Timeline) -> int | None:
    usage = timeline.usage
    if usage is None:
        return None
    if usage.timings is not None and usage.timings.prefill_tokens is not None:
        return usage.timings.prefill_tokens
    return None if usage.cached_tokens is None else usage.prompt_tokens - usage.cached_tokens


def _engine_decode_tok_per_s(timeline: Timeline) -> float | None:
    """By the engine's clock, over the tokens after the first: that one comes out of the prefill."""
    timings = timeline.usage.timings if timeline.usage else None
    if timings is None or not timings.decode_tokens:
        return None
    return _rate(timings.decode_tokens - 1, timings.decode_s)


def _rate(num_tokens: int | None, seconds: float | None) -> float | None:
    return num_tokens / seconds if num_tokens and seconds else None
