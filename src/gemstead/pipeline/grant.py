"""What a request was granted when it was let in, and what it has to be settled by."""

from __future__ import annotations

import msgspec

from gemstead.access.policy import Decision
from gemstead.core.types import ChatRequest, Warning
from gemstead.pipeline.outcome import Trace

HIDDEN_TOKENS = 64
"""Of a reply that was cut: tokens that the engine may have made and that no event has shown yet."""


class Grant:
    """One request, let in. `decision` is the policy's, on the data label `label`; None where nobody asks a policy."""

    def __init__(
        self,
        decision: Decision | None = None,
        *,
        max_tokens: int | None = None,
        warnings: tuple[Warning, ...] = (),
        label: str = "",
    ) -> None:
        self.decision = decision
        self.label = label
        self.max_tokens = max_tokens
        self.warnings = warnings
        self._trace: Trace | None = None

    def follow(self, trace: Trace) -> None:
        """From here on `trace` tells what the request takes; and what was decided is told to it."""
        self._trace = trace
        trace.decision = self.decision
        trace.label = self.label

    def narrowed(self, request: ChatRequest) -> ChatRequest:
        """The request with no longer an answer than was reserved for."""
        if self.max_tokens is None or self.max_tokens == request.sampling.max_tokens:
            return request
        sampling = msgspec.structs.replace(request.sampling, max_tokens=self.max_tokens)
        return msgspec.structs.replace(request, sampling=sampling)

    def tokens_taken(self, prompt_tokens: int, reserved_tokens: int) -> int:
        """Prompt and answer: as the engine counted them; of a reply that was cut, as many as it can have been.

        `prompt_tokens` bounds the prompt's. 0 for a request that came to no engine.
        """
        trace = self._trace
        if trace is None or trace.engine is None:
            return 0
        if trace.usage is not None:
            return trace.usage.prompt_tokens + trace.usage.completion_tokens
        return min(reserved_tokens, prompt_tokens + trace.num_bytes_seen + HIDDEN_TOKENS)
