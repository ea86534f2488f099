"""Why an engine ended, as an error a person can act on: its status, its last words, one hint."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from gemstead.core.errors import EngineFailed, GemsteadError
from gemstead.core.units import format_duration
from gemstead.engines.base import Diagnosis, EngineKind
from gemstead.engines.restarts import RestartPolicy

SHOWN_LINES = 5
"""Last words shown where they do not tell the cause; the log has the rest."""

_BY_SIGNAL = {
    signal.SIGKILL: Diagnosis(
        "the system killed it, most likely because memory ran out", "gemstead plan", is_out_of_memory=True
    ),
    signal.SIGILL: Diagnosis(
        "it was built for another CPU", "remove its folder, then run: gemstead engine install llama_cpp"
    ),
    signal.SIGBUS: Diagnosis("its model file changed or vanished while it ran", "gemstead models verify"),
}


def exit_error(kind: EngineKind, model: str, status: int, tail: Sequence[str], log_path: Path) -> EngineFailed:
    """An engine that ended without being asked. `status` above 128 stands for signal `status - 128`."""
    diagnosis = _by_signal(status) or (kind.diagnose(tail) if kind.diagnose else None)
    return EngineFailed(
        f"{kind.title} with {model} ended: {describe_status(status)}",
        why=diagnosis.why if diagnosis else "\n".join(_last_words(tail)) or None,
        hint=diagnosis.hint if diagnosis else f"its log is {log_path}",
        retry_after_s=1.0,
    )


def start_timeout_error(kind: EngineKind, model: str, waited_s: float, tail: Sequence[str]) -> EngineFailed:
    """An engine that is alive and not ready."""
    return EngineFailed(
        f"{kind.title} was not ready with {model} after {format_duration(waited_s)}",
        why="\n".join(_last_words(tail)) or None,
        hint="raise engine.start_timeout_s, or choose a smaller model with `gemstead plan`",
    )


def crash_limit_error(last: GemsteadError, policy: RestartPolicy) -> EngineFailed:
    """An engine that is not started again."""
    return EngineFailed(
        f"{last.what}, more than {policy.max_restarts} times within {format_duration(policy.window_s)}",
        why=last.why,
        hint=last.hint,
    )


def describe_status(status: int) -> str:
    """`exit status 1`, `killed by SIGKILL`."""
    number = status - 128
    if number in set(signal.Signals):
        return f"killed by {signal.Signals(number).name}"
    return f"exit status {status}"


def _by_signal(status: int) -> Diagnosis | None:
    return next((found for number, found in _BY_SIGNAL.items() if status == 128 + number), None)


def _last_words(tail: Sequence[str]) -> list[str]:
    return [line for line in tail if line.strip()][-SHOWN_LINES:]
