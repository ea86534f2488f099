"""What comes first among the plans that fit: the order of advice, for each aim.

Whatever the aim, plans that keep the workload's limit on the first token come before those that do not, and four bits
and more before fewer. Then:

- balanced: bearably fast before slow, then the better answers
- quality: the better answers, however slow
- latency: the shortest time from sending to the last token, for the user who waits longest
- concurrency: the better answers among those that give every user a bearable rate, then the most tokens a second;
  that is "balanced", but for the file of a variant
- energy: the fewest joules a token, which on one machine is the most tokens a second for all users together
"""

from __future__ import annotations

from collections.abc import Callable

from gemstead.core.plan import Plan
from gemstead.planner.candidate import Aim, Candidate
from gemstead.planner.quality import is_coarse, quant_rank, variant_score

BEARABLE_TOK_PER_S = 3.5
"""The pace of speech: 160 words a minute at 1.3 tokens a word. Below that an answer is waited for."""

Key = tuple[float, ...]


def quality_key(candidate: Candidate) -> Key:
    """Smaller is better: the variant's score, then what its quantization loses for its bytes."""
    return (-variant_score(candidate), quant_rank(candidate))


def is_slow(plan: Plan) -> bool:
    """Below a bearable rate for each user; False where the speed is not known."""
    return plan.speed is not None and plan.speed.decode_tok_per_s.value < BEARABLE_TOK_PER_S


def is_keeping_up(plan: Plan) -> bool:
    """A first token in time and a bearable rate for each user; True where the speed is not known."""
    return plan.speed is None or (plan.speed.is_in_time and not is_slow(plan))


def rank_key(candidate: Candidate, plan: Plan, aim: Aim) -> Key:
    """Sorts plans, best first; see the module."""
    is_late = plan.speed is not None and not plan.speed.is_in_time
    return (is_late, *_BY_AIM[aim](candidate, plan))


def _balanced(candidate: Candidate, plan: Plan) -> Key:
    return (is_slow(plan), is_coarse(candidate), *quality_key(candidate))


def _quality(candidate: Candidate, plan: Plan) -> Key:  # noqa: ARG001 (one shape for all aims)
    return (is_coarse(candidate), *quality_key(candidate))


def _latency(candidate: Candidate, plan: Plan) -> Key:
    return (is_coarse(candidate), plan.speed.request_s if plan.speed is not None else 0.0, *quality_key(candidate))


def _concurrency(candidate: Candidate, plan: Plan) -> Key:
    answers = (-variant_score(candidate), not candidate.is_qat)
    return (is_slow(plan), is_coarse(candidate), *answers, -_total_tok_per_s(plan))


def _energy(candidate: Candidate, plan: Plan) -> Key:
    return (is_coarse(candidate), -_total_tok_per_s(plan), *quality_key(candidate))


def _total_tok_per_s(plan: Plan) -> float:
    return plan.speed.total_decode_tok_per_s.value if plan.speed is not None else 0.0


_BY_AIM: dict[Aim, Callable[[Candidate, Plan], Key]] = {
    "balanced": _balanced,
    "quality": _quality,
    "latency": _latency,
    "concurrency": _concurrency,
    "energy": _energy,
}
