"""`gemstead hardware`: what this machine has that matters for running models, and what it can do at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.hardware.snapshot import Machine


def register(app: typer.Typer) -> None:
    app.command("hardware")(hardware)


def hardware(
    on: Annotated[str | None, typer.Option("--on", help="A named machine instead of this one.")] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure memory bandwidth and matrix throughput again (2 s).")
    ] = False,
    profiles: Annotated[bool, typer.Option("--profiles", help="List the named machines.")] = False,
    json: options.Json = False,
) -> None:
    """Show processor, memory, GPUs, disk, and the measured ceilings: memory bandwidth and matrix throughput."""
    from gemstead.app.setup import machine_named, this_machine
    from gemstead.cli.output import note, print_json, print_table
    from gemstead.hardware.profiles import load_profile, profile_names

    if profiles:
        machines = [load_profile(name) for name in profile_names()]
        if json:
            print_json("profiles/1", machines)
        else:
            print_table(("name", "memory", "GPU", "source"), [_profile_row(machine) for machine in machines])
        return
    loaded = options.load()
    machine = this_machine(loaded, is_fresh=measure) if on is None else machine_named(loaded, on)
    if json:
        print_json("hardware/1", machine)
        return
    print_table(("what", "value"), _rows(machine))
    for text in machine.notes:
        note(f"note: {text}")


def _profile_row(machine: Machine) -> tuple[str, str, str, str]:
    from gemstead.core.units import format_bytes

    gpus = ", ".join(f"{gpu.name} {format_bytes(gpu.total_bytes)}" for gpu in machine.gpus)
    return (machine.name, format_bytes(machine.memory.total_bytes), gpus, machine.source or "")


def _rows(machine: Machine) -> list[tuple[str, object]]:
    from gemstead.cli.output import show_bytes, show_figure
    from gemstead.core.units import format_bytes

    cpu, memory = machine.cpu, machine.memory
    rows: list[tuple[str, object]] = [
        ("processor", f"{cpu.model or 'unknown'} ({cpu.architecture})"),
        ("cores", f"{cpu.physical_cores or '?'} physical, {cpu.logical_cores} logical, {cpu.usable_cores} usable"),
        ("instruction sets", " ".join(cpu.instruction_sets) or "unknown"),
        ("memory", f"{format_bytes(memory.total_bytes)}, {show_bytes(memory.available)} free"),
    ]
    if memory.limit_bytes is not None:
        rows.append(("memory limit", f"{format_bytes(memory.limit_bytes)} (control group)"))
    if memory.bandwidth is not None:
        rows.append(("memory bandwidth", show_figure(memory.bandwidth, 1e9, "GB/s")))
    if cpu.matmul is not None:
        rows.append(("matrix throughput", show_figure(cpu.matmul, 1e9, "GFLOP/s")))
    if machine.power is not None:
        rows.append(("power at work", show_figure(machine.power, 1, "W")))
    for gpu in machine.gpus:
        kind = "shares the machine's memory" if gpu.is_unified_memory else f"{show_bytes(gpu.available)} free"
        rows.append(("GPU", f"{gpu.name}, {format_bytes(gpu.total_bytes)}, {kind}"))
    if not machine.gpus:
        rows.append(("GPU", "none found"))
    if machine.disk is not None:
        rows.append(("disk for models", f"{format_bytes(machine.disk.free_bytes)} free at {machine.disk.path}"))
    return rows
