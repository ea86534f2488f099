"""How fast a plan would be: what is asked of it, and the figures predicted for that."""

from __future__ import annotations

import msgspec

from gemstead.core.figures import Figure


class Workload(msgspec.Struct, frozen=True):
    """Requests that arrive at the same moment, one a user, each of its own `prompt_tokens` and `answer_tokens`.

    `max_ttft_s` bounds the wait for the first token of the user who waits longest; None: any.
    """

    num_users: int = 1
    prompt_tokens: int = 512
    answer_tokens: int = 256
    max_ttft_s: float | None = None

    @property
    def tokens(self) -> int:
        """What one request needs of its slot."""
        return self.prompt_tokens + self.answer_tokens


class Correction(msgspec.Struct, frozen=True):
    """What measurements taught about a prediction: `factor` times it is nearer; `spread` is how far they still lie off.

    `spread` is relative, of the measurement that is farthest from the corrected figure.
    """

    factor: float
    spread: float
    num_measurements: int


class SpeedCorrection(msgspec.Struct, frozen=True):
    """For predictions with this `calibration`, from measurements of one build of an engine on one machine."""

    calibration: str
    engine_version: str
    decode: Correction | None = None
    prefill: Correction | None = None


class Speed(msgspec.Struct, frozen=True):
    """Predicted speed for a workload; None where a ceiling of the machine is not known.

    `prefill_tok_per_s` of one prompt alone. `decode_tok_per_s` is what each user gets while all generate, half-way
    through the answer; `total_decode_tok_per_s` what all get together; `full_decode_tok_per_s` what one user alone gets
    at the end of a full context. `ttft_s` is the longest wait when all prompts arrive at once.
    `energy_j_per_token` is the machine's power over `total_decode_tok_per_s`: one generated token, prefill not counted.
    `calibration` names the ceilings and efficiencies it was computed from: what has the same is wrong in the same way.
    """

    workload: Workload
    decode_tok_per_s: Figure
    total_decode_tok_per_s: Figure
    full_decode_tok_per_s: Figure
    prefill_tok_per_s: Figure | None = None
    ttft_s: Figure | None = None
    energy_j_per_token: Figure | None = None
    calibration: str | None = None

    @property
    def is_in_time(self) -> bool:
        """False only where the wait for the first token is known to be longer than the workload allows."""
        limit_s = self.workload.max_ttft_s
        return limit_s is None or self.ttft_s is None or self.ttft_s.value <= limit_s

    @property
    def request_s(self) -> float:
        """From sending to the last token, for the user who waits longest; the wait is left out where it is unknown."""
        wait_s = self.ttft_s.value if self.ttft_s is not None else 0.0
        return wait_s + self.workload.answer_tokens / self.decode_tok_per_s.value
