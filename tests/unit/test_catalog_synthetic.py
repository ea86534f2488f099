"""Synthetic models: what is written, read back by our reader and by the gguf package."""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize

from gemstead.catalog import space
from gemstead.catalog.ggml_types import GGML_TYPES
from gemstead.catalog.gguf import read_gguf
from gemstead.catalog.gguf_vocab import read_vocabulary
from gemstead.catalog.quant_mixes import QUANT_MIXES
from gemstead.catalog.random_blocks import BlockPool, random_blocks
from gemstead.catalog.shapes import GEMMA4_SHAPES, tiny_shape
from gemstead.catalog.synthetic import write_synthetic
from gemstead.catalog.tensors import tensor_table, weight_bytes
from gemstead.core.errors import DiskFull, ModelMissing, NameUnknown, RequestInvalid
from gemstead.core.progress import ProgressEvent

CONTROL, USER_DEFINED, BYTE, NORMAL = 3, 4, 6, 1
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
LETTERS = [chr(code) for code in range(0x21, 0x7F)]
TOKENS: list[tuple[str, int]] = [
    *((text, CONTROL) for text in ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")),
    *((text, NORMAL) for text in ("th", "he", "the", SPACE + "the", "qu", "quux")),
    *((f"<0x{code:02X}>", BYTE) for code in range(256)),
    *((text, NORMAL) for text in (SPACE, *LETTERS)),
    ("<|tool_call>", USER_DEFINED),
    ("<|turn>", CONTROL),
]
MERGES = ["t h", "h e", "th e", f"{SPACE} the", "q u", "qu u", "qu ux"]
RARE_TYPES = ["IQ2_S", "IQ3_S", "IQ4_NL", "Q4_1", "Q5_0", "Q5_1", "F32"]


@pytest.fixture(scope="module")
def vocab_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vocabulary-only file with Gemma 4's kinds of tokens, 364 in all; `<|turn>` is the last."""
    path = tmp_path_factory.mktemp("vocab") / "vocab.gguf"
    writer = GGUFWriter(path, "gemma4")
    writer.add_block_count(30)
    writer.add_tokenizer_model("gemma4")
    writer.add_token_list([text for text, _ in TOKENS])
    writer.add_token_scores([-1000.0] * len(TOKENS))
    writer.add_token_types([kind for _, kind in TOKENS])
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(2)
    writer.add_eot_token_id(len(TOKENS) - 1)
    writer.add_chat_template("{{ messages }}")
    writer.add_add_bos_token(True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def tiny(tmp_path: Path, vocab_source: Path) -> Path:
    target = tmp_path / "tiny.gguf"
    write_synthetic(tiny_shape("e2b"), "ggml-org/Q4_0", target, vocab_source=vocab_source, keep_vocab=8)
    return target


@pytest.mark.parametrize("variant", GEMMA4_SHAPES)
def test_the_file_has_the_shape_it_was_written_from(tmp_path: Path, vocab_source: Path, variant: str) -> None:
    shape = tiny_shape(variant)
    written = write_synthetic(shape, "q4_k_m", tmp_path / "m.gguf", vocab_source=vocab_source, keep_vocab=10_000)
    assert written.shape() == msgspec.structs.replace(shape, vocab_size=len(TOKENS))
    assert (written.is_synthetic, written.quant, written.tokenizer) == (True, "Q4_K_M", "gemma4")
    table = tensor_table(written.shape(), "Q4_K_M")
    assert [(t.name, t.dims, t.ggml_type) for t in written.tensors] == [(t.name, t.dims, t.ggml_type) for t in table]
    assert written.size_bytes == written.data_offset + weight_bytes(written.shape(), "Q4_K_M")


def test_the_gguf_package_reads_the_same(tiny: Path) -> None:
    theirs, ours = GGUFReader(tiny), read_gguf(tiny)
    assert [tensor.name for tensor in theirs.tensors] == [tensor.name for tensor in ours.tensors]
    assert [tensor.data_offset for tensor in theirs.tensors] == [tensor.offset for tensor in ours.tensors]
    assert theirs.fields["general.name"].contents() == "gemma-4-e2b-tiny"
    assert theirs.fields["gemma4.attention.sliding_window_pattern"].contents() == [True, True, False] * 2


def test_norms_are_one_and_rope_factors_hold_three_quarters_still(tiny: Path) -> None:
    tensors = {tensor.name: tensor.data for tensor in GGUFReader(tiny).tensors}
    assert set(tensors["blk.0.attn_norm.weight"]) == {1.0}
    assert tensors["blk.5.layer_output_scale.weight"] == 1.0
    assert tensors["rope_freqs.weight"].tolist() == [1.0] * 16 + [np.float32(1e30)] * 48


def test_routers_choose_between_experts_by_random_weights(tmp_path: Path, vocab_source: Path) -> None:
    target = tmp_path / "moe.gguf"
    write_synthetic(tiny_shape("26b-a4b"), "q4_0", target, vocab_source=vocab_source, keep_vocab=8)
    tensors = {tensor.name: tensor.data for tensor in GGUFReader(target).tensors}
    first, second = tensors["blk.0.ffn_gate_inp.weight"], tensors["blk.1.ffn_gate_inp.weight"]
    assert first.shape == (16, 256)
    assert len(np.unique(first, axis=0)) == 16
    assert not np.array_equal(first, second)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path, vocab_source: Path) -> None:
    def write(name: str, seed: int) -> bytes:
        target = tmp_path / name
        write_synthetic(tiny_shape("12b"), "q8_0", target, vocab_source=vocab_source, keep_vocab=8, seed=seed)
        return target.read_bytes()

    assert write("a", 7) == write("b", 7)
    first, other = write("a", 7), write("c", 8)
    assert len(first) == len(other)
    assert first != other


def test_a_whole_vocabulary_is_taken_over_byte_for_byte(vocab_source: Path) -> None:
    vocabulary = read_vocabulary(vocab_source)
    assert vocabulary.num_tokens == len(TOKENS)
    assert b"".join(vocabulary.records) in vocab_source.read_bytes()


def test_a_pruned_vocabulary_keeps_early_ids_specials_bytes_and_letters(tiny: Path) -> None:
    gguf = read_gguf(tiny)
    kept = [token.decode() for token in gguf.read_array("tokenizer.ggml.tokens") if isinstance(token, bytes)]
    assert kept == [text for text, _ in TOKENS if text not in {SPACE + "the", "qu", "quux"}]
    assert gguf.read_array("tokenizer.ggml.merges") == [b"t h", b"h e", b"th e"]
    assert kept[gguf.integer("tokenizer.ggml.eot_token_id") or 0] == "<|turn>"
    assert gguf.integer("tokenizer.ggml.bos_token_id") == 2
    types = gguf.read_array("tokenizer.ggml.token_type")
    assert (types[kept.index("<|turn>")], types[kept.index("<0x41>")]) == (CONTROL, BYTE)
    assert gguf.chat_template == "{{ messages }}"
    assert gguf.shape().vocab_size == len(kept)


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path: Path, vocab_source: Path) -> None:
    target = tmp_path / "m.gguf"
    with pytest.raises(RequestInvalid, match="364 tokens, gemma-4-e2b-tiny has 262144"):
        write_synthetic(tiny_shape("e2b"), "q4_0", target, vocab_source=vocab_source)
    with pytest.raises(RequestInvalid, match="0 tokens"):
        write_synthetic(tiny_shape("e2b"), "q4_0", target, vocab_source=vocab_source, keep_vocab=0)
    with pytest.raises(ModelMissing, match="no Gemma 4 vocabulary"):
        write_synthetic(tiny_shape("e2b"), "q4_0", target, vocab_source=tmp_path / "none.gguf", keep_vocab=8)
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
    with pytest.raises(RequestInvalid, match="has no Gemma 4 vocabulary"):
        write_synthetic(tiny_shape("e2b"), "q4_0", target, vocab_source=other, keep_vocab=8)
    with pytest.raises(RequestInvalid, match="seed -1"):
        write_synthetic(tiny_shape("e2b"), "q4_0", target, vocab_source=vocab_source, keep_vocab=8, seed=-1)
    with pytest.raises(NameUnknown):
        write_synthetic(tiny_shape("e2b"), "q9_9", target, vocab_source=vocab_source, keep_vocab=8)
    assert not target.exists()


def test_an_interrupted_write_leaves_nothing_and_an_old_file_as_it_was(tmp_path: Path, vocab_source: Path) -> None:
    target = tmp_path / "m.gguf"
    target.write_bytes(b"old")

    def interrupt(event: ProgressEvent) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synthetic(tiny_shape("e2b"), "q4_0", target, vocab_source=vocab_source, keep_vocab=8, progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]
    assert target.read_bytes() == b"old"


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, vocab_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake_free_bytes(folder: Path) -> int:
        return 1000

    monkeypatch.setattr(space, "free_bytes", fake_free_bytes)
    with pytest.raises(DiskFull, match="the synthetic gemma-4-e2b-tiny needs") as refusal:
        write_synthetic(tiny_shape("e2b"), "q4_0", tmp_path / "m.gguf", vocab_source=vocab_source, keep_vocab=8)
    assert refusal.value.missing_bytes > 1_000_000
    assert list(tmp_path.iterdir()) == []


def test_progress_ends_with_all_bytes(tmp_path: Path, vocab_source: Path) -> None:
    events: list[ProgressEvent] = []
    written = write_synthetic(
        tiny_shape("31b"), "q4_0", tmp_path / "m.gguf", vocab_source=vocab_source, keep_vocab=8, progress=events.append
    )
    assert events[-1].is_done
    assert events[-1].done == events[-1].total == written.size_bytes


@pytest.mark.parametrize("name", sorted({mix.base for mix in QUANT_MIXES.values()} | set(RARE_TYPES)))
def test_random_blocks_are_finite_centred_weights_of_sensible_size(name: str) -> None:
    kind = GGML_TYPES[name]
    raw = random_blocks(kind, 4096, seed=3)
    packed = np.frombuffer(raw, np.uint8).reshape(-1, kind.block_bytes)
    if name in ("F16", "F32"):
        values = packed.view(np.dtype(f"<f{kind.block_bytes}")).astype(np.float64)
    else:
        values = dequantize(packed, GGMLQuantizationType[name]).astype(np.float64)
    assert np.isfinite(values).all()
    expected = 1.2 if name == "F32" else 0.02  # only routers are random in F32
    assert expected / 2 < values.std() < expected * 2
    assert abs(values.mean()) < 0.06 * values.std()


def test_every_type_a_mix_may_choose_has_a_recipe() -> None:
    for quant in QUANT_MIXES:
        for shape in (*GEMMA4_SHAPES.values(), *map(tiny_shape, GEMMA4_SHAPES)):
            for kind in {tensor.ggml_type for tensor in tensor_table(shape, quant)}:
                assert len(random_blocks(kind, 2, seed=0)) == 2 * kind.block_bytes


def test_a_pool_is_repeated_without_a_seam_from_a_block_of_the_tensors_own() -> None:
    kind = GGML_TYPES["Q4_0"]
    pool = BlockPool(kind, seed=1)
    one_round = random_blocks(kind, 65_537, seed=1)
    streamed = b"".join(pool.stream("a", 20_000_016))
    assert len(streamed) == 20_000_016
    start = one_round.index(streamed[:180])
    assert start % kind.block_bytes == 0
    expected = (one_round[start:] + one_round * 17)[: len(streamed)]
    assert streamed == expected
    assert next(iter(pool.stream("b", 180))) != streamed[:180]
