"""Which promises a reply broke, and what was done about each."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from gemstead.core.errors import BrokenPromise
from gemstead.core.types import Warning

CatchAction: TypeAlias = Literal["repaired", "retried", "refused"]


class Catch(msgspec.Struct, frozen=True):
    """`repaired`: what was meant is certain, and the reply says that it was mended; `retried`: the engine was asked
    again; `refused`: the caller got an error instead.
    """

    kind: BrokenPromise
    action: CatchAction


class Repairs:
    """What was mended in one reply: each kind is counted and said once, however often it happened."""

    def __init__(self) -> None:
        self.kinds: list[BrokenPromise] = []

    def note(self, kind: BrokenPromise, message: str) -> tuple[Warning, ...]:
        """The warning to pass on, if this kind has not been said yet."""
        if kind in self.kinds:
            return ()
        self.kinds.append(kind)
        return (Warning(code="reply_repaired", message=f"{kind}: {message}"),)
