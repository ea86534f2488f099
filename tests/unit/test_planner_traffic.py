"""Bytes and operations that a token costs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.catalog.tensors import ple_bytes, tensor_table, weight_bytes
from gemstead.core.errors import NameUnknown
from gemstead.planner.formats import engine_formats, format_traffic
from gemstead.planner.traffic import (
    active_expert_weights,
    attention_ops,
    caching_share,
    expert_share,
    gguf_traffic,
    kv_read_bytes,
    prompt_attention_ops,
)

VARIANTS = st.sampled_from(list(GEMMA4_SHAPES))


def test_a_dense_model_reads_all_but_its_lookup_tables() -> None:
    shape = GEMMA4_SHAPES["e2b"]
    traffic = gguf_traffic(tensor_table(shape, "Q4_K_M"))
    read = traffic.dense_bytes + traffic.head_bytes
    assert read == weight_bytes(shape, "Q4_K_M") - ple_bytes(shape, "Q4_K_M")
    assert traffic.lookup_bytes < 1e-5 * read


def test_a_mixture_of_experts_multiplies_what_its_name_says() -> None:
    shape = GEMMA4_SHAPES["26b-a4b"]
    traffic = gguf_traffic(tensor_table(shape, "BF16"))
    active = traffic.dense_weights + traffic.head_weights + active_expert_weights(shape, traffic)
    assert active == pytest.approx(3_822_530_590, rel=0.001)


def test_an_untied_head_is_read_once_and_the_table_is_only_looked_up() -> None:
    shape = GEMMA4_SHAPES["e2b"]
    tied = tensor_table(shape, "Q8_0")
    head = next(tensor for tensor in tied if tensor.name == "token_embd.weight")
    untied = (*tied, type(head)("output.weight", head.dims, head.ggml_type))
    assert gguf_traffic(untied) == gguf_traffic(tied)


def test_the_real_files_size_scales_the_bytes_and_not_the_operations() -> None:
    tensors = tensor_table(GEMMA4_SHAPES["e4b"], "Q4_0")
    plain, scaled = gguf_traffic(tensors), gguf_traffic(tensors, 1.1)
    assert scaled.dense_bytes == pytest.approx(1.1 * plain.dense_bytes)
    assert scaled.dense_weights == plain.dense_weights


def test_one_token_touches_the_experts_it_uses_and_many_touch_all() -> None:
    shape = GEMMA4_SHAPES["26b-a4b"]
    assert expert_share(shape, 1) == pytest.approx(8 / 128)
    assert expert_share(shape, 512) == pytest.approx(1, abs=1e-9)
    shares = [expert_share(shape, count) for count in range(1, 64)]
    assert all(later > earlier for earlier, later in pairwise(shares))
    assert expert_share(GEMMA4_SHAPES["31b"], 8) == 0


def test_layers_that_share_a_cache_read_it_too() -> None:
    # E2B: 7 full layers, 3 of which own a cache; 2 * 1 head * 512 values * 2 bytes each.
    shape = GEMMA4_SHAPES["e2b"]
    grown = kv_read_bytes(shape, 10_001, "f16") - kv_read_bytes(shape, 10_000, "f16")
    assert grown == 7 * 2 * 512 * 2


def test_a_quantized_cache_reads_fewer_bytes() -> None:
    shape = GEMMA4_SHAPES["31b"]
    assert kv_read_bytes(shape, 4096, "q8_0") == pytest.approx(kv_read_bytes(shape, 4096, "f16") * 34 / 64)


@given(VARIANTS, st.integers(1, 5000), st.integers(0, 5000))
def test_the_mean_over_a_prompt_is_the_sum_over_its_tokens(
    variant: str, prompt_tokens: int, cached_tokens: int
) -> None:
    shape = GEMMA4_SHAPES[variant]
    middle = cached_tokens + prompt_tokens / 2
    mean = prompt_attention_ops(shape, prompt_tokens, cached_tokens)
    assert mean <= attention_ops(shape, middle) * (1 + 1e-9)
    assert mean >= attention_ops(shape, cached_tokens) * (1 - 1e-9)


def test_a_prompt_far_beyond_the_window_costs_the_window_in_sliding_layers() -> None:
    shape = GEMMA4_SHAPES["31b"]
    sliding = sum(4 * layer.num_heads * layer.head_dim for layer in shape.layers if layer.is_sliding)
    full = sum(4 * layer.num_heads * layer.head_dim for layer in shape.layers if not layer.is_sliding)
    mean = prompt_attention_ops(shape, 1000, cached_tokens=100_000)
    assert mean == pytest.approx(sliding * shape.window + full * 100_500)


def test_less_than_half_of_e2b_computes_what_is_cached() -> None:
    assert 0.2 < caching_share(GEMMA4_SHAPES["e2b"]) < 0.35
    assert caching_share(GEMMA4_SHAPES["31b"]) == 1


@pytest.mark.parametrize(("variant", "resident", "table"), [("e2b", 0.8e9, 1.78e9), ("e4b", 2.2e9, 1.45e9)])
def test_the_litert_files_split_as_published(variant: str, resident: float, table: float) -> None:
    shape = GEMMA4_SHAPES[variant]
    (form,) = engine_formats("litert-lm", shape)
    traffic = format_traffic(shape, form)
    assert traffic.dense_bytes + traffic.head_bytes == pytest.approx(resident, rel=0.05)
    assert traffic.lookup_bytes * shape.vocab_size - traffic.head_bytes == pytest.approx(table, rel=0.05)


def test_sixteen_bits_are_two_bytes_a_weight() -> None:
    shape = GEMMA4_SHAPES["31b"]
    traffic = format_traffic(shape, engine_formats("vllm", shape)[0])
    assert traffic.dense_bytes + traffic.head_bytes == pytest.approx(2 * 30_697_345_340, rel=0.001)


def test_an_engine_without_formats_is_named() -> None:
    with pytest.raises(NameUnknown, match="tgi"):
        engine_formats("tgi", GEMMA4_SHAPES["e2b"])


def test_litert_takes_only_the_small_variants() -> None:
    assert engine_formats("litert-lm", GEMMA4_SHAPES["31b"]) == []
