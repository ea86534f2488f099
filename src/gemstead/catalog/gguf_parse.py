"""The header of a GGUF file, taken apart without trusting it.

Every count and length is compared with what the file still holds before anything is allocated or looped over, long
arrays are stepped over and left in the file, and weights are never touched.
Source: ggml/docs/gguf.md and ggml/src/gguf.cpp of llama.cpp (2026); versions 2 and 3, little-endian.
"""

from __future__ import annotations

import struct
from itertools import pairwise, repeat
from mmap import mmap
from typing import Any, TypeAlias

import msgspec

from gemstead.catalog.ggml_types import DEFAULT_ALIGNMENT_BYTES, GGML_TYPES_BY_ID, GgmlType, aligned, tensor_data_bytes
from gemstead.core.errors import FileDamaged

MAGIC = b"GGUF"
STRING, ARRAY, UINT8, UINT32, INT32, FLOAT32, BOOL, UINT64 = 8, 9, 0, 4, 5, 6, 7, 10
SCALARS: dict[int, struct.Struct] = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
"""Type number in the file -> how one value is stored."""

MAX_KEYS = 1024  # a real file has 30 to 60
MAX_KEY_BYTES = 65_535  # the format's own bound
MAX_TEXT_BYTES = 1 << 17  # a longer text is left in the file as an array of bytes; chat templates are 2 to 30 kB
MAX_EAGER_ITEMS = 4096  # per-layer lists; vocabularies stay in the file
MAX_ARRAY_STRINGS = 1 << 24  # 60 times Gemma's vocabulary; stepping over them takes 3 s
MAX_TENSORS = 1 << 16  # a large MoE with one tensor per expert has 25 thousand
MAX_TENSOR_NAME_BYTES = 63  # GGML_MAX_NAME less its final zero
MAX_DIMS = 4
MAX_ELEMENTS = 1 << 50

_LENGTH = SCALARS[UINT64]
_MAX_SHOWN = 100
_ELSEWHERE = {
    b"ggml": "an old GGML file",
    b"ggjt": "an old GGML file",
    b"ggla": "an old LoRA file",
    b"PK\x03\x04": "a zip archive",
    b"<!DO": "a web page",
    b"<htm": "a web page",
    b"vers": "a Git LFS pointer, not the file it points to",
}


def shown(value: object) -> str:
    """`value` for an error message, cut short: it may be a hostile file's."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


class ArrayRef(msgspec.Struct, frozen=True):
    """An array that stayed in the file: `count` items of `item_type` from byte `offset` on, `num_bytes` in all."""

    item_type: int
    count: int
    offset: int
    num_bytes: int


MetadataValue: TypeAlias = int | float | bool | str | tuple[int | float | bool, ...] | ArrayRef


class MetadataEntry(msgspec.Struct, frozen=True):
    """One key's value and the bytes [start, end) of the file that hold key, type and value."""

    value: MetadataValue
    start: int
    end: int


class TensorInfo(msgspec.Struct, frozen=True):
    """`dims` row length first; `offset` from the beginning of the file; `num_bytes` without padding."""

    name: str
    dims: tuple[int, ...]
    ggml_type: GgmlType
    offset: int
    num_bytes: int


class Header(msgspec.Struct, frozen=True):
    version: int
    metadata: dict[str, MetadataEntry]
    tensors: tuple[TensorInfo, ...]
    alignment_bytes: int
    data_offset: int


def parse_header(buffer: mmap | bytes, name: str) -> Header:
    """The header at the start of `buffer`, which is the whole file; `name` is what errors call it.

    Raises: FileDamaged if it is no GGUF file, is of a version nobody reads any more, or contradicts itself or its size.
    """
    cursor = Cursor(buffer, name)
    version, num_tensors, num_keys = _preamble(cursor)
    metadata = _metadata(cursor, num_keys)
    alignment_bytes = _alignment(cursor, metadata)
    infos = [_tensor_info(cursor) for _ in range(num_tensors)]
    data_offset = aligned(cursor.position, alignment_bytes)
    tensors = tuple(msgspec.structs.replace(info, offset=data_offset + info.offset) for info in infos)
    _check_layout(cursor, tensors, alignment_bytes)
    return Header(version, metadata, tensors, alignment_bytes, data_offset)


class Cursor:
    """A place in the file that never runs past its end."""

    def __init__(self, buffer: mmap | bytes, name: str, position: int = 0) -> None:
        self.buffer = buffer
        self.size_bytes = len(buffer)
        self.position = position
        self._name = name

    def damaged(self, problem: str, hint: str = "fetch the file again and compare its sha256") -> FileDamaged:
        return FileDamaged(f"{self._name} is not a sound GGUF file: {problem}", hint=hint)

    def require(self, num_bytes: int, purpose: str) -> None:
        left = self.size_bytes - self.position
        if num_bytes > left:
            raise self.damaged(
                f"{purpose} should take {num_bytes} bytes, {left} are left (cut short, or a false count)"
            )

    def scalar(self, layout: struct.Struct, purpose: str) -> Any:
        self.require(layout.size, purpose)
        (value,) = layout.unpack_from(self.buffer, self.position)
        self.position += layout.size
        return value

    def text(self, purpose: str, max_bytes: int) -> str:
        length: int = self.scalar(_LENGTH, purpose)
        if length > max_bytes:
            raise self.damaged(f"{purpose} is {length} bytes long, {max_bytes} are allowed")
        self.require(length, purpose)
        raw = self.buffer[self.position : self.position + length]
        self.position += length
        try:
            return raw.decode()
        except UnicodeDecodeError as exc:
            raise self.damaged(f"{purpose} is not UTF-8") from exc

    def skip_strings(self, count: int, purpose: str) -> None:
        """Steps over `count` strings: 0.2 s per million."""
        unpack, buffer, position = _LENGTH.unpack_from, self.buffer, self.position
        try:
            for _ in repeat(None, count):
                position += unpack(buffer, position)[0] + 8
        except (struct.error, OverflowError) as exc:
            raise self.damaged(f"{purpose} runs past the end of the file") from exc
        if position > self.size_bytes:
            raise self.damaged(f"{purpose} runs past the end of the file")
        self.position = position


def _preamble(cursor: Cursor) -> tuple[int, int, int]:
    """(version, number of tensors, number of keys), each plausible for the size of the file."""
    magic = bytes(cursor.buffer[:4])
    if magic != MAGIC:
        what = _ELSEWHERE.get(magic, f"it begins with {magic!r} instead of b'GGUF'")
        raise cursor.damaged(what if what.startswith("it") else f"it is {what}", hint="give a file in GGUF format")
    cursor.require(24, "the header")
    cursor.position = 4
    version: int = cursor.scalar(SCALARS[UINT32], "the version")
    if version in (1, 2 << 24, 3 << 24):
        kind = "version 1" if version == 1 else "big-endian"
        raise cursor.damaged(
            f"it is {kind}, which is not read", hint="convert the model again with a current converter"
        )
    if version not in (2, 3):
        raise cursor.damaged(f"its version is {version}; 2 and 3 are known", hint="update gemstead, or fetch it again")
    num_tensors: int = cursor.scalar(_LENGTH, "the number of tensors")
    num_keys: int = cursor.scalar(_LENGTH, "the number of keys")
    # The smallest key takes 8 bytes of length, 4 of type and 1 of value; the smallest tensor info 32 bytes.
    if num_keys > MAX_KEYS or num_tensors > MAX_TENSORS or 13 * num_keys + 32 * num_tensors > cursor.size_bytes:
        raise cursor.damaged(f"it claims {num_keys} keys and {num_tensors} tensors in {cursor.size_bytes} bytes")
    return version, num_tensors, num_keys


def _metadata(cursor: Cursor, num_keys: int) -> dict[str, MetadataEntry]:
    metadata: dict[str, MetadataEntry] = {}
    for number in range(num_keys):
        start = cursor.position
        key = cursor.text(f"key {number}", MAX_KEY_BYTES)
        if key in metadata:
            raise cursor.damaged(f"key {shown(key)} appears twice")
        value = _value(cursor, cursor.scalar(SCALARS[UINT32], f"the type of {shown(key)}"), key)
        metadata[key] = MetadataEntry(value, start, cursor.position)
    return metadata


def _value(cursor: Cursor, value_type: int, key: str) -> MetadataValue:
    purpose = f"the value of {shown(key)}"
    if value_type == STRING:
        return _text_or_ref(cursor, purpose)
    if value_type == ARRAY:
        return _array(cursor, purpose)
    if value_type not in SCALARS:
        raise cursor.damaged(f"{purpose} has type {value_type}, which does not exist")
    value: int | float | bool = cursor.scalar(SCALARS[value_type], purpose)
    return value


def _text_or_ref(cursor: Cursor, purpose: str) -> str | ArrayRef:
    length: int = cursor.scalar(_LENGTH, purpose)
    if length <= MAX_TEXT_BYTES:
        cursor.position -= _LENGTH.size
        return cursor.text(purpose, MAX_TEXT_BYTES)
    cursor.require(length, purpose)
    reference = ArrayRef(UINT8, length, cursor.position, length)
    cursor.position += length
    return reference


def _array(cursor: Cursor, purpose: str) -> tuple[int | float | bool, ...] | ArrayRef:
    item_type: int = cursor.scalar(SCALARS[UINT32], purpose)
    count: int = cursor.scalar(_LENGTH, purpose)
    start = cursor.position
    if item_type == STRING:
        cursor.require(8 * count, purpose)
        if count > MAX_ARRAY_STRINGS:
            raise cursor.damaged(f"{purpose} lists {count} texts, {MAX_ARRAY_STRINGS} are allowed")
        cursor.skip_strings(count, purpose)
    elif item_type in SCALARS:
        cursor.require(SCALARS[item_type].size * count, purpose)
        cursor.position += SCALARS[item_type].size * count
        if count <= MAX_EAGER_ITEMS:
            return unpacked(cursor.buffer, item_type, count, start)
    else:
        raise cursor.damaged(f"{purpose} is a list of type {item_type}, which does not exist or is a list itself")
    return ArrayRef(item_type, count, start, cursor.position - start)


def unpacked(buffer: mmap | bytes, item_type: int, count: int, offset: int) -> tuple[int | float | bool, ...]:
    """`count` numbers stored one after another; the caller has checked that they are inside."""
    return struct.unpack_from(f"<{count}{SCALARS[item_type].format[-1]}", buffer, offset)


def _alignment(cursor: Cursor, metadata: dict[str, MetadataEntry]) -> int:
    entry = metadata.get("general.alignment")
    value = DEFAULT_ALIGNMENT_BYTES if entry is None else entry.value
    if type(value) is not int or not 0 < value <= 1 << 16 or value & (value - 1):
        raise cursor.damaged(f"its alignment is {shown(value)}, not a power of two")
    return value


def _tensor_info(cursor: Cursor) -> TensorInfo:
    """One entry of the tensor list; its offset is still counted from the start of the tensor data."""
    name = cursor.text("the name of a tensor", MAX_TENSOR_NAME_BYTES)
    num_dims: int = cursor.scalar(SCALARS[UINT32], f"the shape of {name!r}")
    if not 1 <= num_dims <= MAX_DIMS:
        raise cursor.damaged(f"tensor {name!r} has {num_dims} dimensions, 1 to {MAX_DIMS} exist")
    dims = tuple(cursor.scalar(_LENGTH, f"the shape of {name!r}") for _ in range(num_dims))
    type_id: int = cursor.scalar(SCALARS[UINT32], f"the type of {name!r}")
    offset: int = cursor.scalar(_LENGTH, f"the offset of {name!r}")
    num_elements = 1
    for size in dims:
        num_elements *= size
        if not 0 < num_elements <= MAX_ELEMENTS:
            raise cursor.damaged(f"tensor {name!r} has an impossible shape {dims}")
    if (ggml_type := GGML_TYPES_BY_ID.get(type_id)) is None:
        raise cursor.damaged(f"tensor {name!r} has type {type_id}, not known here", hint="update gemstead")
    try:
        num_bytes = tensor_data_bytes(dims, ggml_type)
    except ValueError as exc:
        raise cursor.damaged(f"tensor {name!r}: {exc}") from exc
    return TensorInfo(name, dims, ggml_type, offset, num_bytes)


def _check_layout(cursor: Cursor, tensors: tuple[TensorInfo, ...], alignment_bytes: int) -> None:
    """Names are unique; data is aligned, inside the file and nobody else's."""
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise cursor.damaged("two tensors have the same name")
    ordered = sorted(tensors, key=lambda tensor: tensor.offset)
    for tensor in ordered:
        if tensor.offset % alignment_bytes:
            raise cursor.damaged(f"tensor {tensor.name!r} does not start at a multiple of {alignment_bytes} bytes")
        if (missing := tensor.offset + tensor.num_bytes - cursor.size_bytes) > 0:
            raise cursor.damaged(f"tensor {tensor.name!r} ends {missing} bytes after the file: it was cut short")
    for first, second in pairwise(ordered):
        if first.offset + first.num_bytes > second.offset:
            raise cursor.damaged(f"tensors {first.name!r} and {second.name!r} overlap")
