"""Synthetic models: GGUF files of a Gemma 4 variant's exact tensors, the weights generated in seconds.

They answer nonsense, but memory and speed do not depend on what weights say: whether a model runs here, and how fast,
is known before it is downloaded.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gemstead.catalog.ggml_types import tensor_data_bytes
from gemstead.catalog.gguf import SYNTHETIC_KEY, GgufFile, read_gguf
from gemstead.catalog.gguf_parse import BOOL, INT32
from gemstead.catalog.gguf_vocab import read_vocabulary
from gemstead.catalog.gguf_write import bool_record, float_record, header, numbers_record, text_record, uint_record
from gemstead.catalog.partial import Reporter, publish
from gemstead.catalog.quant_mixes import find_quant_mix
from gemstead.catalog.random_blocks import BlockPool
from gemstead.catalog.space import disk_full_named, require_space
from gemstead.catalog.tensors import TensorSpec, tensor_table
from gemstead.core.errors import RequestInvalid
from gemstead.core.progress import Progress, no_progress
from gemstead.core.shapes import ModelShape

_ROTATED_SHARE = 0.25
_UNROTATED_FACTOR = 1e30
_QUANTIZATION_VERSION = 2
_RMS_NORM_EPSILON = 1e-6


def write_synthetic(
    shape: ModelShape,
    quant: str,
    target: Path,
    *,
    vocab_source: Path,
    seed: int = 0,
    keep_vocab: int | None = None,
    progress: Progress = no_progress,
) -> GgufFile:
    """Writes `shape` quantized as `quant` to `target`, which appears complete or not at all; returns what it says.

    `vocab_source` is a GGUF file with Gemma 4's tokenizer; `keep_vocab` prunes it (see `read_vocabulary`), and with it
    the embeddings. The same arguments give the same bytes. An existing `target` is replaced.

    Raises: NameUnknown for a quantization without known rules; RequestInvalid if the vocabulary is not the shape's, or
    the seed not one of 32 bits; ModelMissing if there is no vocabulary; FileDamaged; DiskFull, before anything is
    written where that can be foreseen.
    """
    if not 0 <= seed < 1 << 32:
        raise RequestInvalid(f"seed {seed} does not fit 32 bits", param="seed", hint="choose one from 0 to 4294967295")
    vocabulary = read_vocabulary(vocab_source, keep_vocab)
    if keep_vocab is not None:
        shape = msgspec.structs.replace(shape, vocab_size=vocabulary.num_tokens)
    elif shape.vocab_size != vocabulary.num_tokens:
        raise RequestInvalid(
            f"{vocab_source.name} has {vocabulary.num_tokens} tokens, {shape.name} has {shape.vocab_size}",
            hint="give the vocabulary of Gemma 4, or say how many tokens to keep",
        )
    table = tensor_table(shape, quant)
    head = header([*_metadata_records(shape, quant, seed), *vocabulary.records], table)
    total_bytes = len(head) + sum(tensor.num_bytes for tensor in table)
    target.parent.mkdir(parents=True, exist_ok=True)
    require_space(target.parent, total_bytes, f"the synthetic {shape.name}")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with disk_full_named(target.parent, total_bytes):
            _write(temporary, head, _weights(table, seed), total_bytes, Reporter(progress, f"write {shape.name}"))
            publish(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return read_gguf(target)


def _write(path: Path, head: bytes, chunks: Iterator[bytes | memoryview], total_bytes: int, report: Reporter) -> None:
    with path.open("wb") as file:
        done = file.write(head)
        for chunk in chunks:
            done += file.write(chunk)
            report.bytes(done, total_bytes)
    assert done == total_bytes, f"{done} of {total_bytes} bytes"
    report.close(total_bytes)


def _weights(table: tuple[TensorSpec, ...], seed: int) -> Iterator[bytes | memoryview]:
    """The data of all tensors in order, each padded to the alignment."""
    pools: dict[str, BlockPool] = {}
    for tensor in table:
        kind = tensor.ggml_type
        data_bytes = tensor_data_bytes(tensor.dims, kind)
        if (constant := _constant(tensor)) is not None:
            yield constant
        else:
            if kind.name not in pools:
                pools[kind.name] = BlockPool(kind, seed)
            yield from pools[kind.name].stream(tensor.name, data_bytes)
        yield bytes(tensor.num_bytes - data_bytes)


def _constant(tensor: TensorSpec) -> bytes | None:
    """Norms and scales are 1, RoPE factors what Gemma 4 has; None for weights, which are random."""
    if tensor.name == "rope_freqs.weight":
        # Full layers rotate a quarter of each head; a huge divisor of the frequency holds the rest still.
        num_rotated = int(tensor.num_elements * _ROTATED_SHARE)
        factors = [1.0] * num_rotated + [_UNROTATED_FACTOR] * (tensor.num_elements - num_rotated)
        return struct.pack(f"<{len(factors)}f", *factors)
    if len(tensor.dims) == 1:
        return struct.pack("<f", 1.0) * tensor.num_elements
    return None


def _metadata_records(shape: ModelShape, quant: str, seed: int) -> list[bytes]:
    """Everything but the tokenizer. Source of the keys: conversion/gemma.py of llama.cpp (October 2026)."""
    mix = find_quant_mix(quant)
    return [
        text_record("general.architecture", shape.architecture),
        text_record("general.type", "model"),
        text_record("general.name", shape.name),
        text_record("general.description", "Synthetic: generated weights in real shapes. Its answers mean nothing."),
        uint_record("general.file_type", mix.file_type),
        uint_record("general.quantization_version", _QUANTIZATION_VERSION),
        bool_record(SYNTHETIC_KEY, True),
        uint_record("gemstead.synthetic.seed", seed),
        text_record("gemstead.synthetic.quant", mix.name),
        *_architecture_records(shape),
    ]


def _architecture_records(shape: ModelShape) -> list[bytes]:
    arch, layers = shape.architecture, shape.layers
    sliding_dim = next(layer.head_dim for layer in layers if layer.is_sliding)
    full_dim = next(layer.head_dim for layer in layers if not layer.is_sliding)
    integers = {
        "block_count": shape.num_layers,
        "context_length": shape.max_context,
        "embedding_length": shape.hidden_size,
        "embedding_length_per_layer_input": shape.ple_size,
        "attention.head_count": layers[0].num_heads,
        "attention.key_length": full_dim,
        "attention.value_length": full_dim,
        "attention.key_length_swa": sliding_dim,
        "attention.value_length_swa": sliding_dim,
        "attention.sliding_window": shape.window,
        "attention.shared_kv_layers": shape.num_kv_shared_layers,
        "rope.dimension_count": full_dim,
        "rope.dimension_count_swa": sliding_dim,
    }
    if shape.num_experts:
        integers["expert_count"] = shape.num_experts
        integers["expert_used_count"] = shape.num_experts_used
        integers["expert_feed_forward_length"] = shape.expert_ffn_size
    floats = {
        "attention.layer_norm_rms_epsilon": _RMS_NORM_EPSILON,
        "rope.freq_base": shape.rope_base,
        "rope.freq_base_swa": shape.rope_base_sliding,
        "final_logit_softcapping": shape.final_logit_softcap or 0.0,
    }
    return [
        *(uint_record(f"{arch}.{key}", value) for key, value in integers.items()),
        *(float_record(f"{arch}.{key}", value) for key, value in floats.items()),
        numbers_record(f"{arch}.attention.head_count_kv", INT32, [layer.num_kv_heads for layer in layers]),
        numbers_record(f"{arch}.feed_forward_length", INT32, [layer.ffn_size for layer in layers]),
        numbers_record(f"{arch}.attention.sliding_window_pattern", BOOL, [layer.is_sliding for layer in layers]),
    ]
