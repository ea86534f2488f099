"""A run in rows, as the command line and the report show it: medians with their 95 % intervals. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from gemstead.bench.load_summary import quantiles
from gemstead.bench.measures import Answer, j_per_token
from gemstead.bench.results import Run, RunPoint
from gemstead.bench.spread import Spread, spread_of
from gemstead.core.figures import Figure


class PointFigures(msgspec.Struct, frozen=True):
    """One prompt length. `prompt_tokens` as they really were (median); `itl_s` are p50, p95 and p99 of all gaps."""

    prompt_tokens: int
    num_answers: int
    prefill_tok_per_s: Spread | None
    decode_tok_per_s: Spread | None
    ttfr_s: Spread | None
    ttft_s: Spread | None
    tpot_s: Spread | None
    itl_s: tuple[float, float, float] | None
    energy_j_per_token: Figure | None
    net_energy_j_per_token: Figure | None


def point_figures(run: Run) -> list[PointFigures]:
    """Each prompt length of a run, shortest first."""
    return [_figures(run, point) for point in run.points]


def prefill_of(answer: Answer) -> float | None:
    """The engine's own prefill rate; where it tells none, by our clock."""
    return answer.engine_prefill_tok_per_s or answer.prefill_tok_per_s


def _figures(run: Run, point: RunPoint) -> PointFigures:
    answers = point.answers

    def spread(of: Callable[[Answer], float | None]) -> Spread | None:
        return spread_of(of(answer) for answer in answers)

    real = spread(lambda answer: answer.prompt_tokens)
    decode = spread(lambda answer: answer.decode_tok_per_s)
    return PointFigures(
        prompt_tokens=round(real.median) if real else point.prompt_tokens,
        num_answers=len(answers),
        prefill_tok_per_s=spread(prefill_of),
        decode_tok_per_s=decode,
        ttfr_s=spread(lambda answer: answer.ttfr_s),
        ttft_s=spread(lambda answer: answer.ttft_s),
        tpot_s=spread(lambda answer: answer.tpot_s),
        itl_s=quantiles([gap for answer in answers for gap in answer.itl_s]),
        energy_j_per_token=_energy(run, answers, decode),
        net_energy_j_per_token=_net_energy(run, answers),
    )


def _energy(run: Run, answers: Sequence[Answer], decode: Spread | None) -> Figure | None:
    """Metered where a meter ran; else the assumed power over the measured rate, and said so."""
    if (metered := j_per_token(answers)) is not None:
        return Figure(metered, "measured", None, ", ".join(run.end.power.sources) if run.end else None)
    assumed = run.end.power.assumed if run.end else None
    if assumed is None or decode is None:
        return None
    return Figure(assumed.value / decode.median, "assumed", assumed.error, assumed.source)


def _net_energy(run: Run, answers: Sequence[Answer]) -> Figure | None:
    """Less what the machine draws with the model loaded and nobody asking."""
    idle_w = run.end.power.idle_w if run.end else None
    net = None if idle_w is None else j_per_token(answers, idle_w)
    return None if net is None else Figure(net, "measured", None, "idle power taken off")
