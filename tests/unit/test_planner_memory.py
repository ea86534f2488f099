"""Buffers and the table of parts, against what llama-server 0.5.0-dev (0c1e570) logged on a CPU."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.catalog.tensors import ple_bytes, tensor_table
from gemstead.core.plan import MemoryPart, Place
from gemstead.core.shapes import LayerShape, ModelShape
from gemstead.core.units import MIB
from gemstead.planner.buffers import (
    COMPUTE_ERROR,
    GPU_COMPUTE_ERROR,
    compute_buffer_bytes,
    input_buffer_bytes,
    output_buffer_bytes,
    runtime_bytes,
)
from gemstead.planner.candidate import Candidate, Goal, find_weights
from gemstead.planner.kv_cache import kv_cells
from gemstead.planner.memory import CPU_ONLY, Placement, memory_parts, place_weights

_LLAMA_LAYER = LayerShape(is_sliding=False, num_heads=9, num_kv_heads=3, head_dim=64, ffn_size=1536)
_GEMMA3_LAYER = LayerShape(is_sliding=True, num_heads=4, num_kv_heads=1, head_dim=256, ffn_size=2048)
SHAPES = {
    **GEMMA4_SHAPES,
    "smollm2": ModelShape("smollm2", "llama", 576, 49_152, 8192, (_LLAMA_LAYER,) * 30),
    "gemma3": ModelShape("gemma3", "gemma3", 640, 262_144, 32_768, (_GEMMA3_LAYER,) * 18, window=512),
}
E2B = Candidate("gemma4:e2b", "Q4_0", GEMMA4_SHAPES["e2b"], mix="ggml-org/Q4_0", mmproj_bytes=500_000_000)

# (model, context of a slot, slots, one pool?, ubatch, MiB of the line "compute buffer size")
MEASURED = [
    ("e2b", 8192, 1, False, 512, 118.52),
    ("e2b", 8192, 1, False, 256, 59.14),
    ("e2b", 8192, 1, False, 128, 29.57),
    ("e2b", 8192, 1, False, 1024, 238.04),
    ("e2b", 32_768, 1, False, 512, 142.52),
    ("e2b", 131_072, 1, False, 512, 238.52),
    ("e2b", 8192, 4, True, 512, 144.02),
    ("e2b", 8192, 4, False, 512, 118.52),
    ("e4b", 4096, 1, False, 512, 117.02),
    ("12b", 4096, 1, False, 512, 134.02),
    ("26b-a4b", 4096, 1, False, 512, 101.52),
    ("31b", 4096, 1, False, 512, 179.02),
    ("31b", 1024, 4, False, 512, 175.52),
    ("smollm2", 4096, 1, False, 512, 17.51),
    ("smollm2", 4096, 2, False, 512, 17.51),
    ("smollm2", 2048, 1, False, 256, 7.76),
    ("gemma3", 8192, 1, False, 512, 26.77),
    ("gemma3", 4096, 2, False, 512, 22.77),
]


@pytest.mark.parametrize(("model", "context", "slots", "is_unified", "batch", "logged"), MEASURED)
def test_compute_buffer_is_within_its_error_bar(
    model: str, context: int, slots: int, is_unified: bool, batch: int, logged: float
) -> None:
    shape = SHAPES[model]
    cells = kv_cells(shape, context, slots, ubatch_tokens=batch, is_unified=is_unified)
    predicted = compute_buffer_bytes(shape, cells, slots, batch) / MIB
    assert abs(predicted - logged) <= COMPUTE_ERROR * predicted
    if model in {"e2b", "12b", "smollm2", "gemma3"}:
        assert round(predicted, 2) == pytest.approx(logged, abs=0.021)


# (model, context, MiB of the compute buffers on the card and on the host): llama-server on an H100 with CUDA, one slot
ON_H100 = [
    ("e2b", 32_768, 146.52, 56.52),
    ("26b-a4b", 4096, 145.52, 16.52),
    ("26b-a4b", 32_768, 173.52, 44.52),
    ("31b", 4096, 184.52, 26.52),
    ("31b", 32_768, 212.52, 54.52),
]


@pytest.mark.parametrize(("model", "context", "on_card", "on_host"), ON_H100)
def test_buffers_beside_a_gpu_are_what_was_logged_there(
    model: str, context: int, on_card: float, on_host: float
) -> None:
    cells = kv_cells(SHAPES[model], context, 1)
    assert round(input_buffer_bytes(SHAPES[model], cells, 512) / MIB, 2) == pytest.approx(on_host, abs=0.011)
    predicted = compute_buffer_bytes(SHAPES[model], cells, 1, 512) / MIB
    assert abs(predicted - on_card) <= GPU_COMPUTE_ERROR * predicted


# (model, context, MiB by nvidia-smi and of host memory) after prompts of 4,000 tokens on an H100, Q4_0, nothing kept
HELD_ON_H100 = [("e2b", 2492, 2291), ("26b-a4b", 15_750, 1401), ("31b", 21_734, 1987)]


@pytest.mark.parametrize(("model", "on_card", "on_host"), HELD_ON_H100)
def test_memory_on_a_gpu_and_beside_it_is_near_what_was_held(model: str, on_card: float, on_host: float) -> None:
    shape = GEMMA4_SHAPES[model]
    candidate = Candidate(f"gemma4:{model}", "Q4_0", shape, mix="ggml-org/Q4_0")
    parts = parts_of(candidate, context=32_768, placement=Placement(shape.num_layers + 1))
    assert total(parts, "gpu") / MIB == pytest.approx(on_card, rel=0.03)
    assert total(parts, "host") / MIB == pytest.approx(on_host, rel=0.06)


def test_layers_that_stay_behind_need_the_whole_graph_on_the_host() -> None:
    def buffer(gpu_layers: int) -> int:
        parts = parts_of(placement=Placement(gpu_layers))
        return total(tuple(part for part in parts if part.name == "compute_buffer"), "host")

    everything = GEMMA4_SHAPES["e2b"].num_layers + 1
    assert buffer(everything) < buffer(everything - 1) == buffer(0)


def test_outputs_are_one_row_of_logits_per_slot() -> None:
    assert output_buffer_bytes(GEMMA4_SHAPES["e2b"], 4) == 4 * MIB


# Private memory right after loading, less KV cache, outputs and repacked weights, in MiB.
@pytest.mark.parametrize(
    ("model", "measured_mib"), [("e2b", 112), ("e4b", 124), ("26b-a4b", 124), ("gemma3", 52), ("smollm2", 21)]
)
def test_process_overhead_is_within_its_error_bar(model: str, measured_mib: int) -> None:
    shape = SHAPES[model]
    predicted = (runtime_bytes(shape, 1) - output_buffer_bytes(shape, 1)) / MIB
    assert predicted == pytest.approx(measured_mib, rel=0.15)


def parts_of(
    candidate: Candidate = E2B, goal: Goal | None = None, context: int = 8192, placement: Placement = CPU_ONLY
) -> tuple[MemoryPart, ...]:
    placed = place_weights(candidate, find_weights(candidate), ("avx2",))
    return memory_parts(candidate, placed, goal or Goal(), context, placement)


def total(parts: tuple[MemoryPart, ...], place: Place, *, is_reclaimable: bool | None = None) -> int:
    return sum(
        part.size.num_bytes for part in parts if part.place == place and is_reclaimable in {None, part.is_reclaimable}
    )


def test_on_a_cpu_everything_is_the_hosts_and_rearranged_pages_may_go() -> None:
    parts = parts_of()
    assert {part.place for part in parts} == {"host"}
    cold = [part for part in parts if part.is_reclaimable]
    repacked = [part for part in parts if part.name == "repacked_weights"]
    assert [part.name for part in cold] == ["weights"]
    assert [part.size.num_bytes for part in cold] == [part.size.num_bytes for part in repacked]


def test_every_part_has_a_basis_and_an_error_bar() -> None:
    everything = GEMMA4_SHAPES["e2b"].num_layers + 1
    for placement in (CPU_ONLY, Placement(everything), Placement(everything, is_unified_memory=True)):
        assert all(part.size.error is not None for part in parts_of(placement=placement))


def test_on_a_gpu_the_lookup_tables_stay_on_the_host() -> None:
    shape = GEMMA4_SHAPES["e2b"]
    parts = parts_of(placement=Placement(shape.num_layers + 1))
    hot = [part for part in parts if part.name == "weights" and part.place == "host" and not part.is_reclaimable]
    assert hot[0].size.num_bytes > ple_bytes(shape, "ggml-org/Q4_0")
    assert {part.name for part in parts if part.place == "gpu"} == {
        "weights",
        "kv_cache",
        "compute_buffer",
        "mmproj",
        "runtime",
    }
    assert not [part for part in parts if part.name == "repacked_weights"]


def test_the_cache_of_a_layer_is_where_the_layer_is() -> None:
    shape = GEMMA4_SHAPES["12b"]
    candidate = Candidate("gemma4:12b", "Q4_0", shape, mix="ggml-org/Q4_0")
    whole = total(tuple(part for part in parts_of(candidate) if part.name == "kv_cache"), "host")
    halves = tuple(part for part in parts_of(candidate, placement=Placement(25)) if part.name == "kv_cache")
    assert total(halves, "host") + total(halves, "gpu") == whole
    assert total(halves, "gpu") == whole // 2  # the output layer and the last 24 of 48


def test_unified_memory_holds_one_copy_of_the_weights() -> None:
    everything = GEMMA4_SHAPES["e2b"].num_layers + 1
    parts = parts_of(placement=Placement(everything, is_unified_memory=True))
    assert {part.place for part in parts} == {"host"}
    weights = sum(part.size.num_bytes for part in parts if part.name in {"weights", "repacked_weights"})
    tensors = tensor_table(GEMMA4_SHAPES["e2b"], "ggml-org/Q4_0")
    assert weights == sum(tensor.num_bytes for tensor in tensors)


def test_a_file_that_deviates_from_the_rules_is_scaled_to_its_size() -> None:
    plain = Candidate("gemma4:e4b", "Q4_K_M", GEMMA4_SHAPES["e4b"], file_bytes=5_335_289_824)
    custom = Candidate("gemma4:e4b", "Q4_K_M", GEMMA4_SHAPES["e4b"], file_bytes=4_977_171_584)
    assert find_weights(plain).scale == 1
    assert find_weights(custom).scale == pytest.approx(4_977_171_584 / 5_335_289_824, rel=1e-4)
    assert find_weights(custom).error > find_weights(plain).error


def test_where_only_the_size_is_known_it_is_taken_as_it_is() -> None:
    candidate = Candidate("smollm2:135m", "Q4_1", SHAPES["smollm2"], file_bytes=98_362_432)
    weights = [part for part in parts_of(candidate) if part.name == "weights"]
    assert [(part.size.num_bytes, part.size.basis) for part in weights] == [(98_362_432, "published")]


def test_an_unknown_quantization_of_gemma_4_is_sized_by_its_file() -> None:
    candidate = Candidate("gemma4:31b", "UD-Q4_K_XL", GEMMA4_SHAPES["31b"], file_bytes=19_000_000_000)
    weights = sum(part.size.num_bytes for part in parts_of(candidate) if part.name == "weights")
    assert weights == pytest.approx(19_000_000_000, rel=0.002)


variants = st.sampled_from(list(GEMMA4_SHAPES))
contexts = st.integers(256, 131_072)


def required(variant: str, context: int, slots: int, gpu_layers: int) -> int:
    shape = GEMMA4_SHAPES[variant]
    candidate = Candidate(variant, "Q4_0", shape)
    placement = Placement(min(gpu_layers, shape.num_layers + 1))
    placed = place_weights(candidate, find_weights(candidate), ("avx2",))
    parts = memory_parts(candidate, placed, Goal(num_slots=slots), context, placement)
    return total(parts, "host", is_reclaimable=False) + total(parts, "gpu", is_reclaimable=False)


@settings(max_examples=30, deadline=None)
@given(variants, contexts, contexts, st.integers(1, 16), st.sampled_from([0, 1, 20, 61]))
def test_more_context_never_needs_less_memory(variant: str, one: int, other: int, slots: int, gpu_layers: int) -> None:
    shorter, longer = sorted((one, other))
    assert required(variant, shorter, slots, gpu_layers) <= required(variant, longer, slots, gpu_layers)


@settings(max_examples=30, deadline=None)
@given(variants, contexts, st.integers(1, 16), st.sampled_from([0, 61]))
def test_more_slots_never_need_less_memory(variant: str, context: int, slots: int, gpu_layers: int) -> None:
    assert required(variant, context, slots, gpu_layers) <= required(variant, context, slots + 1, gpu_layers)
