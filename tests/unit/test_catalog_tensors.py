"""Types, shapes and tensor tables, held against the gguf package and the published files."""

from __future__ import annotations

import msgspec
import pytest
from gguf import GGML_QUANT_SIZES, LlamaFileType

from gemstead.catalog.ggml_types import FILE_TYPES, GGML_TYPES, tensor_bytes
from gemstead.catalog.quant_mixes import QUANT_MIXES, type_for_row
from gemstead.catalog.shapes import GEMMA4_SHAPES, tiny_shape
from gemstead.catalog.tensors import file_bytes, parameter_count, ple_bytes, tensor_table, weight_bytes
from gemstead.core.errors import NameUnknown

PUBLISHED_FILES = [
    # huggingface.co/ggml-org/gemma-4-*-it-GGUF and google/gemma-4-*-it-qat-q4_0-gguf, April to July 2026.
    ("e2b", "Q8_0", 4_967_494_592),
    ("e4b", "Q8_0", 8_031_240_160),
    ("26b-a4b", "Q8_0", 26_859_858_464),
    ("31b", "Q8_0", 32_635_674_400),
    ("e4b", "Q4_K_M", 5_335_289_824),
    ("26b-a4b", "Q4_K_M", 16_796_015_136),
    ("31b", "Q4_K_M", 18_687_061_792),
    ("e2b", "google-qat/Q4_0", 3_349_516_256),
    ("e4b", "google-qat/Q4_0", 5_154_941_280),
    ("26b-a4b", "google-qat/Q4_0", 14_439_361_440),
    ("26b-a4b", "google-qat/Q4_0", 14_439_363_584),
    ("e2b", "ggml-org/Q4_0", 2_841_481_184),
    ("e4b", "ggml-org/Q4_0", 4_590_807_392),
    ("12b", "ggml-org/Q4_0", 7_219_673_216),
    ("26b-a4b", "ggml-org/Q4_0", 14_618_145_824),
    ("31b", "ggml-org/Q4_0", 17_992_313_088),
]

PARAMETERS = {
    # (as published, with the unused K and V projections of the first checkpoints)
    "e2b": (4_628_569_379, 4_647_449_891),
    "e4b": (7_463_013_418, 7_518_069_034),
    "12b": (11_907_350_320, 11_907_350_320),
    "26b-a4b": (25_233_141_790, 25_233_141_790),
    "31b": (30_697_345_340, 30_697_345_340),
}


def types_of(variant: str, quant: str) -> dict[str, str]:
    return {tensor.name: tensor.ggml_type.name for tensor in tensor_table(GEMMA4_SHAPES[variant], quant)}


def test_every_tensor_type_has_the_id_and_block_of_the_gguf_package() -> None:
    ours = {(kind.name, kind.id): (kind.block_elements, kind.block_bytes) for kind in GGML_TYPES.values()}
    assert ours == {(kind.name, kind.value): sizes for kind, sizes in GGML_QUANT_SIZES.items()}


def test_file_types_are_numbered_as_in_the_gguf_package() -> None:
    theirs = {kind.value: kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in LlamaFileType}
    theirs.pop(LlamaFileType.GUESSED)
    assert theirs == FILE_TYPES


def test_a_tensor_is_padded_to_the_alignment() -> None:
    assert tensor_bytes((3,), GGML_TYPES["F32"]) == 32
    assert tensor_bytes((256, 3), GGML_TYPES["Q6_K"]) == 640  # 630 padded
    assert tensor_bytes((256, 3), GGML_TYPES["Q6_K"], alignment_bytes=64) == 640
    assert tensor_bytes((256, 2), GGML_TYPES["Q6_K"], alignment_bytes=64) == 448


def test_a_row_must_be_a_whole_number_of_blocks() -> None:
    with pytest.raises(ValueError, match="704"):
        tensor_bytes((704, 2), GGML_TYPES["Q4_K"])


@pytest.mark.parametrize("variant", GEMMA4_SHAPES)
def test_parameters_equal_the_published_count_to_the_unit(variant: str) -> None:
    shape = GEMMA4_SHAPES[variant]
    assert (parameter_count(shape), parameter_count(shape, has_unused_kv=True)) == PARAMETERS[variant]


@pytest.mark.parametrize(("variant", "quant", "published_bytes"), PUBLISHED_FILES)
def test_the_predicted_file_is_within_3_kb_of_the_published_one(variant: str, quant: str, published_bytes: int) -> None:
    assert abs(file_bytes(GEMMA4_SHAPES[variant], quant) - published_bytes) < 3000


def test_layers_follow_the_published_architecture() -> None:
    e2b, e4b, a4b = (GEMMA4_SHAPES[name] for name in ("e2b", "e4b", "26b-a4b"))
    assert [i for i, layer in enumerate(e2b.layers) if not layer.is_sliding] == [4, 9, 14, 19, 24, 29, 34]
    assert [i for i, layer in enumerate(a4b.layers) if not layer.is_sliding] == [5, 11, 17, 23, 29]
    assert [layer.ffn_size for layer in e2b.layers] == [6144] * 15 + [12_288] * 20
    assert (e2b.num_kv_shared_layers, e4b.num_kv_shared_layers, a4b.num_kv_shared_layers) == (20, 18, 0)
    assert {layer.has_v_proj for layer in e4b.layers} == {True}
    assert [layer.has_v_proj for layer in a4b.layers[:6]] == [True] * 5 + [False]
    assert all(not shape.layers[-1].is_sliding for shape in GEMMA4_SHAPES.values())


def test_the_router_and_the_norms_are_never_quantized() -> None:
    for name, kind in types_of("26b-a4b", "Q2_K").items():
        if "norm" in name or "ffn_gate_inp" in name or name.endswith((".scale", "layer_output_scale.weight")):
            assert kind == "F32", name


def test_rows_that_no_k_quant_fits_take_smaller_blocks() -> None:
    types = types_of("26b-a4b", "Q4_K_M")
    assert types["blk.0.ffn_down_exps.weight"] == "Q8_0"  # Q6_K in the first eighth
    assert types["blk.4.ffn_down_exps.weight"] == "Q5_0"  # Q4_K further on
    assert types["blk.4.ffn_gate_up_exps.weight"] == "Q4_K"
    assert type_for_row("Q4_K", 100).name == "F16"


def test_v_projections_are_counted_without_the_layers_that_have_none() -> None:
    types = types_of("31b", "Q4_K_M")
    raised = [i for i in range(60) if types.get(f"blk.{i}.attn_v.weight") == "Q6_K"]
    # 50 projections; numbers 0-5 and 43-49, and every third from 8 on; layers 5, 11 ... have none.
    assert raised[:8] == [0, 1, 2, 3, 4, 6, 9, 13]
    assert "blk.5.attn_v.weight" not in types


def test_publishers_leave_out_the_projections_nobody_reads() -> None:
    stock, published = types_of("e2b", "Q4_0"), types_of("e2b", "ggml-org/Q4_0")
    dropped = set(stock) - set(published)
    assert dropped == {f"blk.{i}.attn_{part}.weight" for i in range(15, 35) for part in ("k", "v", "k_norm")}
    assert published["token_embd.weight"] == "Q8_0"
    assert published["per_layer_token_embd.weight"] == "Q4_0"


def test_the_ple_table_is_a_part_of_the_weights_where_there_is_one() -> None:
    assert ple_bytes(GEMMA4_SHAPES["e2b"], "BF16") == 2 * 256 * 35 * 262_144
    assert ple_bytes(GEMMA4_SHAPES["31b"], "Q4_0") == 0
    assert ple_bytes(GEMMA4_SHAPES["e4b"], "Q8_0") < weight_bytes(GEMMA4_SHAPES["e4b"], "Q8_0")


def test_names_of_tensors_are_unique_and_short_enough_for_the_format() -> None:
    for variant, shape in GEMMA4_SHAPES.items():
        names = [tensor.name for tensor in tensor_table(shape, "BF16")]
        assert len(set(names)) == len(names), variant
        assert max(map(len, names)) < 64


@pytest.mark.parametrize("quant", QUANT_MIXES)
@pytest.mark.parametrize("variant", GEMMA4_SHAPES)
def test_fewer_bits_never_need_more_bytes_than_bf16(variant: str, quant: str) -> None:
    shape = GEMMA4_SHAPES[variant]
    assert 0 < weight_bytes(shape, quant) <= weight_bytes(shape, "F16") == weight_bytes(shape, "BF16")


@pytest.mark.parametrize("variant", GEMMA4_SHAPES)
def test_a_tiny_shape_keeps_every_feature_of_its_variant(variant: str) -> None:
    tiny, real = tiny_shape(variant), GEMMA4_SHAPES[variant]
    assert bool(tiny.ple_size) == bool(real.ple_size)
    assert bool(tiny.num_experts) == bool(real.num_experts)
    assert bool(tiny.num_kv_shared_layers) == bool(real.num_kv_shared_layers)
    features = ("is_sliding", "has_kv", "has_v_proj")
    for name in features:
        assert {getattr(layer, name) for layer in tiny.layers} == {getattr(layer, name) for layer in real.layers}
    assert len({layer.ffn_size for layer in tiny.layers}) == len({layer.ffn_size for layer in real.layers})
    assert len({layer.head_dim for layer in tiny.layers}) == 2
    pruned = msgspec.structs.replace(tiny, vocab_size=2500)
    assert weight_bytes(pruned, "Q4_0") < 8_000_000


@pytest.mark.parametrize("variant", GEMMA4_SHAPES)
def test_a_tiny_model_gets_the_tensor_types_of_the_real_one(variant: str) -> None:
    def kinds(quant: str) -> tuple[set[str], set[str]]:
        tables = tensor_table(tiny_shape(variant), quant), tensor_table(GEMMA4_SHAPES[variant], quant)
        tiny, real = ({tensor.ggml_type.name for tensor in table} for table in tables)
        return tiny, real

    for quant in ("Q4_0", "Q8_0", "BF16"):
        tiny, real = kinds(quant)
        assert tiny == real, quant
    tiny, real = kinds("Q4_K_M")
    assert real <= tiny


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(NameUnknown, match="q4_k_x") as quant:
        tensor_table(GEMMA4_SHAPES["e2b"], "q4_k_x")
    assert quant.value.nearest is not None
    with pytest.raises(NameUnknown):
        tiny_shape("e3b")
    with pytest.raises(NameUnknown):
        tensor_table(msgspec.structs.replace(GEMMA4_SHAPES["e2b"], architecture="llama"), "Q4_0")
