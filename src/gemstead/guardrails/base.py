"""What a guard is: the protocol that every file in `rules/`, and every guard of somebody else, keeps to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias, get_args

import msgspec

PACKAGE = "gemstead.guardrails.rules"
"""Where guards are found; also the name of the entry point group for guards of other packages."""

Action: TypeAlias = Literal["off", "report", "mask", "tokenise", "hold", "refuse"]
ACTIONS: tuple[Action, ...] = get_args(Action)
"""From lenient to strict: where two rules disagree, the later one counts."""

OnFailure: TypeAlias = Literal["refuse", "report"]
"""What a guard that fails or takes too long means: the text is refused, unless a policy says `report`."""

Provenance: TypeAlias = Literal["system", "user", "assistant", "tool", "document"]
"""Who wrote a text. `assistant` is what a model says now; its earlier turns come back from the caller, as `user`
does."""

Stage: TypeAlias = Literal["input", "output", "tool_call", "tool_result"]


class Passage(msgspec.Struct, frozen=True):
    """Where the text that a guard is about to see comes from. `field` names the place, for people."""

    provenance: Provenance = "user"
    stage: Stage = "input"
    field: str = ""
    secrets: tuple[str, ...] = ()
    """Texts of the operator that must not be repeated: canaries."""
    domains: tuple[str, ...] = ()
    """Hosts that links and pictures may point to, with all below them."""


class Found(msgspec.Struct, frozen=True):
    """What a finder sees at characters [start, end) of the text it was given, already folded."""

    start: int
    end: int
    kind: str
    replacement: str | None = None
    """What stands in its place when it is masked; None: the name of its kind, in brackets."""


class Finding(msgspec.Struct, frozen=True):
    """Characters [start, end) of a passage as it came to the guard, all its pieces joined. The text itself is not
    kept."""

    guard: str
    kind: str
    start: int
    end: int


class Finder(Protocol):
    """Finds one after the other. It may keep a state, because it sees each decided character once, in order.

    What it decides at a character may depend on `LEFT_CONTEXT_CHARS` before it and on what follows, and on nothing
    else: that is what makes a text that comes in pieces give what the whole text gives.
    """

    def next(self, text: str, start: int, end: int) -> Found | None:
        """The first finding that begins in [start, end); it may reach beyond `end`."""

    def decided(self, text: str, start: int) -> int:
        """The place before which no text to come can change what `next` finds; at least `start`."""


LEFT_CONTEXT_CHARS = 96
"""Characters before a place that a finder may look at."""


class Screen(Protocol):
    """A guard at work on one passage, whatever the cuts between its pieces."""

    findings: list[Finding]

    def feed(self, text: str) -> str:
        """What may go on now; the rest is held back until it is decided."""

    def close(self) -> str:
        """Nothing follows: what was held back."""


Replace: TypeAlias = Callable[[Found, str], str]
"""What stands in the place of a finding; the second is its text, as it was written."""


class Guard(msgspec.Struct, frozen=True):
    """One guard, as its file offers it in `GUARD`.

    `opens` makes the screen for one passage. `kinds` is what it can find; `detects` is one sentence for a listing.
    `default` is its action where no policy names it. `order` is its place, low first: what breaks texts up comes before
    what reads them. `budget_s` is how long it may take for a passage, and for each KiB of it as much again. A guard
    whose `is_blocking` is True is run outside the loop, so that a slow one can be given up.
    `measured_on` names the evaluation set of its published figures.
    """

    name: str
    detects: str
    kinds: tuple[str, ...]
    stages: frozenset[Stage]
    opens: Callable[[Passage, Replace], Screen]
    default: Action = "off"
    order: int = 50
    budget_s: float = 0.05
    is_blocking: bool = True
    measured_on: str = ""


def strictest(one: Action, other: str) -> Action:
    """The stricter of two; `other` as a policy has it. Raises: ValueError for a word that is none."""
    return max(one, *(action for action in ACTIONS if action == other), key=ACTIONS.index)


def mask_text(kind: str) -> str:
    """What a model sees instead of a masked text."""
    return f"[{kind.upper()}]"
