"""The GGUF reader, on files the gguf package wrote and on damaged ones."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemstead.catalog.gguf import GgufFile, Split, read_gguf
from gemstead.catalog.gguf_parse import MAX_TEXT_BYTES, ArrayRef, parse_header
from gemstead.core.errors import FileDamaged, ModelMissing
from gemstead.core.shapes import LayerShape, ModelShape

TOKENS = ["<pad>", "<eos>", "<bos>", "a", "b", "ab"]


def no_more_keys(writer: GGUFWriter) -> None:
    """Adds nothing."""


def write_model(path: Path, arch: str = "gemma4", more: Callable[[GGUFWriter], None] = no_more_keys) -> Path:
    """A two-layer model of a few hundred parameters: a sliding layer, then a full one that borrows its V from K."""
    writer = GGUFWriter(path, arch)
    writer.add_name("toy")
    writer.add_file_type(15)
    writer.add_block_count(2)
    writer.add_context_length(4096)
    writer.add_embedding_length(32)
    writer.add_head_count(4)
    writer.add_feed_forward_length([64, 96])
    writer.add_tokenizer_model("gemma4")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.5] * len(TOKENS))
    writer.add_chat_template("{{ messages }}")
    more(writer)
    for name in ("token_embd", "blk.0.attn_k", "blk.0.attn_v", "blk.1.attn_k"):
        writer.add_tensor(f"{name}.weight", np.ones((len(TOKENS), 32), np.float32))
    packed = np.zeros((4, 18), np.uint8)
    writer.add_tensor("blk.0.ffn_up.weight", packed, raw_dtype=GGMLQuantizationType.Q4_0)
    writer.add_tensor("rope_freqs.weight", np.ones(8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gemma4_keys(writer: GGUFWriter) -> None:
    writer.add_head_count_kv([2, 1])
    writer.add_key_length(16)
    writer.add_value_length(16)
    writer.add_key_length_swa(8)
    writer.add_value_length_swa(8)
    writer.add_sliding_window(512)
    writer.add_sliding_window_pattern([True, False])
    writer.add_shared_kv_layers(0)
    writer.add_rope_freq_base(1e6)
    writer.add_final_logit_softcapping(30.0)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("gguf") / "toy.gguf", more=gemma4_keys)


def everything(gguf: GgufFile) -> tuple[object, ...]:
    """All that a caller can ask of a file."""
    return (gguf.architecture, gguf.name, gguf.context_length, gguf.chat_template, gguf.tokenizer, gguf.quant,
            gguf.parameter_count, gguf.is_synthetic, gguf.split, gguf.shape())  # fmt: skip


def test_a_sound_file_says_what_was_written(sample: Path) -> None:
    gguf = read_gguf(sample)
    assert (gguf.architecture, gguf.name, gguf.tokenizer, gguf.quant) == ("gemma4", "toy", "gemma4", "Q4_K_M")
    assert (gguf.version, gguf.context_length, gguf.chat_template) == (3, 4096, "{{ messages }}")
    assert gguf.parameter_count == 4 * len(TOKENS) * 32 + 4 * 32  # without the RoPE factors
    assert gguf.size_bytes == sample.stat().st_size
    assert not gguf.is_synthetic
    assert gguf.split is None
    last = gguf.tensors[-1]
    assert (last.name, last.dims, last.ggml_type.name, last.num_bytes) == ("rope_freqs.weight", (8,), "F32", 32)
    assert struct.unpack_from("<8f", sample.read_bytes(), last.offset) == (1.0,) * 8


def test_the_shape_of_a_gemma4_file_has_both_kinds_of_layers(sample: Path) -> None:
    assert read_gguf(sample).shape() == ModelShape(
        name="toy",
        architecture="gemma4",
        hidden_size=32,
        vocab_size=len(TOKENS),
        max_context=4096,
        layers=(
            LayerShape(is_sliding=True, num_heads=4, num_kv_heads=2, head_dim=8, ffn_size=64),
            LayerShape(is_sliding=False, num_heads=4, num_kv_heads=1, head_dim=16, ffn_size=96, has_v_proj=False),
        ),
        window=512,
        rope_base=1e6,
        final_logit_softcap=30.0,
    )


def test_the_shape_of_a_llama_file_follows_from_few_keys(tmp_path: Path) -> None:
    shape = read_gguf(write_model(tmp_path / "llama.gguf", "llama", lambda writer: writer.add_head_count_kv(2))).shape()
    assert (shape.window, shape.final_logit_softcap) == (0, None)
    assert [(layer.num_kv_heads, layer.head_dim, layer.is_sliding) for layer in shape.layers] == [(2, 8, False)] * 2


def test_gemma3_slides_in_five_of_six_layers_though_its_file_does_not_say_so(tmp_path: Path) -> None:
    def keys(writer: GGUFWriter) -> None:
        writer.add_sliding_window(512)
        writer.add_uint32("gemma3.block_count", 12)
        writer.add_array("gemma3.feed_forward_length", [64] * 12)

    shape = read_gguf(write_model(tmp_path / "gemma3.gguf", "gemma3", keys)).shape()
    assert [layer.is_sliding for layer in shape.layers] == ([True] * 5 + [False]) * 2


def test_an_unknown_pattern_of_sliding_layers_counts_as_full_attention(tmp_path: Path) -> None:
    path = write_model(tmp_path / "new.gguf", "newarch", lambda writer: writer.add_sliding_window(512))
    shape = read_gguf(path).shape()
    assert shape.window == 0
    assert not any(layer.is_sliding for layer in shape.layers)


@pytest.mark.parametrize(
    ("add", "complaint"),
    [
        (lambda writer: writer.add_uint32("gemma4.block_count", 3), "lists 2 values for 3 layers"),
        (lambda writer: writer.add_uint32("gemma4.block_count", 4_000_000_000), "block_count is 4000000000"),
        (lambda writer: writer.add_shared_kv_layers(2), "no layer with a cache"),
        (lambda writer: writer.add_string("gemma4.embedding_length", "wide"), "embedding_length is 'wide'"),
        (lambda writer: writer.add_float32("gemma4.rope.freq_base", float("nan")), "rope.freq_base is nan"),
        (lambda writer: writer.add_sliding_window_pattern([True]), "for 2 layers"),
    ],
)
def test_dimensions_that_contradict_each_other_are_refused(
    tmp_path: Path, add: Callable[[GGUFWriter], None], complaint: str
) -> None:
    gguf = read_gguf(write_model(tmp_path / "bad.gguf", more=add))
    with pytest.raises(FileDamaged, match=complaint):
        gguf.shape()


def test_long_arrays_stay_in_the_file_until_asked_for(tmp_path: Path) -> None:
    numbers = list(range(5000))
    gguf = read_gguf(write_model(tmp_path / "a.gguf", more=lambda writer: writer.add_array("toy.numbers", numbers)))
    assert isinstance(gguf.get("toy.numbers"), ArrayRef)
    assert gguf.read_array("toy.numbers") == tuple(numbers)
    assert gguf.read_array("tokenizer.ggml.tokens") == [token.encode() for token in TOKENS]
    assert gguf.get("gemma4.feed_forward_length") == (64, 96)
    with pytest.raises(KeyError):
        gguf.read_array("general.name")


def test_a_raw_record_is_the_bytes_of_key_type_and_value(sample: Path) -> None:
    gguf = read_gguf(sample)
    record = gguf.read_raw(gguf.metadata["general.name"])
    assert record == struct.pack("<Q", 12) + b"general.name" + struct.pack("<IQ", 8, 3) + b"toy"


def test_a_hostile_text_is_not_repeated_at_length_in_an_error(tmp_path: Path) -> None:
    def keys(writer: GGUFWriter) -> None:
        writer.add_string("gemma4.context_length", "x" * MAX_TEXT_BYTES)

    gguf = read_gguf(write_model(tmp_path / "long.gguf", more=keys))
    for ask in (gguf.shape, lambda: gguf.context_length):
        with pytest.raises(FileDamaged) as refusal:
            ask()
        assert len(refusal.value.what) < 300


def test_a_chat_template_beyond_the_bound_is_refused_when_asked_for(tmp_path: Path) -> None:
    def keys(writer: GGUFWriter) -> None:
        writer.add_string("tokenizer.chat_template", "x" * (MAX_TEXT_BYTES + 1))

    gguf = read_gguf(write_model(tmp_path / "long.gguf", more=keys))
    with pytest.raises(FileDamaged, match=r"tokenizer\.chat_template"):
        _ = gguf.chat_template


def test_the_type_of_most_weights_is_the_quantization_where_none_is_declared(tmp_path: Path) -> None:
    gguf = read_gguf(write_model(tmp_path / "q.gguf", more=lambda writer: writer.add_uint32("general.file_type", 1024)))
    assert gguf.quant == "F32"


def test_a_part_of_a_split_file_says_which(tmp_path: Path) -> None:
    def keys(writer: GGUFWriter) -> None:
        writer.add_uint16("split.no", 1)
        writer.add_uint16("split.count", 3)
        writer.add_int32("split.tensors.count", 30)

    assert read_gguf(write_model(tmp_path / "s.gguf", more=keys)).split == Split(number=1, count=3, num_tensors=30)

    def nonsense(writer: GGUFWriter) -> None:
        keys(writer)
        writer.add_uint16("split.no", 3)

    with pytest.raises(FileDamaged, match="part 3 of 3"):
        read_gguf(write_model(tmp_path / "n.gguf", more=nonsense))


def test_a_missing_file_is_missing_and_a_folder_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(ModelMissing, match="cannot read") as refusal:
            read_gguf(path)
        assert refusal.value.hint


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "has 0 bytes"),
        (b"GGUF", "has 4 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
        (b"PK\x03\x04" + bytes(40), "a zip archive"),
        (b"ggjt" + bytes(40), "an old GGML file"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{}" + bytes(40), "it begins with"),
        (b"GGUF" + struct.pack("<III", 1, 0, 0) + bytes(40), "version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + bytes(40), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0) + bytes(40), "its version is 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60) + bytes(40), "it claims"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0) + bytes(40), "it claims"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 62) + bytes(40), "bytes long"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 100) + bytes(40), "40 are left"),
    ],
)
def test_what_is_no_gguf_file_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(FileDamaged, match=complaint) as refusal:
        read_gguf(path)
    assert refusal.value.hint


def one_key(payload: bytes) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 3) + b"key" + payload + bytes(64)


def one_tensor(
    name: bytes = b"t", dims: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0, copies: int = 1
) -> bytes:
    info = struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)
    return b"GGUF" + struct.pack("<IQQ", 3, copies, 0) + info * copies + bytes(256)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (one_key(struct.pack("<I", 13)), "type 13, which does not exist"),
        (one_key(struct.pack("<IIQ", 9, 13, 1)), "list of type 13"),
        (one_key(struct.pack("<IIQ", 9, 9, 1)), "a list itself"),
        (one_key(struct.pack("<IIQ", 9, 4, 1 << 61)), "should take"),
        (one_key(struct.pack("<IIQ", 9, 8, 1 << 61)), "should take"),
        (one_key(struct.pack("<IIQQ", 9, 8, 1, 1 << 63)), "runs past the end"),
        (one_key(struct.pack("<IIQQ", 9, 8, 1, 5000)), "runs past the end"),
        (one_key(struct.pack("<IQ", 8, 1 << 40)), "should take"),
        (one_key(struct.pack("<IQ", 8, 2) + b"\xff\xfe"), "not UTF-8"),
        (one_tensor(dims=()), "0 dimensions"),
        (one_tensor(dims=(1, 1, 1, 1, 1)), "5 dimensions"),
        (one_tensor(dims=(0,)), "impossible shape"),
        (one_tensor(dims=(1 << 40, 1 << 40)), "impossible shape"),
        (one_tensor(dims=(1 << 63, 2)), "impossible shape"),
        (one_tensor(kind=4), "type 4, not known"),
        (one_tensor(kind=12), "not a multiple of Q4_K's 256"),
        (one_tensor(offset=8), "does not start at a multiple of 32"),
        (one_tensor(offset=1 << 20), "cut short"),
        (one_tensor(offset=(1 << 64) - 32), "cut short"),
        (one_tensor(name=b"n" * 64), "63 are allowed"),
        (one_tensor(copies=2), "the same name"),
    ],
)
def test_impossible_contents_are_refused(content: bytes, complaint: str) -> None:
    with pytest.raises(FileDamaged, match=complaint):
        parse_header(content, "bad.gguf")


def test_overlapping_tensors_are_refused(sample: Path) -> None:
    content = bytearray(sample.read_bytes())
    info = content.index(b"rope_freqs.weight") + len("rope_freqs.weight") + 4 + 8 + 4
    struct.pack_into("<Q", content, info, 0)
    with pytest.raises(FileDamaged, match="overlap"):
        parse_header(bytes(content), "bad.gguf")


def test_a_key_that_appears_twice_is_refused(sample: Path) -> None:
    content = sample.read_bytes().replace(b"gemma4.attention.key_length\x04", b"gemma4.attention.head_count\x04")
    with pytest.raises(FileDamaged, match="appears twice"):
        parse_header(content, "bad.gguf")


@pytest.mark.parametrize("alignment", [0, 24, 1 << 20])
def test_an_alignment_that_is_no_power_of_two_is_refused(tmp_path: Path, alignment: int) -> None:
    path = write_model(tmp_path / "a.gguf", more=lambda writer: writer.add_uint32("general.alignment", alignment))
    with pytest.raises(FileDamaged, match="alignment"):
        read_gguf(path)


def test_every_truncation_is_noticed(sample: Path) -> None:
    content = sample.read_bytes()
    for length in range(24, len(content), 7):
        with pytest.raises(FileDamaged):
            parse_header(content[:length], "cut.gguf")


def test_hostile_counts_take_no_memory(sample: Path) -> None:
    """A huge number in place of every eight bytes of the header, one after another."""
    content = sample.read_bytes()
    header_bytes = parse_header(content, "toy.gguf").data_offset
    tracemalloc.start()
    try:
        for position in range(8, header_bytes - 8):
            for value in (1 << 63, 1 << 33):
                hostile = bytearray(content)
                struct.pack_into("<Q", hostile, position, value)
                try:
                    parse_header(bytes(hostile), "hostile.gguf")
                except FileDamaged:
                    continue
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4_000_000


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choices=st.data())
def test_a_mutated_file_is_damaged_or_sound_and_nothing_else(sample: Path, choices: st.DataObject) -> None:
    content = bytearray(sample.read_bytes())
    for _ in range(choices.draw(st.integers(1, 6))):
        position = choices.draw(st.integers(0, len(content) - 1))
        content[position] = choices.draw(st.integers(0, 255))
    size = choices.draw(st.sampled_from([len(content), choices.draw(st.integers(0, len(content)))]))
    path = sample.with_name("mutated.gguf")
    path.write_bytes(content[:size])
    with suppress(FileDamaged):
        gguf = read_gguf(path)
        assert all(tensor.offset + tensor.num_bytes <= size for tensor in gguf.tensors)
        everything(gguf)
