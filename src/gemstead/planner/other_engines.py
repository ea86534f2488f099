"""What engines other than llama.cpp would need, by part, and how fast they would be: from formulas, none of it tried.

Weights follow from the format. KV caches hold every token in global layers and a window (and what is in flight) in
sliding ones; layers without a cache of their own hold nothing. What a runtime takes beside that is assumed, with bars
as wide as the reports differ. Sources: vLLM's recipe for Gemma 4 and its hybrid KV cache, transformers and mlx-lm
(models/gemma4), the LiteRT-LM model pages; read November 2026.
"""

from __future__ import annotations

import msgspec

from gemstead.core.errors import RequestInvalid
from gemstead.core.figures import BytesFigure
from gemstead.core.plan import MemoryPart, PartName, Place
from gemstead.core.shapes import ModelShape
from gemstead.core.speed import Speed
from gemstead.core.units import GIB, MIB
from gemstead.hardware.snapshot import Machine
from gemstead.planner.calibration import Kind, cpu_kind, find_efficiency, gpu_kind
from gemstead.planner.candidate import Goal
from gemstead.planner.fit import Budget, find_budget
from gemstead.planner.formats import WeightFormat, format_traffic
from gemstead.planner.speed import Layout, Model, predict_speed
from gemstead.planner.units import Unit, reachable_bandwidth

_ENCODER_WEIGHTS = {
    "gemma-4-e2b": 472_190_144,
    "gemma-4-e4b": 472_190_144,
    "gemma-4-26b-a4b": 569_550_384,
    "gemma-4-31b": 569_550_384,
}
"""Elements of the vision and audio encoders, which load with the checkpoint, in 16 bits."""


class Engine(msgspec.Struct, frozen=True):
    """What an engine takes beside weights and KV cache, in bytes; `in_flight_tokens` widen each sliding window.

    `runtime_bytes` lie where it computes, `host_runtime_bytes` in the host where that is another place.
    """

    name: str
    in_flight_tokens: int
    kv_element_bytes: float
    activation_tokens: int
    runtime_bytes: int
    host_runtime_bytes: int
    has_encoders: bool
    is_table_mapped: bool
    needs_gpu: bool
    error: float


_ENGINES: dict[str, Engine] = {
    "vllm": Engine("vllm", 4096, 2, 2048, 1536 * MIB, 4 * GIB, True, False, True, 0.3),
    "transformers": Engine("transformers", 0, 2, 2048, 1024 * MIB, 3 * GIB, True, False, False, 0.3),
    "mlx": Engine("mlx", 512, 2, 512, 512 * MIB, 0, False, False, False, 0.3),
    "litert-lm": Engine("litert-lm", 128, 2, 128, 192 * MIB, 192 * MIB, False, True, False, 0.4),
}


class EngineNeed(msgspec.Struct, frozen=True):
    """One model in one format on one engine and machine. `missing_bytes` is 0 if it fits."""

    engine: str
    model: str
    form: str
    context_length: int
    memory: tuple[MemoryPart, ...]
    missing_bytes: int
    speed: Speed | None

    def resident_bytes(self, place: Place) -> int:
        return sum(part.size.num_bytes for part in self.memory if part.place == place and not part.is_reclaimable)


def engine_need(shape: ModelShape, form: WeightFormat, machine: Machine, goal: Goal) -> EngineNeed:
    """Memory by part and speed for the goal's context and slots; everything on the GPU where the machine has one.

    Raises: RequestInvalid if the engine does not run on such a machine, or the goal names no context.
    """
    engine = _ENGINES[form.engine]
    context = goal.context_length
    if context is None or context > shape.max_context:
        raise RequestInvalid(
            f"a context of {context} tokens for {shape.name}",
            param="context",
            hint=f"use --context {shape.max_context}",
        )
    _check_machine(engine, machine)
    budget = find_budget(machine, goal)
    place: Place = "gpu" if machine.own_memory_gpus and goal.can_use_gpu else "host"
    memory = _memory(shape, form, engine, goal, place)
    need = EngineNeed(engine.name, shape.name, form.name, context, memory, 0, _speed(shape, form, machine, goal))
    return msgspec.structs.replace(need, missing_bytes=_missing_bytes(need, budget))


def _check_machine(engine: Engine, machine: Machine) -> None:
    is_apple = any(gpu.vendor == "apple" for gpu in machine.gpus)
    if engine.name == "mlx" and not is_apple:
        raise RequestInvalid("MLX runs on Apple's processors", param="engine", hint="gemstead plan --engine llama.cpp")
    if engine.needs_gpu and not any(gpu.vendor in {"nvidia", "amd"} for gpu in machine.gpus):
        raise RequestInvalid(
            f"{engine.name} is planned for NVIDIA and AMD GPUs, and {machine.name} has none",
            param="engine",
            hint="gemstead plan --engine llama.cpp",
        )


def _memory(shape: ModelShape, form: WeightFormat, engine: Engine, goal: Goal, place: Place) -> tuple[MemoryPart, ...]:
    traffic = format_traffic(shape, form)
    resident = traffic.dense_bytes + traffic.head_bytes + traffic.expert_bytes
    table = traffic.lookup_bytes * shape.vocab_size - traffic.head_bytes
    encoders = 2 * _ENCODER_WEIGHTS.get(shape.name, 0) if engine.has_encoders else 0
    parts = [_part("weights", place, resident + (0 if engine.is_table_mapped else table), form.error)]
    if engine.is_table_mapped:
        mapped = BytesFigure(round(table), "computed", form.error, "rows are read from the mapped file as needed")
        parts.append(MemoryPart("weights", "host", mapped, is_reclaimable=True))
    parts += [
        _part("mmproj", place, encoders, form.error),
        _part("kv_cache", place, _kv_bytes(shape, engine, goal), 0.15),
        _part("compute_buffer", place, _activation_bytes(shape, engine, goal.num_slots), engine.error),
        MemoryPart("runtime", place, BytesFigure(engine.runtime_bytes, "assumed", engine.error)),
    ]
    if place == "gpu" and engine.host_runtime_bytes:
        parts.append(MemoryPart("runtime", "host", BytesFigure(engine.host_runtime_bytes, "assumed", engine.error)))
    return tuple(part for part in parts if part.size.num_bytes)


def _kv_bytes(shape: ModelShape, engine: Engine, goal: Goal) -> float:
    """K and V: all tokens in global layers; in sliding ones a window and what is in flight, never more than all."""
    assert goal.context_length is not None
    total = 0.0
    for layer in shape.layers:
        if layer.has_kv:
            tokens = goal.context_length
            if layer.is_sliding:
                tokens = min(tokens, shape.window + engine.in_flight_tokens)
            total += 2 * layer.num_kv_heads * layer.head_dim * tokens * goal.num_slots
    return total * engine.kv_element_bytes


def _activation_bytes(shape: ModelShape, engine: Engine, num_slots: int) -> float:
    """16-bit values alive at the widest point of a layer for one batch, and 32-bit logits of every slot."""
    widest = max(layer.ffn_size for layer in shape.layers)
    routed = shape.num_experts_used * shape.expert_ffn_size
    per_token = 2 * (3 * max(widest, routed) + 4 * shape.hidden_size)
    return engine.activation_tokens * per_token + 4 * num_slots * shape.vocab_size


def _part(name: PartName, place: Place, num_bytes: float, error: float) -> MemoryPart:
    return MemoryPart(name, place, BytesFigure(round(num_bytes), "computed", error))


def _missing_bytes(need: EngineNeed, budget: Budget) -> int:
    host = max(0, need.resident_bytes("host") - budget.host_bytes)
    gpu = max(0, need.resident_bytes("gpu") - (budget.gpu_bytes or 0))
    return host + gpu


def _speed(shape: ModelShape, form: WeightFormat, machine: Machine, goal: Goal) -> Speed | None:
    assert goal.context_length is not None
    unit = _unit(form.engine, machine, goal)
    if unit is None:
        return None
    model = Model(shape, format_traffic(shape, form), form.name)
    batch = _ENGINES[form.engine].activation_tokens
    layout = Layout((unit,), goal.context_length, goal.num_slots, batch, machine.power)
    return predict_speed(model, layout, goal.workload)


def _unit(engine: str, machine: Machine, goal: Goal) -> Unit | None:
    if machine.gpus and goal.can_use_gpu:
        gpu = machine.gpus[0]
        kind: Kind = "webgpu" if engine == "litert-lm" else gpu_kind(gpu)
        if gpu.bandwidth is None:
            return None
        return Unit(1.0, gpu.bandwidth, gpu.matmul, find_efficiency(engine, kind))
    if machine.memory.bandwidth is None:
        return None
    efficiency = find_efficiency(engine, cpu_kind(machine))
    return Unit(1.0, reachable_bandwidth(machine.memory.bandwidth), machine.cpu.matmul, efficiency)
