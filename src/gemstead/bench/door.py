"""What the door costs: the decode rate through it against the same engine asked directly.

Runs are interleaved, direct and door in turn, so that a noisy machine disturbs both alike; each pair gives one ratio,
and the median of the ratios is the result. decode tok/s = (completion_tokens - 1) / (last token - first token), by the
client's clock, both times read by the same code from the same kind of stream.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from gemstead.bench.measures import measure
from gemstead.bench.stream import Question, ask
from gemstead.bench.target import Target, open_session
from gemstead.core.errors import EngineRefused

if TYPE_CHECKING:
    import aiohttp


class DecodeRun(msgspec.Struct, frozen=True):
    """One streamed answer, by the client's clock. `ttft_s`: request sent to first token."""

    target: str
    completion_tokens: int
    ttft_s: float
    decode_tok_per_s: float


class DoorComparison(msgspec.Struct, frozen=True):
    """`ratio` is the median over pairs of door rate / direct rate; `ratio_low` and `ratio_high` its quartiles."""

    ratio: float
    ratio_low: float
    ratio_high: float
    direct_tok_per_s: float
    door_tok_per_s: float
    added_ttft_s: float
    runs: list[DecodeRun]


async def compare(
    direct: Target, door: Target, question: Question, *, rounds: int, on_round: Callable[[int], None]
) -> DoorComparison:
    """`rounds` pairs of answers to the same prompt, after one warm-up pair that is not counted.

    Raises: as `ask`; EngineRefused if an answer has fewer than two tokens.
    """
    runs: list[DecodeRun] = []
    async with open_session(direct) as direct_session, open_session(door) as door_session:
        for round_number in range(rounds + 1):
            pair = [(direct, direct_session), (door, door_session)]
            # Whoever goes second finds warmer caches: take turns.
            for target, session in pair if round_number % 2 else reversed(pair):
                run = await _decode_run(session, target, question)
                if round_number:
                    runs.append(run)
            on_round(round_number)
    return summarise(runs, direct.name, door.name)


def summarise(runs: list[DecodeRun], direct_name: str, door_name: str) -> DoorComparison:
    """Pairs the runs in the order in which they were made."""
    direct = [run for run in runs if run.target == direct_name]
    door = [run for run in runs if run.target == door_name]
    ratios = [b.decode_tok_per_s / a.decode_tok_per_s for a, b in zip(direct, door, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
    return DoorComparison(
        ratio=statistics.median(ratios),
        ratio_low=low,
        ratio_high=high,
        direct_tok_per_s=statistics.median(run.decode_tok_per_s for run in direct),
        door_tok_per_s=statistics.median(run.decode_tok_per_s for run in door),
        added_ttft_s=statistics.median(b.ttft_s - a.ttft_s for a, b in zip(direct, door, strict=True)),
        runs=runs,
    )


async def _decode_run(session: aiohttp.ClientSession, target: Target, question: Question) -> DecodeRun:
    answer = measure(await ask(session, target, question))
    if answer.ttft_s is None or answer.decode_tok_per_s is None or answer.completion_tokens is None:
        raise EngineRefused(f"{target.name} sent {answer.completion_tokens or 0} tokens, too few to time")
    return DecodeRun(target.name, answer.completion_tokens, answer.ttft_s, answer.decode_tok_per_s)
