"""An upper bound of the decode speed: every token reads all active weights from memory once.

It only tells what would be unbearably slow; it is no prediction. Engines reach 50 to 80 % of it.
"""

from __future__ import annotations

from gemstead.core.plan import Plan
from gemstead.hardware.snapshot import Machine
from gemstead.planner.candidate import Candidate, Weights
from gemstead.planner.weights import read_bytes_per_token

BEARABLE_TOK_PER_S = 6.0
"""Three or four real tokens per second: about as fast as people read."""


def max_tok_per_s(candidate: Candidate, weights: Weights, plan: Plan, machine: Machine) -> float | None:
    """Bandwidth over bytes read per token; None where the bandwidth is unknown or a GPU's own memory holds it all.

    Layers on a GPU's own memory count as free: the host's are slower by an order of magnitude.
    """
    bandwidth = machine.memory.bandwidth
    everything = candidate.shape.num_layers + 1
    on_gpu = plan.gpu_layers or 0 if plan.gpu_available is not None else 0
    if bandwidth is None or on_gpu >= everything:
        return None
    if weights.tensors:
        read_bytes = weights.scale * read_bytes_per_token(weights.tensors, candidate.shape)
    else:
        read_bytes = float(candidate.file_bytes or 0)
    host_share = 1 - on_gpu / everything
    return bandwidth.value / (read_bytes * host_share) if read_bytes else None
