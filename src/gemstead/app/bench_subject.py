"""What was measured, where, and what had been predicted, as the results keep it."""

from __future__ import annotations

from gemstead.app.machine_note import machine_note
from gemstead.app.setup import Setup
from gemstead.bench.results import Prediction, Subject
from gemstead.core.plan import Plan
from gemstead.engines.base import Installation
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
        batch_tokens=plan.batch_tokens,
        flash_attention=plan.flash_attention,
        speculation=plan.speculation,
        extra_args=setup.loaded.settings.engine.extra_args,
    )


def is_on_gpu(plan: Plan) -> bool:
    """Whether a GPU of its own memory computes all layers: then no layer's KV cache is on the host."""
    return plan.needed_bytes("gpu") > 0 and not any(
        part.name == "kv_cache" and part.place == "host" for part in plan.memory
    )


def prediction_of(plan: Plan) -> Prediction:
    """What the plan says, to be held against what is measured; for a plan without corrections by earlier results."""
    speed = plan.speed
    return Prediction(
        needed_bytes=plan.needed_bytes("host"),
        resident_bytes=plan.resident_bytes("host"),
        gpu_bytes=plan.needed_bytes("gpu"),
        prompt_tokens=speed.workload.prompt_tokens if speed else None,
        answer_tokens=speed.workload.answer_tokens if speed else None,
        decode_tok_per_s=speed.decode_tok_per_s if speed else None,
        prefill_tok_per_s=speed.prefill_tok_per_s if speed else None,
        # Tokens that are guessed ahead are not in the prediction: its error would say nothing about the next one.
        calibration=speed.calibration if speed and plan.speculation == "off" else None,
    )
