"""Weights of files that are not GGUF, by the groups their formats treat alike: for engines other than llama.cpp.

Source of the bits: the formats' definitions (safetensors, compressed-tensors W4A16 with groups of 32, NVFP4 with blocks
of 16, MLX with groups of 64); LiteRT-LM's mixed 2, 4 and 8 bits from the model pages' sizes in memory.
"""

from __future__ import annotations

from math import prod

import msgspec

from gemstead.catalog.tensors import PLE_TENSOR, tensor_table
from gemstead.core.errors import NameUnknown
from gemstead.core.shapes import ModelShape
from gemstead.planner.traffic import WeightTraffic


class WeightFormat(msgspec.Struct, frozen=True):
    """Bits per weight of the multiplied matrices, of the embedding that is the output head too, of the PLE table.

    `error` is relative, of the weights' bytes. `shape_name` None: for every variant.
    """

    engine: str
    name: str
    matrix_bits: float
    embedding_bits: float
    ple_bits: float
    error: float
    shape_name: str | None = None


FORMATS: tuple[WeightFormat, ...] = (
    WeightFormat("vllm", "bf16", 16, 16, 16, 0.02),
    WeightFormat("vllm", "fp8", 8, 16, 16, 0.05),
    WeightFormat("vllm", "w4a16", 4.5, 16, 16, 0.05),
    WeightFormat("vllm", "nvfp4", 4.5, 16, 16, 0.1),
    WeightFormat("transformers", "bf16", 16, 16, 16, 0.02),
    WeightFormat("mlx", "4bit", 4.5, 4.5, 4.5, 0.05),
    WeightFormat("mlx", "8bit", 8.5, 8.5, 8.5, 0.05),
    WeightFormat("litert-lm", "mobile", 2.8, 2.8, 5.9, 0.15, "gemma-4-e2b"),
    WeightFormat("litert-lm", "mobile", 3.75, 3.75, 4.1, 0.15, "gemma-4-e4b"),
)
"""The first of an engine is its default. LiteRT-LM: 0.8 GB of E2B and 2.2 GB of E4B are in memory beside the table of
per-layer embeddings, which is the rest of the 2.58 and 3.65 GB files. Source: the model pages and technical report."""


def engine_formats(engine: str, shape: ModelShape) -> list[WeightFormat]:
    """The formats in which the engine takes a model of this shape; none if it does not.

    Raises: NameUnknown if the engine's formats are not known.
    """
    of_engine = [item for item in FORMATS if item.engine == engine]
    if not of_engine:
        known = ["llama.cpp", *dict.fromkeys(item.engine for item in FORMATS)]
        raise NameUnknown("engine", engine, known, param="engine")
    return [item for item in of_engine if item.shape_name in {None, shape.name}]


def format_traffic(shape: ModelShape, form: WeightFormat) -> WeightTraffic:
    """Bytes and elements of Gemma 4 weights in `form`. Raises: NameUnknown for another architecture."""
    elements = {"ple": 0.0, "embedding": 0.0, "expert": 0.0, "matrix": 0.0}
    for tensor in tensor_table(shape, "BF16"):
        if tensor.name == PLE_TENSOR:
            group = "ple"
        elif tensor.name == "token_embd.weight":
            group = "embedding"
        else:
            group = "expert" if "_exps." in tensor.name else "matrix"
        elements[group] += prod(tensor.dims)
    embedding_bytes = elements["embedding"] * form.embedding_bits / 8
    table_bytes = elements["ple"] * form.ple_bits / 8
    return WeightTraffic(
        dense_bytes=elements["matrix"] * form.matrix_bits / 8,
        head_bytes=embedding_bytes,
        expert_bytes=elements["expert"] * form.matrix_bits / 8,
        lookup_bytes=(table_bytes + embedding_bytes) / shape.vocab_size,
        dense_weights=elements["matrix"],
        head_weights=elements["embedding"],
        expert_weights=elements["expert"],
    )


def table_bytes(shape: ModelShape, form: WeightFormat) -> float:
    """Bytes of the table of per-layer embeddings; 0 where the model has none."""
    return shape.vocab_size * shape.ple_size * shape.num_layers * form.ple_bits / 8
