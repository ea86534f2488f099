"""The second attempt at a reply that was broken: the same question, asked so that the answer can differ."""

from __future__ import annotations

import secrets

import msgspec

from gemstead.core.errors import BrokenPromise
from gemstead.core.types import ChatRequest, Warning

RETRY_TEMPERATURE = 0.3
"""Instead of 0, where every attempt writes the same: low, because exactness was asked for."""

SEED_MODULUS = 2**31
"""What every engine takes as a seed."""


def ask_again(request: ChatRequest, kind: BrokenPromise) -> tuple[ChatRequest, Warning]:
    """The request for the second attempt, and what the caller is told about it.

    A seed of the caller's goes up by one, so that the second answer can be reproduced like the first; without one a
    random one is set. Only a temperature of 0 is changed. What is greedy by other settings stays so.
    """
    sampling = request.sampling
    seed = secrets.randbelow(SEED_MODULUS) if sampling.seed is None else (sampling.seed + 1) % SEED_MODULUS
    note = f"seed {seed}"
    if sampling.temperature == 0:
        sampling = msgspec.structs.replace(sampling, temperature=RETRY_TEMPERATURE)
        note += f" and temperature {RETRY_TEMPERATURE}, because at 0 the answer would be the same"
    again = msgspec.structs.replace(request, sampling=msgspec.structs.replace(sampling, seed=seed))
    return again, Warning(code="reply_retried", message=f"{kind}: the first reply was broken; asked again with {note}")
