"""The plan of the engine that embeds, against what llama-server logged and the memory it took."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.core.errors import DoesNotFit
from gemstead.core.plan import Plan
from gemstead.core.shapes import LayerShape, ModelShape
from gemstead.core.units import GIB, MIB
from gemstead.hardware.profiles import load_profile
from gemstead.hardware.snapshot import Machine
from gemstead.planner.buffers import COMPUTE_ERROR
from gemstead.planner.candidate import Candidate, Goal
from gemstead.planner.embeddings import make_embed_plan
from gemstead.planner.plan import make_plan

_LAYER = LayerShape(is_sliding=False, num_heads=9, num_kv_heads=3, head_dim=64, ffn_size=1536)
SMOLLM2 = Candidate(
    "smollm2:135m",
    "Q4_1",
    ModelShape("smollm2", "llama", 576, 49_152, 8192, (_LAYER,) * 30),
    file_bytes=98 * MIB,
    model_path="/m/smollm2.gguf",
)
E2B = Candidate(
    "gemma4:e2b",
    "Q4_0",
    GEMMA4_SHAPES["e2b"],
    mix="ggml-org/Q4_0",
    model_path="/m/e2b.gguf",
    mmproj_bytes=900 * MIB,
    mmproj_path="/m/mmproj.gguf",
)


def machine(name: str = "laptop-16gb", **memory: Any) -> Machine:
    found = load_profile(name)
    available = msgspec.structs.replace(found.memory.available, **memory)
    return msgspec.structs.replace(found, memory=msgspec.structs.replace(found.memory, available=available))


def part(plan: Plan, name: str) -> float:
    return sum(part.size.num_bytes for part in plan.memory if part.name == name) / MIB


def chat_plan(candidate: Candidate, name: str = "laptop-16gb") -> Plan:
    return make_plan(candidate, load_profile(name), Goal(context_length=4096))


@pytest.mark.parametrize(("candidate", "logged_mib"), [(E2B, 525.03), (SMOLLM2, 100.27)])
def test_the_compute_buffer_is_within_its_error_bar(candidate: Candidate, logged_mib: float) -> None:
    """Logged with batches of 512 tokens, on a CPU."""
    predicted = part(make_embed_plan(candidate, machine(), chat_plan(candidate), 512), "compute_buffer")
    assert abs(predicted - logged_mib) <= COMPUTE_ERROR * predicted
    assert predicted == pytest.approx(logged_mib, rel=0.01)


def test_what_it_takes_for_itself_is_what_was_measured() -> None:
    """1,125 MB of private memory with Gemma 4 E2B, after a text of 482 of 512 tokens."""
    plan = make_embed_plan(E2B, machine(), chat_plan(E2B), 512)
    private_mib = sum(part(plan, name) for name in ("kv_cache", "compute_buffer", "runtime"))
    assert private_mib == pytest.approx(1_125_344 / 1024, rel=0.1)


def test_weights_that_the_answering_engine_keeps_in_memory_are_not_counted_twice() -> None:
    chat = chat_plan(SMOLLM2)
    assert part(make_embed_plan(SMOLLM2, machine(), chat, 512), "weights") == 0
    alone = msgspec.structs.replace(chat, memory=())
    assert part(make_embed_plan(SMOLLM2, machine(), alone, 512), "weights") == pytest.approx(98)


def test_it_is_the_same_model_without_its_projector_for_one_text_at_a_time() -> None:
    plan = make_embed_plan(E2B, machine(), chat_plan(E2B), 512)
    assert (plan.purpose, plan.num_slots, plan.model_path) == ("embed", 1, "/m/e2b.gguf")
    assert plan.context_length == plan.ubatch_tokens == 512
    assert plan.mmproj_path is None
    assert part(plan, "mmproj") == 0


def test_longer_texts_need_more_memory() -> None:
    chat = chat_plan(SMOLLM2)
    sizes = [make_embed_plan(SMOLLM2, machine(), chat, tokens).resident_bytes("host") for tokens in (64, 512, 4096)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_no_text_is_longer_than_the_model_can_read() -> None:
    assert make_embed_plan(SMOLLM2, machine(), chat_plan(SMOLLM2), 100_000).context_length == 8192


def test_a_card_of_its_own_stays_the_answering_engines() -> None:
    chat = chat_plan(E2B, "rtx-4090")
    assert chat.gpu_layers
    assert make_embed_plan(E2B, load_profile("rtx-4090"), chat, 512).gpu_layers == 0


def test_where_card_and_processor_share_one_memory_it_runs_where_the_answering_engine_does() -> None:
    mac = "macbook-pro-m4-24gb"
    chat = chat_plan(E2B, mac)
    assert chat.gpu_layers
    plan = make_embed_plan(E2B, load_profile(mac), chat, 512)
    assert plan.gpu_layers == chat.gpu_layers
    assert part(plan, "weights") == 0


def test_without_the_memory_it_is_refused_with_what_is_missing() -> None:
    chat = chat_plan(E2B)
    needed = make_embed_plan(E2B, machine(), chat, 512).resident_bytes("host")
    with pytest.raises(DoesNotFit) as caught:
        make_embed_plan(E2B, machine(num_bytes=GIB // 2), chat, 512, headroom=0.0)
    assert caught.value.missing_bytes == needed - GIB // 2
    assert caught.value.hint is not None
    assert "embeddings.context_length" in caught.value.hint
