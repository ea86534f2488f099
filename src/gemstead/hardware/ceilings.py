"""What this machine can do at most, measured once and remembered: memory bandwidth and matrix throughput.

The measurements hold for one machine: processor, cores that may be used, memory. Another machine that finds the same
data directory measures anew.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from gemstead.core.figures import Figure
from gemstead.hardware.bandwidth import measure_bandwidth
from gemstead.hardware.snapshot import Machine
from gemstead.hardware.throughput import measure_matmul


class Ceilings(msgspec.Struct, frozen=True):
    """`bandwidth` in bytes per second, read and write together; `matmul` in operations per second on 32-bit floats."""

    fingerprint: str
    bandwidth: Figure | None
    matmul: Figure | None


def machine_fingerprint(machine: Machine) -> str:
    """What the ceilings depend on, as one line."""
    cpu = machine.cpu
    sets = " ".join(cpu.instruction_sets)
    return f"{cpu.model} | {cpu.usable_cores} cores | {machine.memory.total_bytes} bytes | {sets}"


def measured_ceilings(machine: Machine, path: Path, *, is_fresh: bool = False) -> Ceilings:
    """The remembered ceilings of `machine`, which must be this one; else measured now, in two seconds, and kept.

    `path` is the file that remembers them. `is_fresh` measures again. Never raises for a file that cannot be read or
    written: measuring is cheap.
    """
    fingerprint = machine_fingerprint(machine)
    remembered = None if is_fresh else _read(path)
    if remembered is not None and remembered.fingerprint == fingerprint:
        return remembered
    cpu = machine.cpu
    found = Ceilings(
        fingerprint,
        measure_bandwidth(cpu.usable_cores, cpu.last_level_cache_bytes, machine.memory.available.num_bytes),
        measure_matmul(cpu.usable_cores),
    )
    _write(path, found)
    return found


def with_ceilings(machine: Machine, ceilings: Ceilings) -> Machine:
    """`machine` with what was measured filled in."""
    notes = machine.notes
    if ceilings.bandwidth is None:
        notes += ("too little free memory to measure its bandwidth",)
    if ceilings.matmul is None:
        notes += ("the matrix throughput could not be measured: prefill is not predicted",)
    return msgspec.structs.replace(
        machine,
        cpu=msgspec.structs.replace(machine.cpu, matmul=ceilings.matmul),
        memory=msgspec.structs.replace(machine.memory, bandwidth=ceilings.bandwidth),
        notes=notes,
    )


def _read(path: Path) -> Ceilings | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ceilings)
    except (OSError, msgspec.MsgspecError, UnicodeError):
        return None


def _write(path: Path, ceilings: Ceilings) -> None:
    """Whole or not at all; a disk that does not take it costs only the memory."""
    partial = path.with_suffix(".partial")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(msgspec.json.encode(ceilings))
        partial.replace(path)
    with suppress(OSError):
        partial.unlink(missing_ok=True)
