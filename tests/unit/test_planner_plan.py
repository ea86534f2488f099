"""Plans that fit, and refusals that say what is missing and what would fit."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.core.errors import DoesNotFit, RequestInvalid
from gemstead.core.figures import BytesFigure
from gemstead.core.shapes import LayerShape, ModelShape
from gemstead.core.units import GIB, MIB
from gemstead.hardware.snapshot import Cpu, Disk, Gpu, Machine, Memory
from gemstead.planner.candidate import Candidate, Goal
from gemstead.planner.plan import make_plan

E2B = Candidate("gemma4:e2b", "Q4_0", GEMMA4_SHAPES["e2b"], mix="ggml-org/Q4_0", file_bytes=2_841_481_184)
B31 = Candidate("gemma4:31b", "Q4_0", GEMMA4_SHAPES["31b"], mix="ggml-org/Q4_0", file_bytes=17_992_313_088)


def machine(free_gib: float, *gpus: Gpu, disk: Disk | None = None) -> Machine:
    free = int(free_gib * GIB)
    return Machine(
        name="a test machine",
        origin="profile",
        cpu=Cpu("test", "x86_64", 8, 16, usable_cores=6, instruction_sets=("avx2",)),
        memory=Memory(free, BytesFigure(free, "assumed")),
        gpus=gpus,
        disk=disk,
    )


def gpu(free_gib: float, *, is_unified_memory: bool = False) -> Gpu:
    free = int(free_gib * GIB)
    return Gpu("card", "nvidia", free, BytesFigure(free, "assumed"), is_unified_memory=is_unified_memory)


def test_a_plan_says_how_to_run_the_model() -> None:
    plan = make_plan(E2B, machine(16), Goal(context_length=8192, num_slots=2))
    assert (plan.model, plan.quant, plan.engine) == ("gemma4:e2b", "Q4_0", "llama.cpp")
    assert (plan.context_length, plan.num_slots, plan.num_threads, plan.gpu_layers) == (8192, 2, 6, 0)
    assert plan.download_bytes == 2_841_481_184
    assert plan.reasons == ("runs on the processor with 6 threads, one per usable core",)
    assert plan.warnings == ()


def test_a_model_that_is_here_needs_no_download() -> None:
    here = msgspec.structs.replace(E2B, model_path="/models/e2b.gguf")
    assert make_plan(here, machine(16)).download_bytes is None


def test_a_projector_is_downloaded_with_the_model() -> None:
    seeing = msgspec.structs.replace(E2B, mmproj_bytes=557_000_000)
    assert make_plan(seeing, machine(16)).download_bytes == 2_841_481_184 + 557_000_000


def test_without_a_wish_the_context_is_the_usual_one() -> None:
    plan = make_plan(E2B, machine(16))
    assert plan.context_length == 32_768
    assert "context 32768: the usual context (the model can do 131072)" in plan.reasons


def test_without_a_wish_the_context_shrinks_until_it_fits() -> None:
    roomy = make_plan(B31, machine(26)).context_length
    tight = make_plan(B31, machine(21.5)).context_length
    assert roomy == 32_768
    assert 2048 <= tight < roomy


def test_a_context_below_the_usual_one_is_all_a_small_model_can_do() -> None:
    layer = LayerShape(is_sliding=False, num_heads=9, num_kv_heads=3, head_dim=64, ffn_size=1536)
    small = ModelShape("smollm2", "llama", 576, 49_152, 8192, (layer,) * 30)
    plan = make_plan(Candidate("smollm2:135m", "Q4_1", small, file_bytes=98_362_432), machine(4))
    assert plan.context_length == 8192
    assert "context 8192: the usual context (the model can do 8192)" in plan.reasons
    assert plan.num_context_checkpoints == 0


def test_what_does_not_fit_names_the_missing_bytes() -> None:
    goal = Goal(context_length=8192)
    with pytest.raises(DoesNotFit, match="gemma4:31b Q4_0 needs") as refused:
        make_plan(B31, machine(8), goal)
    missing_gib = refused.value.missing_bytes / GIB
    assert make_plan(B31, machine(8 + missing_gib / 0.9 + 0.01), goal).context_length == 8192
    with pytest.raises(DoesNotFit):
        make_plan(B31, machine(8 + missing_gib / 0.9 - 0.01), goal)


def test_a_refusal_suggests_a_denser_cache_first() -> None:
    with pytest.raises(DoesNotFit) as refused:
        make_plan(E2B, machine(5), Goal(context_length=131_072, num_slots=2))
    assert refused.value.hint == "use --kv q8_0"
    make_plan(E2B, machine(5), Goal(context_length=131_072, num_slots=2, kv_cache_dtype="q8_0"))


def test_a_refusal_suggests_the_longest_context_that_fits() -> None:
    goal = Goal(context_length=131_072, num_slots=4, kv_cache_dtype="q8_0")
    with pytest.raises(DoesNotFit) as refused:
        make_plan(E2B, machine(4.5), goal)
    assert refused.value.hint == "use --context 65536"
    make_plan(E2B, machine(4.5), msgspec.structs.replace(goal, context_length=65_536))


def test_a_refusal_suggests_fewer_slots_where_no_context_helps() -> None:
    goal = Goal(context_length=2048, num_slots=64, kv_cache_dtype="q8_0")
    with pytest.raises(DoesNotFit) as refused:
        make_plan(E2B, machine(3.6), goal)
    hint = refused.value.hint
    assert hint is not None
    assert hint.startswith("use --parallel ")
    make_plan(E2B, machine(3.6), msgspec.structs.replace(goal, num_slots=int(hint.split()[-1])))


def test_a_refusal_suggests_the_best_alternative_that_fits() -> None:
    with pytest.raises(DoesNotFit) as refused:
        make_plan(B31, machine(8), Goal(context_length=8192), alternatives=(B31, E2B))
    assert refused.value.hint == "use --model gemma4:e2b (Q4_0, context 8192)"


def test_a_refusal_without_a_way_out_points_to_larger_machines() -> None:
    with pytest.raises(DoesNotFit) as refused:
        make_plan(E2B, machine(1), alternatives=(B31,))
    assert "--on" in str(refused.value.hint)


def test_head_room_is_left_free() -> None:
    needed_gib = make_plan(E2B, machine(16), Goal(context_length=8192)).resident_bytes("host") / GIB
    make_plan(E2B, machine(needed_gib + 0.01), Goal(context_length=8192, headroom=0))
    with pytest.raises(DoesNotFit, match="more than a test machine has"):
        make_plan(E2B, machine(needed_gib + 0.01), Goal(context_length=8192, headroom=0.1))


def test_all_layers_go_to_a_gpu_with_room() -> None:
    plan = make_plan(B31, machine(32, gpu(24)), Goal(context_length=8192))
    assert plan.gpu_layers == 61
    assert plan.reasons == ("all layers run on card",)
    assert plan.gpu_available is not None
    assert plan.resident_bytes("gpu") <= 0.9 * plan.gpu_available.num_bytes


def test_as_many_layers_as_fit_go_to_a_smaller_gpu() -> None:
    plan = make_plan(B31, machine(32, gpu(12)), Goal(context_length=8192))
    assert plan.gpu_layers is not None
    assert 20 < plan.gpu_layers < 61
    assert plan.resident_bytes("gpu") <= 0.9 * 12 * GIB
    assert plan.resident_bytes("host") <= 0.9 * 32 * GIB


def test_a_gpu_without_room_leaves_everything_to_the_processor() -> None:
    plan = make_plan(B31, machine(32, gpu(0.5)), Goal(context_length=8192))
    assert plan.gpu_layers == 0
    assert plan.resident_bytes("gpu") == 0


def test_an_engine_without_gpu_support_gets_no_layers_there() -> None:
    plan = make_plan(E2B, machine(32, gpu(24)), Goal(can_use_gpu=False))
    assert (plan.gpu_layers, plan.gpu_available) == (0, None)


def test_unified_memory_is_one_pool_bounded_by_what_the_gpu_may_use() -> None:
    shared = gpu(24, is_unified_memory=True)
    plan = make_plan(B31, machine(32, shared), Goal(context_length=8192))
    assert (plan.gpu_layers, plan.gpu_available) == (61, None)
    assert plan.needed_bytes("gpu") == 0
    narrow = make_plan(B31, machine(32, gpu(10, is_unified_memory=True)), Goal(context_length=8192))
    assert narrow.gpu_layers == 0


def test_several_gpus_count_together_with_a_warning() -> None:
    plan = make_plan(B31, machine(32, gpu(12), gpu(12)), Goal(context_length=8192))
    assert plan.gpu_layers == 61
    assert any("several GPUs" in warning for warning in plan.warnings)


def test_a_download_larger_than_the_disk_is_warned_about() -> None:
    plan = make_plan(E2B, machine(16, disk=Disk("/data", 1 * GIB)))
    assert any("/data" in warning for warning in plan.warnings)
    here = msgspec.structs.replace(E2B, model_path="/data/e2b.gguf")
    assert make_plan(here, machine(16, disk=Disk("/data", 1 * GIB))).warnings == ()


def test_a_card_keeps_no_checkpoints_on_the_host() -> None:
    plan = make_plan(E2B, machine(64, gpu(24)), Goal(context_length=8192))
    assert plan.needed_bytes("gpu") > 0
    assert (plan.prompt_cache_bytes, plan.num_context_checkpoints) == (8 * GIB, 0)
    shared = make_plan(E2B, machine(64, gpu(48, is_unified_memory=True)), Goal(context_length=8192))
    assert shared.num_context_checkpoints == 8


def test_later_caches_live_on_what_is_left() -> None:
    goal = Goal(context_length=8192)
    roomy, tight = make_plan(E2B, machine(64), goal), make_plan(E2B, machine(4), goal)
    assert (roomy.prompt_cache_bytes, roomy.num_context_checkpoints) == (8 * GIB, 8)
    spare = 0.9 * 4 * GIB - tight.resident_bytes("host")
    assert tight.prompt_cache_bytes + tight.num_context_checkpoints * 12 * MIB <= spare


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        (Goal(context_length=0), "is none"),
        (Goal(context_length=200_000), "longer than the 131072 tokens"),
        (Goal(num_slots=0), "0 slots"),
        (Goal(num_slots=257), "from 1 to 256"),
        (Goal(headroom=1.0), "head-room"),
        (Goal(headroom=-0.1), "head-room"),
    ],
)
def test_goals_that_cannot_be_meant_are_refused(goal: Goal, message: str) -> None:
    with pytest.raises(RequestInvalid, match=message):
        make_plan(E2B, machine(64), goal)


def test_a_file_of_unknown_kind_and_size_cannot_be_planned() -> None:
    unknown = Candidate("gemma4:e2b", "IQ9_Z", GEMMA4_SHAPES["e2b"])
    with pytest.raises(RequestInvalid, match="size of gemma4:e2b IQ9_Z is not known"):
        make_plan(unknown, machine(64))


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(list(GEMMA4_SHAPES)),
    st.floats(1, 96),
    st.one_of(st.none(), st.floats(0.5, 48)),
    st.integers(1, 8),
    st.integers(256, 131_072),
)
def test_whatever_is_planned_fits(variant: str, host: float, card: float | None, slots: int, context: int) -> None:
    gpus = () if card is None else (gpu(card),)
    candidate = Candidate(variant, "Q4_K_M", GEMMA4_SHAPES[variant])
    goal = Goal(context_length=context, num_slots=slots)
    try:
        plan = make_plan(candidate, machine(host, *gpus), goal)
    except DoesNotFit as exc:
        event(f"refused for {exc.missing_bytes // GIB} GiB")
        return
    assert plan.resident_bytes("host") + plan.prompt_cache_bytes <= host * GIB
    assert plan.resident_bytes("gpu") <= (card or 0) * GIB
