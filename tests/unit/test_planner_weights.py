"""Where weights go, against the buffers llama-server 0.5.0-dev (0c1e570) logged on a CPU with AVX2."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemstead.catalog.ggml_types import GGML_TYPES
from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.catalog.tensors import TensorSpec, ple_bytes, tensor_table, weight_bytes
from gemstead.core.units import MIB
from gemstead.planner.repack import is_repacked
from gemstead.planner.weights import WeightBuffers, lay_out_weights, tied_head

AVX2 = ("avx", "avx2", "f16c", "fma")
E2B = GEMMA4_SHAPES["e2b"]
MIX = "ggml-org/Q4_0"


def retyped(quant: str, changes: dict[str, str]) -> tuple[TensorSpec, ...]:
    """The table of E2B with the types of some tensors changed by name."""
    return tuple(
        TensorSpec(tensor.name, tensor.dims, GGML_TYPES[changes.get(tensor.name, tensor.ggml_type.name)])
        for tensor in tensor_table(E2B, quant)
    )


def on_cpu(tensors: tuple[TensorSpec, ...], instruction_sets: tuple[str, ...] = AVX2) -> WeightBuffers:
    return lay_out_weights(tensors, E2B.num_layers, instruction_sets).split()


def test_e2b_q4_0_is_mapped_and_repacked_as_logged() -> None:
    # 2601.76 MiB CPU_Mapped and 999.42 MiB CPU_REPACK: embeddings Q6_K and PLE Q4_0.
    buffers = on_cpu(retyped(MIX, {"token_embd.weight": "Q6_K"}))
    assert round(buffers.mapped_bytes / MIB, 2) == 2601.76
    assert round(buffers.repacked_bytes / MIB, 2) == 999.42


def test_a_tied_head_of_a_repackable_type_is_repacked_as_well() -> None:
    # 2502.76 MiB CPU_Mapped and 1215.42 MiB CPU_REPACK with embeddings of Q4_0: the head counts twice.
    buffers = on_cpu(retyped(MIX, {"token_embd.weight": "Q4_0"}))
    assert round(buffers.mapped_bytes / MIB, 2) == 2502.76
    assert round(buffers.repacked_bytes / MIB, 2) == 1215.42


def test_experts_are_repacked_too() -> None:
    # 13755.36 MiB CPU_Mapped for the 26B-A4B at Q4_0.
    shape = GEMMA4_SHAPES["26b-a4b"]
    buffers = lay_out_weights(tensor_table(shape, "Q4_0"), shape.num_layers, AVX2).split()
    assert round(buffers.mapped_bytes / MIB, 2) == 13755.36
    assert buffers.repacked_bytes > 22.8e9 * 4.5 / 8


def test_nothing_is_repacked_without_the_instructions() -> None:
    buffers = on_cpu(tensor_table(E2B, MIX), ())
    assert buffers.repacked_bytes == 0
    assert buffers.cold_bytes == 0
    assert buffers.mapped_bytes == pytest.approx(weight_bytes(E2B, MIX), abs=64)


def test_what_must_stay_in_memory_is_the_file_once() -> None:
    buffers = on_cpu(tensor_table(E2B, MIX))
    assert buffers.mapped_bytes - buffers.cold_bytes + buffers.repacked_bytes == weight_bytes(E2B, MIX)


@pytest.mark.parametrize(
    ("kind", "rows", "instruction_sets", "expected"),
    [
        ("Q4_0", 8, ("avx2",), True),
        ("Q4_0", 4, ("avx2",), False),
        ("Q4_0", 4, ("neon", "dotprod"), True),
        ("Q4_0", 4, ("neon",), False),
        ("Q4_K", 8, ("avx2",), True),
        ("Q6_K", 8, ("avx2",), False),
        ("Q6_K", 8, ("neon", "dotprod"), True),
        ("Q8_0", 8, ("avx2",), False),
        ("Q8_0", 8, ("neon", "dotprod", "i8mm"), True),
        ("Q8_0", 32, ("avx2", "avx512f", "avx512_vnni", "amx_int8"), True),
        ("Q2_K", 8, ("avx2",), False),
        ("Q2_K", 8, ("avx2", "avx512f"), True),
        ("BF16", 32, ("avx2", "avx512f"), False),
        ("F32", 32, ("avx2", "neon", "dotprod"), False),
    ],
)
def test_repacking_follows_type_rows_and_instructions(
    kind: str, rows: int, instruction_sets: tuple[str, ...], expected: bool
) -> None:
    assert is_repacked((256, rows), GGML_TYPES[kind], instruction_sets) is expected


def test_vectors_and_experts_have_no_tile_form() -> None:
    tiles = ("amx_int8", "avx512_vnni")
    assert is_repacked((256,), GGML_TYPES["Q4_0"], ("avx2",)) is False
    assert is_repacked((256, 32, 8), GGML_TYPES["Q8_0"], tiles) is False
    assert is_repacked((256, 32), GGML_TYPES["Q8_0"], tiles) is True


def test_the_per_layer_embedding_stays_on_the_host_when_everything_else_is_on_the_gpu() -> None:
    tensors = tensor_table(E2B, MIX)
    buffers = lay_out_weights(tensors, E2B.num_layers, AVX2).split(E2B.num_layers + 1)
    assert buffers.gpu_bytes == weight_bytes(E2B, MIX) - ple_bytes(E2B, MIX)
    assert buffers.repacked_bytes == 0
    head = tied_head(tensors)
    assert head is not None
    assert buffers.mapped_bytes - buffers.cold_bytes == ple_bytes(E2B, MIX) + head.num_bytes  # type: ignore[attr-defined]


def test_the_output_layer_goes_to_the_gpu_first() -> None:
    tensors = tensor_table(E2B, MIX)
    buffers = lay_out_weights(tensors, E2B.num_layers, AVX2).split(1)
    head = next(tensor for tensor in tensors if tensor.name == "token_embd.weight")
    norm = next(tensor for tensor in tensors if tensor.name == "output_norm.weight")
    assert buffers.gpu_bytes == head.num_bytes + norm.num_bytes


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(list(GEMMA4_SHAPES)), st.integers(0, 61))
def test_each_layer_more_on_the_gpu_takes_as_much_from_the_host(variant: str, gpu_layers: int) -> None:
    shape = GEMMA4_SHAPES[variant]
    tensors = tensor_table(shape, "Q4_K_M")
    layers = min(gpu_layers, shape.num_layers)
    less = lay_out_weights(tensors, shape.num_layers, ()).split(layers)
    more = lay_out_weights(tensors, shape.num_layers, ()).split(layers + 1)
    assert more.gpu_bytes > less.gpu_bytes
    assert more.mapped_bytes - more.cold_bytes < less.mapped_bytes - less.cold_bytes or layers == 0


def test_an_untied_head_is_one_tensor() -> None:
    embedding = TensorSpec("token_embd.weight", (256, 64), GGML_TYPES["Q4_0"])
    head = TensorSpec("output.weight", (256, 64), GGML_TYPES["Q4_0"])
    assert tied_head([embedding]) is embedding
    assert tied_head([embedding, head]) is None
    buffers = lay_out_weights([embedding, head], 0, AVX2).split()
    assert (buffers.mapped_bytes, buffers.repacked_bytes) == (embedding.num_bytes, head.num_bytes)


def test_no_tensors_are_no_bytes() -> None:
    assert lay_out_weights([], 0, AVX2).split() == WeightBuffers(0, 0, 0, 0)
