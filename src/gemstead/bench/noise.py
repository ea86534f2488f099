"""Whether the machine was quiet enough to believe what was measured on it.

Looked at before and after: how long a fixed piece of work on one core takes, and how much that varies. Looked at over
the whole time: processor time that went to others, and time a hypervisor took away (steal). Where a GPU does the work,
the loop is no reason for doubt: a virtual core that shares its hardware with a neighbour's runs at two speeds there,
and the answers do not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable

import msgspec

_LOOP_STEPS = 400_000
_LOOP_ROUNDS = 25
_WARM_UP_ROUNDS = 5
"""Not counted: a core that was idle comes up to its clock rate meanwhile."""
MAX_LOOP_VARIATION = 0.10
MAX_LOOP_CHANGE = 0.10
MAX_STEAL_SHARE = 0.02
MAX_OTHERS_SHARE = 0.15
"""Of all cores. Above these, a figure may be off by more than the effects people look for."""


class LoopTimes(msgspec.Struct, frozen=True):
    """A fixed loop of Python arithmetic: `median_s`, and the quartiles' distance over it."""

    median_s: float
    variation: float


class CpuTimes(msgspec.Struct, frozen=True):
    """Seconds of processor time since the start of the machine, over all cores, and of the processes measured."""

    at_s: float
    busy_s: float
    steal_s: float
    total_s: float
    own_s: float


class Noise(msgspec.Struct, frozen=True):
    """What disturbed a run. Shares are of all cores' time. `is_on_gpu`: all layers ran on a GPU."""

    load_before: float | None
    loop_before: LoopTimes
    loop_after: LoopTimes
    others_share: float
    steal_share: float
    is_on_gpu: bool = False

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not to trust the figures; none: the machine was quiet."""
        return tuple(_reasons(self))

    @property
    def is_quiet(self) -> bool:
        return not self.reasons


def time_loop() -> LoopTimes:
    """Half a second of work on one core, in rounds about as long as a token takes."""
    times = []
    for _ in range(_WARM_UP_ROUNDS + _LOOP_ROUNDS):
        begin_s = time.perf_counter()
        total = 0
        for step in range(_LOOP_STEPS):
            total += step * step
        times.append(time.perf_counter() - begin_s)
    low, median, high = statistics.quantiles(times[_WARM_UP_ROUNDS:], n=4)
    return LoopTimes(median, (high - low) / median)


def read_cpu_times(pids: Iterable[int]) -> CpuTimes:
    """Now; `pids` are the processes that are measured, besides this one."""
    import psutil

    cpu = psutil.cpu_times()
    idle_s = cpu.idle + getattr(cpu, "iowait", 0.0)
    steal_s = getattr(cpu, "steal", 0.0)
    # user and nice hold guest time already.
    total_s = sum(cpu) - getattr(cpu, "guest", 0.0) - getattr(cpu, "guest_nice", 0.0)
    own = psutil.Process().cpu_times()
    own_s = own.user + own.system
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.Error:
            continue
        own_s += times.user + times.system
    return CpuTimes(time.monotonic(), total_s - idle_s - steal_s, steal_s, total_s, own_s)


def read_load() -> float | None:
    """Processes that want a core, a minute's average, over the number of cores; None where the system does not say."""
    import os

    if not hasattr(os, "getloadavg"):
        return None
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def noise_between(
    before: CpuTimes,
    after: CpuTimes,
    loops: tuple[LoopTimes, LoopTimes],
    load: float | None,
    *,
    is_on_gpu: bool = False,
) -> Noise:
    """What happened from `before` to `after`. Processes that ended meanwhile count as others."""
    total_s = max(after.total_s - before.total_s, 1e-9)
    others_s = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    return Noise(
        load_before=load,
        loop_before=loops[0],
        loop_after=loops[1],
        others_share=max(0.0, others_s) / total_s,
        steal_share=max(0.0, after.steal_s - before.steal_s) / total_s,
        is_on_gpu=is_on_gpu,
    )


def _reasons(noise: Noise) -> Iterable[str]:
    variation = max(noise.loop_before.variation, noise.loop_after.variation)
    change = abs(noise.loop_after.median_s / noise.loop_before.median_s - 1)
    if variation > MAX_LOOP_VARIATION and not noise.is_on_gpu:
        yield f"a fixed loop varies by {variation:.0%} from run to run"
    if change > MAX_LOOP_CHANGE and not noise.is_on_gpu:
        yield f"the same loop took {change:.0%} more or less after than before"
    if noise.others_share > MAX_OTHERS_SHARE:
        yield f"other programs used {noise.others_share:.0%} of the processor"
    if noise.steal_share > MAX_STEAL_SHARE:
        yield f"the hypervisor took {noise.steal_share:.0%} of the processor away"
