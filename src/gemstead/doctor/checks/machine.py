"""Memory, limits, swap and instruction sets: what every plan stands on."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.core.units import GIB, format_bytes
from gemstead.doctor.check import Check
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import Subject
from gemstead.hardware.snapshot import Cpu

MIN_MEMORY_BYTES = 4 * GIB
"""The smallest Gemma 4 takes 2.6 GiB as a file, and the system needs the rest."""
MAX_SWAP_SHARE = 0.1
"""Of main memory in swap: more says that memory is short, whoever made it so."""
_NEEDED_SETS = {"x86_64": "avx2", "AMD64": "avx2", "aarch64": "dotprod", "arm64": "dotprod"}
"""Without these an engine falls back to kernels that are several times slower."""


def look(subject: Subject) -> Iterator[Finding]:
    machine, history = subject.machine, subject.memory_history
    usable_bytes = machine.memory.limit_bytes or machine.memory.total_bytes
    limit = " (limit of the control group)" if machine.memory.limit_bytes else ""
    yield Finding(
        "ok" if usable_bytes >= MIN_MEMORY_BYTES else "warning",
        f"{format_bytes(usable_bytes)} memory{limit}, {machine.cpu.usable_cores} usable cores",
        None if usable_bytes >= MIN_MEMORY_BYTES else "the smallest Gemma 4 needs about 4 GiB",
        None if usable_bytes >= MIN_MEMORY_BYTES else "gemstead plan",
        {
            "total_bytes": machine.memory.total_bytes,
            "limit_bytes": machine.memory.limit_bytes,
            "available_bytes": machine.memory.available.num_bytes,
            "swap_total_bytes": history.swap_total_bytes,
            "swap_used_bytes": history.swap_used_bytes,
            "instruction_sets": " ".join(machine.cpu.instruction_sets),
        },
    )
    if history.swap_used_bytes > MAX_SWAP_SHARE * usable_bytes:
        yield Finding(
            "warning",
            f"{format_bytes(history.swap_used_bytes)} are in swap",
            "weights and caches that are swapped out make every token wait for the disk",
            "end programs that hold memory, then run: gemstead plan",
        )
    yield from _look_at_cpu(machine.cpu)
    for note in machine.notes:
        yield Finding("note", note)


def _look_at_cpu(cpu: Cpu) -> Iterator[Finding]:
    needed = _NEEDED_SETS.get(cpu.architecture)
    # macOS does not list them; every Apple processor has what it needs.
    if needed is not None and cpu.instruction_sets and needed not in cpu.instruction_sets:
        yield Finding(
            "warning",
            f"the processor lacks {needed}",
            "prefill and decode run on slow kernels here",
            "gemstead plan --model gemma4:e2b",
            {"model": cpu.model},
        )


CHECK = Check(
    name="machine",
    group="machine",
    looks_at="memory, the limit of the control group, swap, usable cores, instruction sets",
    complains_when="there is less than 4 GiB, a tenth of it is in swap, or AVX2 (ARM: dot product) is missing",
    look=look,
)
