"""Random bytes that are sound weights in each tensor type: finite, centred on zero, about 0.02 large.

A quantized block is a few scales and many packed small integers. Any integers are valid, so random bytes become a sound
block once its scales are set. In floats, the exponent is set and sign and mantissa stay random.
Source of the layouts: ggml/src/ggml-common.h of llama.cpp (2026).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import shake_256

from gemstead.catalog.ggml_types import GgmlType

_CHUNK_BYTES = 8 << 20
_NUM_BLOCKS = {1: 2_097_169, 32: 65_537, 256: 8209}
"""Blocks of a pool by elements in a block, two million elements each. Primes: whatever the length of a tensor's rows,
they do not repeat before that many rows."""

_SCALES: dict[str, dict[int, float]] = {
    "Q4_0": {0: 0.0043},
    "Q4_1": {0: 0.0043, 2: -0.0043 * 7.5},
    "Q5_0": {0: 0.0022},
    "Q5_1": {0: 0.0022, 2: -0.0022 * 15.5},
    "Q8_0": {0: 2.7e-4},
    "IQ4_NL": {0: 2.9e-4},
    "Q2_K": {80: 1.7e-3, 82: 1.7e-3 * 1.5},
    "Q3_K": {108: 4.7e-4},
    "Q4_K": {0: 8e-5, 2: 8e-5 * 7.5},
    "Q5_K": {0: 4e-5, 2: 4e-5 * 15.5},
    "Q6_K": {208: 1.5e-5},
    "IQ2_S": {0: 3.6e-4},
    "IQ3_S": {0: 1.4e-4},
}
"""Byte offset in the block -> the float16 scale or minimum there. Minima balance the mean of unsigned integers."""

_TOP_BYTES: dict[str, tuple[int, int, int]] = {"BF16": (1, 0x80, 0x3C), "F16": (1, 0x83, 0x24), "F32": (3, 0x80, 0x3F)}
"""Offset of the byte with sign and exponent, the random bits it keeps, the exponent bits it gets.

BF16 and F16 become 0.008 to 0.03, F32, used for routers, 0.5 to 2, with either sign."""


def random_bytes(seed: int, label: str, num_bytes: int) -> bytes:
    """The same bytes for the same seed and label, on any machine and in any version."""
    return shake_256(f"{seed}/{label}".encode()).digest(num_bytes)


class BlockPool:
    """Random blocks of one type, handed out as tensors of any size: the pool again and again from some block on.

    Raises: KeyError if no recipe for the type is known.
    """

    def __init__(self, ggml_type: GgmlType, seed: int) -> None:
        self._block_bytes = ggml_type.block_bytes
        self._num_blocks = _NUM_BLOCKS[ggml_type.block_elements]
        self._seed = seed
        blocks = random_blocks(ggml_type, self._num_blocks, seed)
        repeats = -(-_CHUNK_BYTES // len(blocks))
        self._chunk_bytes = repeats * len(blocks)
        self._tiled = memoryview(blocks * (repeats + 1))

    def stream(self, label: str, num_bytes: int) -> Iterator[memoryview]:
        """`num_bytes` in chunks, beginning at a block that follows from `label`."""
        first = int.from_bytes(random_bytes(self._seed, label, 8), "little") % self._num_blocks * self._block_bytes
        while num_bytes > 0:
            # A chunk is a whole number of pools, so the next one begins at the same place.
            chunk = self._tiled[first : first + min(num_bytes, self._chunk_bytes)]
            yield chunk
            num_bytes -= len(chunk)


def random_blocks(ggml_type: GgmlType, num_blocks: int, seed: int) -> bytes:
    """`num_blocks` sound blocks. Raises: KeyError if no recipe for the type is known."""
    size = ggml_type.block_bytes
    blocks = bytearray(random_bytes(seed, ggml_type.name, num_blocks * size))
    if ggml_type.name in _TOP_BYTES:
        offset, kept, fixed = _TOP_BYTES[ggml_type.name]
        blocks[offset::size] = blocks[offset::size].translate(bytes((byte & kept) | fixed for byte in range(256)))
    else:
        scales = _SCALES[ggml_type.name]
        # Integers from -8 to 7 have a mean, which every weight would share: a lone scale gets a random sign.
        random_sign = 0x80 if len(scales) == 1 else 0
        for offset, scale in scales.items():
            low, high = struct.pack("<e", scale)
            blocks[offset::size] = bytes([low]) * num_blocks
            top = blocks[offset + 1 :: size]
            blocks[offset + 1 :: size] = top.translate(bytes((byte & random_sign) | high for byte in range(256)))
    return bytes(blocks)
