"""The head of a GGUF file: key records, tensor list, padding.

The gguf package has a writer; it re-encodes a vocabulary token by token (half a minute for Gemma's) and cannot take
over records as they lie in another file, which is all a synthetic model needs. Version 3, little-endian.
Source: ggml/docs/gguf.md of llama.cpp (2026).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from gemstead.catalog.ggml_types import aligned
from gemstead.catalog.gguf_parse import ARRAY, BOOL, FLOAT32, MAGIC, SCALARS, STRING, UINT32
from gemstead.catalog.tensors import TensorSpec

_VERSION = 3


def _text(raw: bytes) -> bytes:
    return struct.pack("<Q", len(raw)) + raw


def _record(key: str, value_type: int, payload: bytes) -> bytes:
    return _text(key.encode()) + struct.pack("<I", value_type) + payload


def text_record(key: str, value: str) -> bytes:
    return _record(key, STRING, _text(value.encode()))


def bool_record(key: str, value: bool) -> bytes:
    return _record(key, BOOL, struct.pack("<?", value))


def uint_record(key: str, value: int) -> bytes:
    return _record(key, UINT32, struct.pack("<I", value))


def float_record(key: str, value: float) -> bytes:
    return _record(key, FLOAT32, struct.pack("<f", value))


def numbers_record(key: str, item_type: int, values: Sequence[int | float | bool]) -> bytes:
    """A list of numbers, all of `item_type`."""
    head = struct.pack("<IQ", item_type, len(values))
    return _record(key, ARRAY, head + struct.pack(f"<{len(values)}{SCALARS[item_type].format[-1]}", *values))


def texts_record(key: str, values: Sequence[bytes]) -> bytes:
    """A list of texts, given as bytes because tokens may be parts of characters."""
    return _record(key, ARRAY, struct.pack("<IQ", STRING, len(values)) + b"".join(map(_text, values)))


def header(records: Sequence[bytes], tensors: Sequence[TensorSpec]) -> bytes:
    """Everything before the first tensor's data, padded; the data follows in the order of `tensors`, each padded."""
    infos, offset = [], 0
    for tensor in tensors:
        dims = struct.pack(f"<I{len(tensor.dims)}Q", len(tensor.dims), *tensor.dims)
        infos.append(_text(tensor.name.encode()) + dims + struct.pack("<IQ", tensor.ggml_type.id, offset))
        offset += tensor.num_bytes
    head = MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(records)) + b"".join([*records, *infos])
    return head.ljust(aligned(len(head)), b"\0")
