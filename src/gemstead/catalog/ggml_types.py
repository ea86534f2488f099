"""The tensor types of GGML files: how many bytes a block of elements takes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import msgspec

DEFAULT_ALIGNMENT_BYTES = 32
"""Tensors start at multiples of this unless the file's `general.alignment` says otherwise."""


class GgmlType(msgspec.Struct, frozen=True):
    """One storage type: rows are cut into blocks of `block_elements`, each stored in `block_bytes`."""

    name: str
    id: int
    block_elements: int
    block_bytes: int


_TABLE = (
    ("F32", 0, 1, 4),
    ("F16", 1, 1, 2),
    ("Q4_0", 2, 32, 18),
    ("Q4_1", 3, 32, 20),
    ("Q5_0", 6, 32, 22),
    ("Q5_1", 7, 32, 24),
    ("Q8_0", 8, 32, 34),
    ("Q8_1", 9, 32, 40),
    ("Q2_K", 10, 256, 84),
    ("Q3_K", 11, 256, 110),
    ("Q4_K", 12, 256, 144),
    ("Q5_K", 13, 256, 176),
    ("Q6_K", 14, 256, 210),
    ("Q8_K", 15, 256, 292),
    ("IQ2_XXS", 16, 256, 66),
    ("IQ2_XS", 17, 256, 74),
    ("IQ3_XXS", 18, 256, 98),
    ("IQ1_S", 19, 256, 50),
    ("IQ4_NL", 20, 32, 18),
    ("IQ3_S", 21, 256, 110),
    ("IQ2_S", 22, 256, 82),
    ("IQ4_XS", 23, 256, 136),
    ("I8", 24, 1, 1),
    ("I16", 25, 1, 2),
    ("I32", 26, 1, 4),
    ("I64", 27, 1, 8),
    ("F64", 28, 1, 8),
    ("IQ1_M", 29, 256, 56),
    ("BF16", 30, 1, 2),
    ("TQ1_0", 34, 256, 54),
    ("TQ2_0", 35, 256, 66),
    ("MXFP4", 39, 32, 17),
    ("NVFP4", 40, 64, 36),
    ("Q1_0", 41, 128, 18),
)

GGML_TYPES: dict[str, GgmlType] = {row[0]: GgmlType(*row) for row in _TABLE}
"""By name. Source: ggml.h and ggml-common.h of llama.cpp (2026); a test compares it with the gguf package."""

GGML_TYPES_BY_ID: dict[int, GgmlType] = {kind.id: kind for kind in GGML_TYPES.values()}

FILE_TYPES: dict[int, str] = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4_MOE",
    39: "NVFP4",
    40: "Q1_0",
}
"""What `general.file_type` means: the quantization of the whole file (`llama_ftype` in llama.h)."""


def aligned(num_bytes: int, alignment_bytes: int = DEFAULT_ALIGNMENT_BYTES) -> int:
    """`num_bytes` rounded up to a multiple of `alignment_bytes`."""
    return -(-num_bytes // alignment_bytes) * alignment_bytes


def tensor_data_bytes(dims: Sequence[int], ggml_type: GgmlType) -> int:
    """Bytes of the elements alone; `dims[0]` is the row length, the fastest-moving dimension.

    Raises: ValueError if a row is not a whole number of blocks.
    """
    if dims[0] % ggml_type.block_elements:
        raise ValueError(f"a row of {dims[0]} is not a multiple of {ggml_type.name}'s {ggml_type.block_elements}")
    return prod(dims) // ggml_type.block_elements * ggml_type.block_bytes


def tensor_bytes(dims: Sequence[int], ggml_type: GgmlType, alignment_bytes: int = DEFAULT_ALIGNMENT_BYTES) -> int:
    """Bytes the tensor takes in a file: the elements, padded to the alignment.

    Raises: ValueError if a row is not a whole number of blocks.
    """
    return aligned(tensor_data_bytes(dims, ggml_type), alignment_bytes)
