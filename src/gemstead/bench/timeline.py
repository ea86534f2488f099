"""One streamed answer as a row of moments: what every measure is computed from."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from gemstead.core.types import FinishReason, Usage

Kind: TypeAlias = Literal["other", "reasoning", "content"]


class Stamp(msgspec.Struct, frozen=True):
    """A chunk with choices arrived `at_s` after the request was sent; `other` carries no text (a role, a tool call)."""

    at_s: float
    kind: Kind


class Timeline(msgspec.Struct, frozen=True):
    """Moments in seconds after sending, by the client's clock. `sent_at_s` is that of `time.perf_counter()`.

    `usage` None: the server told none, and then there are no rates. `end_s` is the end of the stream. `text` is
    the answer, thinking left out.
    """

    sent_at_s: float
    stamps: tuple[Stamp, ...]
    end_s: float
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    text: str = ""

    @property
    def token_times_s(self) -> tuple[float, ...]:
        """When text came, thought or said."""
        return tuple(stamp.at_s for stamp in self.stamps if stamp.kind != "other")
