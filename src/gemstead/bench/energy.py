"""Energy while it runs: counters of the processor (RAPL) and of NVIDIA cards, sampled and integrated.

What is counted: processor packages and their memory, and cards; not the power supply, the board or the screen. Without
a counter there is no measurement, and whoever reports energy then says that the power was assumed.

Source: Linux, Documentation/power/powercap/powercap.rst (energy_uj, max_energy_range_uj; read 2026-11); nvidia-smi(1).
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from gemstead.core.units import MIB

POWERCAP = Path("/sys/class/powercap")
SAMPLE_S = 0.05
SETTLE_S = 0.25
"""More than two samples of the slowest source."""
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=index,power.draw,memory.used", "--format=csv,noheader,nounits", "-lms", "100")

Source: TypeAlias = Literal["rapl", "nvidia-smi"]


class PowerTrace(msgspec.Struct):
    """Joules so far at moments of `time.perf_counter()`, both rising."""

    times_s: list[float] = []
    joules: list[float] = []

    def add(self, at_s: float, joules: float) -> None:
        self.times_s.append(at_s)
        self.joules.append(joules)

    def energy_j(self, begin_s: float, end_s: float) -> float | None:
        """Between two moments, straight between samples; None where the trace does not reach."""
        if len(self.times_s) < 2 or begin_s < self.times_s[0] or end_s > self.times_s[-1]:
            return None
        return self._at(end_s) - self._at(begin_s)

    def _at(self, moment_s: float) -> float:
        above = min(bisect_right(self.times_s, moment_s), len(self.times_s) - 1)
        before_s, after_s = self.times_s[above - 1], self.times_s[above]
        share = (moment_s - before_s) / (after_s - before_s)
        return self.joules[above - 1] + share * (self.joules[above] - self.joules[above - 1])


class RaplCounter:
    """One energy counter of the kernel, which starts again from 0 at its range."""

    def __init__(self, folder: Path) -> None:
        """Raises: OSError if the counter cannot be read (only root may, on most systems); ValueError if it is none."""
        self._path = folder / "energy_uj"
        self._range_uj = int((folder / "max_energy_range_uj").read_text())
        self._last_uj = int(self._path.read_text())
        self._total_uj = 0

    def joules(self) -> float:
        """Since it was made. Must be read at least once in each turn of the counter (minutes)."""
        now_uj = int(self._path.read_text())
        self._total_uj += (now_uj - self._last_uj) % (self._range_uj + 1)
        self._last_uj = now_uj
        return self._total_uj / 1e6


def rapl_counters(root: Path = POWERCAP) -> list[RaplCounter]:
    """Packages and their memory, where this user may read them. Cores and the whole platform would count twice."""
    counters = []
    for folder in sorted(root.glob("intel-rapl:*")):
        with suppress(OSError, ValueError):
            name = (folder / "name").read_text().strip()
            if name.startswith("package") or name == "dram":
                counters.append(RaplCounter(folder))
    return counters


class Meter:
    """`sources` empty: nothing can be metered here, and `energy_j` is always None. `vram_bytes`: peak of all cards."""

    def __init__(self) -> None:
        self.sources: tuple[Source, ...] = ()
        self.vram_bytes: int | None = None
        self._traces: list[PowerTrace] = []

    def energy_j(self, begin_s: float, end_s: float) -> float | None:
        """Of all sources together, between two moments of `time.perf_counter()`."""
        parts = [trace.energy_j(begin_s, end_s) for trace in self._traces]
        known = [part for part in parts if part is not None]
        return sum(known) if parts and len(known) == len(parts) else None

    async def settle(self) -> None:
        """Waits until what has just happened is in the traces."""
        if self.sources:
            await asyncio.sleep(SETTLE_S)

    def trace(self, source: Source) -> PowerTrace:
        """A new trace that counts from now on."""
        self.sources = (*self.sources, source)
        self._traces.append(PowerTrace([], []))
        return self._traces[-1]


@asynccontextmanager
async def metered(root: Path = POWERCAP) -> AsyncIterator[Meter]:
    """A meter that samples as long as the block runs."""
    meter = Meter()
    tasks = []
    if counters := rapl_counters(root):
        trace = meter.trace("rapl")
        tasks.append(asyncio.create_task(_sample(counters, trace), name="energy counters"))
    process = await _nvidia_smi()
    if process is not None:
        tasks.append(asyncio.create_task(_read_cards(process, meter), name="cards' energy"))
    try:
        yield meter
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if process is not None:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _sample(counters: Sequence[RaplCounter], trace: PowerTrace) -> None:
    while True:
        trace.add(time.perf_counter(), sum(counter.joules() for counter in counters))
        await asyncio.sleep(SAMPLE_S)


async def _nvidia_smi() -> asyncio.subprocess.Process | None:
    """None without a driver."""
    try:
        return await asyncio.create_subprocess_exec(
            *NVIDIA_SMI,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None


async def _read_cards(process: asyncio.subprocess.Process, meter: Meter) -> None:
    """Watts to joules: each sample holds until the next of its card."""
    assert process.stdout is not None
    cards = CardSamples()
    trace: PowerTrace | None = None
    while line := await process.stdout.readline():
        sample = cards.take(line.decode("ascii", "replace"), time.perf_counter())
        if sample is None:
            continue
        trace = trace or meter.trace("nvidia-smi")
        trace.add(*sample)
        meter.vram_bytes = max(meter.vram_bytes or 0, cards.used_bytes)


class CardSamples:
    """Lines of `index, watts, MiB used` with their moments in, (moment, joules of all cards so far) out."""

    def __init__(self) -> None:
        self._joules = 0.0
        self._last: dict[str, tuple[float, float]] = {}
        self._used_bytes: dict[str, int] = {}

    @property
    def used_bytes(self) -> int:
        """Memory in use on all cards, by anybody."""
        return sum(self._used_bytes.values())

    def take(self, line: str, at_s: float) -> tuple[float, float] | None:
        """None for a line that tells no power."""
        try:
            index, watts, used_mib = line.split(",")
            power_w, used_bytes = float(watts), int(float(used_mib) * MIB)
        except ValueError:
            return None
        if (last := self._last.get(index)) is not None:
            self._joules += last[1] * (at_s - last[0])
        self._last[index] = (at_s, power_w)
        self._used_bytes[index] = used_bytes
        return at_s, self._joules
