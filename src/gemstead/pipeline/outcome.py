"""What one exchange came to: the value that metrics count now, and that evidence is made of."""

from __future__ import annotations

import msgspec

from gemstead.access.policy import Decision
from gemstead.core.types import Event, Finish, FinishReason, ReasoningDelta, TextDelta, ToolCallDelta, Usage, Verdict
from gemstead.pipeline.catches import Catch
from gemstead.pipeline.context import num_bytes


class Outcome(msgspec.Struct, frozen=True):
    """One exchange, over. Seconds count from the moment it was asked to run; None where it never came so far.

    `ttft_s` is the first token of the answer (text or tool call), `ttft_reasoning_s` the first of the thinking.
    `error_code` is set with finish_reason error only; `engine` is the kind that was asked. `catches` are the
    promises that the engine's replies broke. `num_neutralised` are the control tokens that were typed, and broken.
    """

    model: str
    finish_reason: FinishReason
    duration_s: float
    engine: str | None = None
    wait_s: float | None = None
    ttft_s: float | None = None
    ttft_reasoning_s: float | None = None
    usage: Usage | None = None
    error_code: str | None = None
    catches: tuple[Catch, ...] = ()
    num_neutralised: int = 0
    verdicts: tuple[Verdict, ...] = ()
    """What the guards said, one for each that found something in a text."""


class Trace:
    """Notes what passes, at the moment it passes; `outcome()` reads it back at the end."""

    def __init__(self, model: str, now_s: float) -> None:
        self.model = model
        self.started_s = now_s
        self.admitted_s: float | None = None
        self.first_token_s: float | None = None
        self.first_reasoning_s: float | None = None
        self.usage: Usage | None = None
        self.finish_reason: FinishReason = "cancelled"
        self.error_code: str | None = None
        self.engine: str | None = None
        self.catches: list[Catch] = []
        self.num_neutralised = 0
        self.verdicts: list[Verdict] = []
        """May still fill."""
        self.num_bytes_seen = 0
        """Of text, thinking and calls: there are no more tokens than that."""
        self.decision: Decision | None = None
        """The policy's, where one was asked."""
        self.label = ""
        """The data label it was asked about."""
        self.template: str | None = None
        """The SHA-256 of the model's chat template."""

    def serve(self, engine: str, catches: list[Catch]) -> None:
        """`catches` may still fill."""
        self.engine = engine
        self.catches = catches

    def see(self, event: Event, now_s: float) -> None:
        self.num_bytes_seen += _num_bytes(event)
        if isinstance(event, TextDelta | ToolCallDelta):
            self.first_token_s = self.first_token_s or now_s
        elif isinstance(event, ReasoningDelta):
            self.first_reasoning_s = self.first_reasoning_s or now_s
        elif isinstance(event, Usage):
            self.usage = event
        elif isinstance(event, Finish):
            self.finish_reason = event.reason
        elif event.code == "reply_retried":
            self.first_token_s = self.first_reasoning_s = None

    def fail(self, error_code: str) -> None:
        self.finish_reason = "error"
        self.error_code = error_code

    def outcome(self, now_s: float) -> Outcome:
        return Outcome(
            model=self.model,
            finish_reason=self.finish_reason,
            duration_s=now_s - self.started_s,
            wait_s=self._since_start(self.admitted_s),
            ttft_s=self._since_start(self.first_token_s),
            ttft_reasoning_s=self._since_start(self.first_reasoning_s),
            usage=self.usage,
            error_code=self.error_code,
            engine=self.engine,
            catches=tuple(self.catches),
            num_neutralised=self.num_neutralised,
            verdicts=tuple(self.verdicts),
        )

    def _since_start(self, moment_s: float | None) -> float | None:
        return None if moment_s is None else moment_s - self.started_s


def _num_bytes(event: Event) -> int:
    if isinstance(event, TextDelta | ReasoningDelta):
        return num_bytes(event.text)
    return num_bytes(event.arguments) + num_bytes(event.name or "") if isinstance(event, ToolCallDelta) else 0
