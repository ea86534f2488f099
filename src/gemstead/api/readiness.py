"""Whether the engines behind the door can answer, and if not, why and how far they are."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import msgspec

EngineState: TypeAlias = Literal["stopped", "starting", "ready", "stopping", "failed"]

ENGINE_STATES: tuple[EngineState, ...] = get_args(EngineState)


class EngineStatus(msgspec.Struct, frozen=True):
    """One engine as `/readyz` shows it. `progress` is the loaded share, 0 to 1; `reason` says why it is not ready.

    `is_on_demand` True: it was unloaded because nobody used it, and the next request loads it: as good as ready.
    """

    model: str
    engine: str
    state: EngineState
    progress: float | None = None
    reason: str | None = None
    is_on_demand: bool = False


class Readiness(msgspec.Struct, frozen=True):
    """`reason` is None if, and only if, it is ready."""

    is_ready: bool
    reason: str | None
    engines: tuple[EngineStatus, ...]


def readiness_of(engines: tuple[EngineStatus, ...]) -> Readiness:
    """Ready if there is an engine and every one is."""
    if not engines:
        return Readiness(False, "no engine is loaded", ())
    for status in engines:
        if status.state != "ready" and not status.is_on_demand:
            return Readiness(False, status.reason or f"{status.model} is {status.state}", engines)
    return Readiness(True, None, engines)
