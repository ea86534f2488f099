"""The machine a result was measured on, as the results keep it."""

from __future__ import annotations

import platform

from gemstead.bench.results import MachineNote
from gemstead.hardware.ceilings import machine_fingerprint
from gemstead.hardware.snapshot import Machine


def machine_note(machine: Machine) -> MachineNote:
    """Equal fingerprints mean that speeds may be compared: processor, usable cores, memory, graphics cards."""
    gpus = tuple(f"{gpu.name} ({gpu.total_bytes >> 30} GiB)" for gpu in machine.gpus)
    return MachineNote(
        fingerprint=" | ".join((machine_fingerprint(machine), *gpus)),
        cpu=machine.cpu.model,
        usable_cores=machine.cpu.usable_cores,
        total_bytes=machine.memory.total_bytes,
        system=f"{platform.system()} {platform.release()}",
        gpus=gpus,
    )
