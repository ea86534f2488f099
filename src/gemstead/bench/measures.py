"""The figures of one answer, computed from its timeline, in the words of docs/glossary.md.

Everything is in seconds and tokens per second, by the client's clock, except what an `engine_` name marks as the
engine's own measurement. None: the answer does not tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import msgspec

from gemstead.bench.timeline import Kind, Timeline


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer, measured. `prefill_tokens` are those the engine really evaluated; `itl_s` each gap between tokens.

    `prefill_j` and `decode_j` are the energy before and after the first token, where a meter ran.
    `has_hidden_tokens`: most tokens came without text, so that `tpot_s` and the rates are the engine's own, if it told.
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
        engine_decode_tok_per_s=_rate(timings.decode_tokens, timings.decode_s) if timings else None,
        engine_prefill_tok_per_s=_rate(timings.prefill_tokens, timings.prefill_s) if timings else None,
        itl_s=itl_s(timeline),
        has_hidden_tokens=has_hidden_tokens(timeline),
    )


def ttfr_s(timeline: Timeline) -> float | None:
    """Sent to the first chunk with choices, whatever it holds."""
    return timeline.stamps[0].at_s if timeline.stamps else None


def ttft_s(timeline: Timeline, kind: Kind = "content") -> float | None:
    """Sent to the first token of the answer; with `reasoning`, to the first token of the thinking."""
    return next((stamp.at_s for stamp in timeline.stamps if stamp.kind == kind), None)


def has_hidden_tokens(timeline: Timeline) -> bool:
    """Whether fewer than half of the tokens came as text: the first and the last that did say little of the rest.

    Generated weights answer with control tokens and halves of characters, which an engine keeps to itself.
    """
    usage = timeline.usage
    return usage is not None and 2 * len(timeline.token_times_s) < usage.completion_tokens


def tpot_s(timeline: Timeline) -> float | None:
    """(last token - first token of any kind) / (completion_tokens - 1); None with fewer than two tokens.

    Where most tokens are hidden: the engine's own decode time over its tokens; None if it does not tell.
    """
    times, usage = timeline.token_times_s, timeline.usage
    if usage is not None and has_hidden_tokens(timeline):
        rate = _rate(usage.timings.decode_tokens, usage.timings.decode_s) if usage.timings else None
        return 1 / rate if rate else None
    if usage is None or usage.completion_tokens < 2 or len(times) < 2 or times[-1] <= times[0]:
        return None
    return (times[-1] - times[0]) / (usage.completion_tokens - 1)


def itl_s(timeline: Timeline) -> tuple[float, ...]:
    """The gaps between chunks that carry tokens; engines put one token in each, some now and then two."""
    times = timeline.token_times_s
    return tuple(after - before for before, after in pairwise(times))


def prefill_tok_per_s(timeline: Timeline) -> float | None:
    """Uncached prompt tokens / time to the first token of any kind: prefill, and whatever else a user waits for.

    Where most tokens are hidden: the engine's own prefill time instead; None if it does not tell.
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


def _rate(num_tokens: int | None, seconds: float | None) -> float | None:
    return num_tokens / seconds if num_tokens and seconds else None
