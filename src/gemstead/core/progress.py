"""How long work tells how far it is: the worker reports, whoever shows it decides how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec


class ProgressEvent(msgspec.Struct, frozen=True):
    """`task` names one bar ("pull gemma4:e2b"); `done` and `total` count in `unit`; an unknown total is None.

    `note` is a short line for people ("resuming at 1.2 GiB"). `is_done` closes the bar.
    """

    task: str
    done: float = 0
    total: float | None = None
    unit: Literal["bytes", "steps", "percent"] = "bytes"
    note: str | None = None
    is_done: bool = False


Progress: TypeAlias = Callable[[ProgressEvent], None]


def no_progress(event: ProgressEvent) -> None:
    """For callers that show nothing."""
