"""The KV cache formula against published logs, this project's own measurements, and what must always hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.core.errors import RequestInvalid
from gemstead.core.plan import KvCacheDtype
from gemstead.core.shapes import LayerShape, ModelShape
from gemstead.core.units import MIB
from gemstead.planner.kv_cache import KvCache, kv_cache_bytes, kv_cells

_SMOLLM2_LAYER = LayerShape(is_sliding=False, num_heads=9, num_kv_heads=3, head_dim=64, ffn_size=1536)
SMOLLM2 = ModelShape("smollm2", "llama", 576, 49_152, 8192, (_SMOLLM2_LAYER,) * 30)

_GEMMA3_LAYERS = tuple(
    LayerShape(is_sliding=(index + 1) % 6 != 0, num_heads=4, num_kv_heads=1, head_dim=256, ffn_size=2048)
    for index in range(18)
)
GEMMA3_270M = ModelShape("gemma-3-270m", "gemma3", 640, 262_144, 32_768, _GEMMA3_LAYERS, window=512)

DTYPES: list[KvCacheDtype] = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "f16"]
"""From the least precise to the most."""


def mib(cache: KvCache) -> tuple[float, float]:
    return cache.full_bytes / MIB, cache.sliding_bytes / MIB


def test_published_log_of_31b_with_four_slots_is_matched_to_the_byte() -> None:
    # "4608 cells, 50 layers, 3600.00 MiB" at f16 with four slots in one pool.
    shape = GEMMA4_SHAPES["31b"]
    assert kv_cells(shape, 32_768, 4, is_unified=True).sliding == 4608
    assert kv_cache_bytes(shape, 32_768, 4, "f16", is_unified=True).sliding_bytes == 3600 * MIB


def test_published_log_of_e2b_is_matched_to_the_byte() -> None:
    # "4096 cells, 12 layers, 48.00 MiB" at f16: every cell kept in the sliding layers.
    shape = GEMMA4_SHAPES["e2b"]
    assert kv_cache_bytes(shape, 4096, 1, "f16", is_full_swa=True).sliding_bytes == 48 * MIB


TABLE = {
    4_096: (36, 104, 544, 380, 1_520),
    8_192: (60, 168, 608, 460, 1_840),
    16_384: (108, 296, 736, 620, 2_480),
    32_768: (204, 552, 992, 940, 3_760),
    65_536: (396, 1_064, 1_504, 1_580, 6_320),
    131_072: (780, 2_088, 2_528, 2_860, 11_440),
}


@pytest.mark.parametrize("context_length", TABLE)
def test_one_slot_at_f16_needs_what_the_architecture_says(context_length: int) -> None:
    needed = [kv_cache_bytes(shape, context_length, 1, "f16").total_bytes for shape in GEMMA4_SHAPES.values()]
    assert needed == [size * MIB for size in TABLE[context_length]]


def test_slots_may_share_one_pool_or_split_it() -> None:
    # A pool of 32768 tokens: 8192 for each of four slots.
    unified = [kv_cache_bytes(shape, 8192, 4, "f16", is_unified=True).total_bytes for shape in GEMMA4_SHAPES.values()]
    split = [kv_cache_bytes(shape, 8192, 4, "f16").total_bytes for shape in GEMMA4_SHAPES.values()]
    assert unified == [size * MIB for size in (222, 612, 1_952, 1_540, 6_160)]
    assert split == [size * MIB for size in (240, 672, 2_432, 1_840, 7_360)]


# Lines of llama-server 0.5.0-dev (0c1e570), CPU: (context of a slot, slots, one pool?, type, MiB full, MiB sliding).
MEASURED_E2B = [
    (8_192, 1, False, "f16", 48.00, 12.00),
    (32_768, 1, False, "f16", 192.00, 12.00),
    (131_072, 1, False, "f16", 768.00, 12.00),
    (8_192, 4, True, "f16", 192.00, 30.00),
    (8_192, 4, False, "f16", 192.00, 48.00),
    (8_192, 1, False, "q8_0", 25.50, 6.38),
]


@pytest.mark.parametrize(("context_length", "slots", "is_unified", "dtype", "full", "sliding"), MEASURED_E2B)
def test_e2b_is_predicted_as_llama_server_logs_it(
    context_length: int, slots: int, is_unified: bool, dtype: KvCacheDtype, full: float, sliding: float
) -> None:
    cache = kv_cache_bytes(GEMMA4_SHAPES["e2b"], context_length, slots, dtype, is_unified=is_unified)
    assert mib(cache) == pytest.approx((full, sliding), abs=0.006)


def test_smaller_batches_shrink_only_the_sliding_cache() -> None:
    shape = GEMMA4_SHAPES["e2b"]
    sizes = [mib(kv_cache_bytes(shape, 8192, 1, "f16", ubatch_tokens=batch)) for batch in (128, 256, 512, 1024)]
    assert sizes == [(48, 9), (48, 9), (48, 12), (48, 18)]  # as llama-server 0.5.0-dev (0c1e570) logs them


def test_models_without_sliding_layers_are_predicted_as_logged() -> None:
    assert mib(kv_cache_bytes(SMOLLM2, 4096, 1, "f16")) == (90, 0)
    assert mib(kv_cache_bytes(SMOLLM2, 4096, 2, "f16")) == (180, 0)


def test_gemma_3_is_predicted_as_logged() -> None:
    assert mib(kv_cache_bytes(GEMMA3_270M, 8192, 1, "f16")) == (24, 15)
    assert mib(kv_cache_bytes(GEMMA3_270M, 2048, 2, "f16")) == (12, 30)


def test_context_is_rounded_up_to_256_cells() -> None:
    assert kv_cells(SMOLLM2, 1, 1).full == 256
    assert kv_cells(SMOLLM2, 257, 1).full == 512
    assert kv_cells(SMOLLM2, 1000, 3).full == 1024  # the pool of 3000 becomes 3072, a third of it is 1024


@pytest.mark.parametrize(
    ("context_length", "slots", "batch"), [(0, 1, 512), (-5, 1, 512), (4096, 0, 512), (4096, 1, 0)]
)
def test_counts_below_one_are_refused(context_length: int, slots: int, batch: int) -> None:
    with pytest.raises(RequestInvalid, match="1 or more"):
        kv_cells(SMOLLM2, context_length, slots, ubatch_tokens=batch)


def test_rows_that_no_block_divides_are_refused_for_quantized_caches() -> None:
    odd = LayerShape(is_sliding=False, num_heads=2, num_kv_heads=1, head_dim=40, ffn_size=64)
    shape = ModelShape("odd", "llama", 80, 100, 4096, (odd,))
    assert kv_cache_bytes(shape, 256, 1, "f16").full_bytes == 2 * 256 * 40 * 2
    with pytest.raises(RequestInvalid, match="multiples of 32") as refused:
        kv_cache_bytes(shape, 256, 1, "q8_0")
    assert refused.value.hint == "use --kv f16"


shapes = st.sampled_from([*GEMMA4_SHAPES.values(), SMOLLM2, GEMMA3_270M])
contexts = st.integers(1, 262_144)
slot_counts = st.integers(1, 64)


@given(shapes, contexts, contexts, slot_counts, st.booleans())
def test_more_context_never_needs_less(shape: ModelShape, one: int, other: int, slots: int, is_unified: bool) -> None:
    shorter, longer = sorted((one, other))
    less = kv_cache_bytes(shape, shorter, slots, "f16", is_unified=is_unified).total_bytes
    assert less <= kv_cache_bytes(shape, longer, slots, "f16", is_unified=is_unified).total_bytes


@given(shapes, contexts, slot_counts, slot_counts, st.booleans())
def test_more_slots_never_need_less(shape: ModelShape, context: int, one: int, other: int, is_unified: bool) -> None:
    fewer, more = sorted((one, other))
    less = kv_cache_bytes(shape, context, fewer, "f16", is_unified=is_unified).total_bytes
    assert less <= kv_cache_bytes(shape, context, more, "f16", is_unified=is_unified).total_bytes


@given(shapes, contexts, slot_counts)
def test_more_precision_never_needs_less(shape: ModelShape, context: int, slots: int) -> None:
    sizes = [kv_cache_bytes(shape, context, slots, dtype).total_bytes for dtype in DTYPES]
    assert sizes == sorted(sizes)


@given(shapes, contexts, slot_counts, st.integers(1, 4096))
def test_every_slot_has_room_for_its_context(shape: ModelShape, context: int, slots: int, batch: int) -> None:
    split = kv_cells(shape, context, slots, ubatch_tokens=batch)
    pooled = kv_cells(shape, context, slots, ubatch_tokens=batch, is_unified=True)
    assert split.full >= context
    assert pooled.full >= context * slots
