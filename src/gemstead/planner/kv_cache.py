"""The KV cache of llama.cpp, to the byte.

`context_length` is what one slot holds. llama.cpp's `-c` is the whole pool: context_length * num_slots.
Source: llama.cpp, src/llama-context.cpp (padding of n_ctx), src/llama-kv-cache-iswa.cpp (cells of the sliding cache),
src/llama-kv-cache.cpp (tensors), release of November 2026; equal to the logs quoted in the tests.
"""

from __future__ import annotations

import msgspec

from gemstead.catalog.ggml_types import GGML_TYPES
from gemstead.core.errors import RequestInvalid
from gemstead.core.plan import KvCacheDtype
from gemstead.core.shapes import LayerShape, ModelShape

CELL_PADDING = 256
"""llama.cpp rounds every count of cells up to a multiple of this."""

DEFAULT_UBATCH_TOKENS = 512


class KvCells(msgspec.Struct, frozen=True):
    """Tokens that each kind of layer holds: `full` or `sliding` cells in each of `num_streams` copies."""

    full: int
    sliding: int
    num_streams: int

    def layer_bytes(self, layer: LayerShape, dtype: KvCacheDtype) -> int:
        """K and V of one layer: two tensors [num_streams, cells, kv_heads * head_dim]; 0 for a layer without a cache.

        Raises: RequestInvalid if a row is not a whole number of blocks of `dtype` (the engine refuses it too).
        """
        if not layer.has_kv:
            return 0
        cells = self.sliding if layer.is_sliding else self.full
        return 2 * self.num_streams * cells * _row_bytes(layer, dtype)


class KvCache(msgspec.Struct, frozen=True):
    """Bytes of the layers that see everything and of those that see a sliding window."""

    full_bytes: int
    sliding_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.full_bytes + self.sliding_bytes


def kv_cells(
    shape: ModelShape,
    context_length: int,
    num_slots: int,
    *,
    ubatch_tokens: int = DEFAULT_UBATCH_TOKENS,
    is_unified: bool = False,
    is_full_swa: bool = False,
) -> KvCells:
    """How many tokens the cache has room for.

    Split: every slot has its own stream of `context_length` cells, and of a window plus one batch in sliding layers.
    `is_unified`: one stream that all slots share. `is_full_swa`: sliding layers keep everything too.

    Raises: RequestInvalid if a count is not positive.
    """
    if context_length < 1 or num_slots < 1 or ubatch_tokens < 1:
        raise RequestInvalid(
            f"context {context_length}, {num_slots} slots, batches of {ubatch_tokens} tokens: each must be 1 or more"
        )
    pool = _padded(context_length * num_slots)
    full = pool if is_unified else _padded(pool // num_slots)
    windows = num_slots if is_unified else 1
    sliding = full if is_full_swa else _padded(min(full, shape.window * windows + ubatch_tokens))
    return KvCells(full=full, sliding=sliding, num_streams=1 if is_unified else num_slots)


def kv_cache_bytes(
    shape: ModelShape,
    context_length: int,
    num_slots: int,
    dtype: KvCacheDtype,
    *,
    ubatch_tokens: int = DEFAULT_UBATCH_TOKENS,
    is_unified: bool = False,
    is_full_swa: bool = False,
) -> KvCache:
    """Memory of the whole cache, allocated when the engine starts, in bytes.

    Raises: RequestInvalid for a count below one, or a `dtype` whose blocks do not divide a row.
    """
    cells = kv_cells(
        shape,
        context_length,
        num_slots,
        ubatch_tokens=ubatch_tokens,
        is_unified=is_unified,
        is_full_swa=is_full_swa,
    )
    return KvCache(
        full_bytes=sum(cells.layer_bytes(layer, dtype) for layer in shape.layers if not layer.is_sliding),
        sliding_bytes=sum(cells.layer_bytes(layer, dtype) for layer in shape.layers if layer.is_sliding),
    )


def _row_bytes(layer: LayerShape, dtype: KvCacheDtype) -> int:
    elements, block = layer.num_kv_heads * layer.head_dim, GGML_TYPES[dtype.upper()]
    if elements % block.block_elements:
        raise RequestInvalid(
            f"a {dtype} KV cache needs rows in multiples of {block.block_elements}, this model's have {elements}",
            param="kv_cache_dtype",
            hint="use --kv f16",
        )
    return elements // block.block_elements * block.block_bytes


def _padded(cells: int) -> int:
    return -(-cells // CELL_PADDING) * CELL_PADDING
