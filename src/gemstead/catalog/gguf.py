"""What a GGUF file says about itself, read in milliseconds without loading a weight."""

from __future__ import annotations

import re
import struct
from collections import Counter
from mmap import ACCESS_READ, mmap
from pathlib import Path

import msgspec

from gemstead.catalog.ggml_types import FILE_TYPES
from gemstead.catalog.gguf_parse import (
    MAX_TEXT_BYTES,
    SCALARS,
    STRING,
    UINT64,
    ArrayRef,
    MetadataEntry,
    MetadataValue,
    TensorInfo,
    parse_header,
    shown,
    unpacked,
)
from gemstead.catalog.gguf_shape import shape_of
from gemstead.core.errors import FileDamaged, ModelMissing
from gemstead.core.shapes import ModelShape

SYNTHETIC_KEY = "gemstead.synthetic"
_MIN_FILE_BYTES = 24
_CONSTANT_TENSOR = re.compile(r"(.*\.)?rope_(freqs|factors_\w+)\.weight")
_GUESSED_FILE_TYPE = 1024


class Split(msgspec.Struct, frozen=True):
    """This file is part `number` (from 0) of `count`; all parts together hold `num_tensors`."""

    number: int
    count: int
    num_tensors: int


class GgufFile(msgspec.Struct, frozen=True):
    """The header of one GGUF file. All texts in it are the publisher's: bounded, but otherwise untrusted."""

    path: Path
    size_bytes: int
    version: int
    metadata: dict[str, MetadataEntry]
    tensors: tuple[TensorInfo, ...]
    alignment_bytes: int
    data_offset: int
    split: Split | None = None

    def get(self, key: str) -> MetadataValue | None:
        """The value of `key`; long arrays as a reference for `read_array`."""
        entry = self.metadata.get(key)
        return None if entry is None else entry.value

    def text(self, key: str) -> str | None:
        """Raises: FileDamaged if the value is there and is no text, or is longer than 128 KiB."""
        value = self.get(key)
        if value is None or isinstance(value, str):
            return value
        raise FileDamaged(
            f"{self.path.name}: {key!r} is not a text of at most {MAX_TEXT_BYTES} bytes",
            hint="fetch the file again and compare its sha256",
        )

    def integer(self, key: str) -> int | None:
        """Raises: FileDamaged if the value is there and is not a whole number from 0 to 2^53."""
        value = self.get(key)
        if value is None or (type(value) is int and 0 <= value <= 1 << 53):
            return value
        raise FileDamaged(
            f"{self.path.name}: {key!r} is {shown(value)}, not a plausible whole number",
            hint="fetch the file again and compare its sha256",
        )

    @property
    def architecture(self) -> str | None:
        """None in the later parts of a split file, which carry no metadata."""
        return self.text("general.architecture")

    @property
    def name(self) -> str | None:
        return self.text("general.name")

    @property
    def context_length(self) -> int | None:
        """Tokens the model was trained for."""
        return self.integer(f"{self.architecture}.context_length")

    @property
    def chat_template(self) -> str | None:
        """Jinja source, to be run in a sandbox only."""
        return self.text("tokenizer.chat_template")

    @property
    def tokenizer(self) -> str | None:
        """The kind of tokenizer: gemma4, llama, gpt2 ..."""
        return self.text("tokenizer.ggml.model")

    @property
    def is_synthetic(self) -> bool:
        """True: gemstead generated the weights; answers mean nothing."""
        return self.get(SYNTHETIC_KEY) is True

    @property
    def parameter_count(self) -> int:
        """Elements of the tensors in this file; the constant RoPE factors are no parameters."""
        return sum(_num_elements(tensor) for tensor in self.tensors if not _CONSTANT_TENSOR.fullmatch(tensor.name))

    @property
    def quant(self) -> str | None:
        """The quantization as its publisher declared it (Q4_K_M), else the type most weights have; None: no weights."""
        if not self.tensors:
            return None
        declared = self.integer("general.file_type")
        if declared is not None and declared < _GUESSED_FILE_TYPE and declared in FILE_TYPES:
            return FILE_TYPES[declared]
        elements: Counter[str] = Counter()
        for tensor in self.tensors:
            elements[tensor.ggml_type.name] += _num_elements(tensor)
        return elements.most_common(1)[0][0]

    def shape(self) -> ModelShape:
        """Its dimensions. Raises: FileDamaged if they are missing or contradict each other."""
        return shape_of(self.path.name, self.metadata, self.tensors)

    def read_array(self, key: str) -> list[bytes] | tuple[int | float | bool, ...]:
        """The items of an array; texts as bytes, because tokens may be parts of characters. Opens the file again.

        Gemma's tokens take 0.1 s, its merges 0.2 s.
        Raises: KeyError if there is no such array; FileDamaged if the file changed meanwhile; ModelMissing.
        """
        value = self.get(key)
        if isinstance(value, tuple):
            return value
        if not isinstance(value, ArrayRef):
            raise KeyError(key)
        raw = self._read(value.offset, value.num_bytes)
        if value.item_type != STRING:
            return unpacked(raw, value.item_type, value.count, 0)
        return _split_strings(raw, value.count, self.path.name)

    def read_raw(self, entry: MetadataEntry) -> bytes:
        """The bytes of one key, type and value as they lie in the file. Raises: FileDamaged, ModelMissing."""
        return self._read(entry.start, entry.end - entry.start)

    def _read(self, offset: int, num_bytes: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                raw = file.read(num_bytes)
        except OSError as exc:
            raise _unreadable(self.path, exc) from exc
        if len(raw) != num_bytes:
            raise FileDamaged(f"{self.path.name} became shorter while it was read", hint="fetch the file again")
        return raw


def read_gguf(path: Path) -> GgufFile:
    """Reads and checks the header of `path`: 0.1 s with Gemma's vocabulary, whatever the weights' size.

    The file must not shrink meanwhile: it is mapped.
    Raises: FileDamaged if it is not a sound GGUF file; ModelMissing if it cannot be opened.
    """
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            if size_bytes < _MIN_FILE_BYTES:
                raise FileDamaged(
                    f"{path.name} has {size_bytes} bytes, no GGUF file is so short", hint="fetch it again"
                )
            with mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
                header = parse_header(mapped, path.name)
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    gguf = GgufFile(
        path=path,
        size_bytes=size_bytes,
        version=header.version,
        metadata=header.metadata,
        tensors=header.tensors,
        alignment_bytes=header.alignment_bytes,
        data_offset=header.data_offset,
    )
    return msgspec.structs.replace(gguf, split=_split(gguf))


def _unreadable(path: Path, exc: OSError) -> ModelMissing:
    return ModelMissing(f"cannot read {path}: {exc.strerror or exc}", hint="check the path and its permissions")


def _num_elements(tensor: TensorInfo) -> int:
    return tensor.num_bytes // tensor.ggml_type.block_bytes * tensor.ggml_type.block_elements


def _split(gguf: GgufFile) -> Split | None:
    count = gguf.integer("split.count")
    if count is None:
        return None
    number, num_tensors = gguf.integer("split.no"), gguf.integer("split.tensors.count")
    if number is None or num_tensors is None or number >= count or num_tensors < len(gguf.tensors):
        raise FileDamaged(
            f"{gguf.path.name}: it says it is part {number} of {count} with {num_tensors} tensors in all",
            hint="fetch the file again",
        )
    return Split(number, count, num_tensors) if count > 1 else None


def _split_strings(raw: bytes, count: int, name: str) -> list[bytes]:
    unpack, position, strings = SCALARS[UINT64].unpack_from, 0, []
    try:
        for _ in range(count):
            start = position + 8
            position = start + unpack(raw, position)[0]
            strings.append(raw[start:position])
    except (struct.error, OverflowError) as exc:
        raise FileDamaged(f"{name} changed while it was read", hint="read it again") from exc
    return strings
