"""Which weights llama.cpp rearranges for the CPU into a second buffer, beside the mapped file.

Source: llama.cpp, ggml/src/ggml-cpu/repack.cpp (`ggml_repack_get_optimal_repack_type`) and
ggml/src/ggml-cpu/amx/amx.cpp (`supports_op`), release of November 2026, for a build that uses all the CPU offers. Not
covered: RISC-V, s390x and builds with KleidiAI.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gemstead.catalog.ggml_types import GgmlType

_AVX2: Mapping[str, int] = {"Q4_0": 8, "Q4_K": 8, "IQ4_NL": 8, "MXFP4": 8}
_AVX512: Mapping[str, int] = {"Q2_K": 8}
_DOTPROD: Mapping[str, int] = {
    "Q4_0": 4,
    "Q4_K": 8,
    "Q5_K": 8,
    "Q6_K": 8,
    "Q8_0": 4,
    "IQ4_NL": 4,
    "MXFP4": 4,
    "Q1_0": 4,
}
"""Type -> the rows that are woven together: their number must divide the tensor's."""

_AMX_ROW_ELEMENTS: Mapping[str, int] = {
    "Q4_0": 32,
    "Q4_1": 32,
    "Q8_0": 32,
    "F16": 16,
    "Q4_K": 256,
    "Q5_K": 256,
    "Q6_K": 256,
    "IQ4_XS": 256,
}
"""Type -> what must divide the row length for the tile unit."""

_AMX_ROWS = 32


def is_repacked(dims: tuple[int, ...], ggml_type: GgmlType, instruction_sets: Collection[str]) -> bool:
    """Whether a tensor of this shape and type that is multiplied on the CPU is kept in the rearranged form.

    `instruction_sets` by the names of `hardware/snapshot.py`. It says nothing about tensors whose rows are only looked
    up (the embeddings): those never are.
    """
    kind = ggml_type.name
    if _has_amx_form(kind, dims, instruction_sets):
        return True
    woven = {rows[kind] for rows in _rules(instruction_sets) if kind in rows}
    return len(dims) > 1 and any(dims[1] % rows == 0 for rows in woven)


def _rules(instruction_sets: Collection[str]) -> list[Mapping[str, int]]:
    needs = (("avx2", _AVX2), ("avx512f", _AVX512), ("dotprod", _DOTPROD))
    return [rows for name, rows in needs if name in instruction_sets]


def _has_amx_form(kind: str, dims: tuple[int, ...], instruction_sets: Collection[str]) -> bool:
    if not {"amx_int8", "avx512_vnni"} <= set(instruction_sets) or len(dims) != 2:
        return False
    divisor = _AMX_ROW_ELEMENTS.get(kind)
    return divisor is not None and dims[0] % divisor == 0 and dims[1] % _AMX_ROWS == 0
