"""What was measured, where, and what had been predicted, as the results keep it."""

from __future__ import annotations

import platform

from gemstead.app.setup import Setup
from gemstead.bench.results import MachineNote, Prediction, Subject
from gemstead.core.plan import Plan
from gemstead.engines.base import Installation
from gemstead.hardware.ceilings import machine_fingerprint
from gemstead.hardware.snapshot import Machine


def subject_of(setup: Setup, plan: Plan, installation: Installation, machine: Machine) -> Subject:
    """What is measured, as the results keep it."""
    manifest = setup.store.find(plan.model)
    files = manifest.files_of("model") if manifest else []
    return Subject(
        model=plan.model,
        quant=plan.quant,
        model_sha256=files[0].sha256 if files else None,
        engine=installation.kind,
        engine_version=installation.version,
        engine_sha256=installation.digest,
        machine=machine_note(machine),
        context_length=plan.context_length,
        num_slots=plan.num_slots,
        kv_cache_dtype=plan.kv_cache_dtype,
        num_threads=plan.num_threads,
        ubatch_tokens=plan.ubatch_tokens,
        gpu_layers=plan.gpu_layers,
        extra_args=setup.loaded.settings.engine.extra_args,
    )


def machine_note(machine: Machine) -> MachineNote:
    """The machine, as the results keep it."""
    gpus = tuple(f"{gpu.name} ({gpu.total_bytes >> 30} GiB)" for gpu in machine.gpus)
    return MachineNote(
        fingerprint=" | ".join((machine_fingerprint(machine), *gpus)),
        cpu=machine.cpu.model,
        usable_cores=machine.cpu.usable_cores,
        total_bytes=machine.memory.total_bytes,
        system=f"{platform.system()} {platform.release()}",
        gpus=gpus,
    )


def prediction_of(plan: Plan) -> Prediction:
    """What the plan says, to be held against what is measured."""
    speed = plan.speed
    return Prediction(
        needed_bytes=plan.needed_bytes("host"),
        resident_bytes=plan.resident_bytes("host"),
        gpu_bytes=plan.needed_bytes("gpu"),
        prompt_tokens=speed.workload.prompt_tokens if speed else None,
        answer_tokens=speed.workload.answer_tokens if speed else None,
        decode_tok_per_s=speed.decode_tok_per_s if speed else None,
        prefill_tok_per_s=speed.prefill_tok_per_s if speed else None,
    )
