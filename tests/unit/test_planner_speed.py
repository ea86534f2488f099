"""Predicted speed: what it depends on, and in which direction."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.catalog.tensors import tensor_table
from gemstead.core.figures import Figure
from gemstead.core.speed import Speed, Workload
from gemstead.hardware.profiles import load_profile, profile_names
from gemstead.planner.calibration import cpu_kind, find_efficiency, gpu_kind
from gemstead.planner.speed import Layout, Model, decode_step_s, predict_speed, prefill_tok_per_s
from gemstead.planner.traffic import gguf_traffic
from gemstead.planner.units import Unit, find_units, reachable_bandwidth

QUANTS = ("Q4_0", "Q4_K_M", "Q8_0")
MODELS = {
    (variant, quant): Model(shape, gguf_traffic(tensor_table(shape, quant)), quant)
    for variant, shape in GEMMA4_SHAPES.items()
    for quant in QUANTS
}
MODEL = st.sampled_from(list(MODELS.values()))
MACHINE = st.sampled_from([load_profile(name) for name in profile_names()])


def layout(units: tuple[Unit, ...], num_slots: int = 1, power: Figure | None = None) -> Layout:
    return Layout(units, context_length=8192, num_slots=num_slots, ubatch_tokens=512, power=power)


def whole(machine: str, model: Model, num_slots: int = 1) -> Layout:
    found, layers = load_profile(machine), model.shape.num_layers
    units = find_units(found, "llama.cpp", layers, layers + 1 if found.gpus else 0)
    return layout(units, num_slots, found.power)


def predicted(machine: str, model: Model, workload: Workload, num_slots: int = 1) -> Speed:
    speed = predict_speed(model, whole(machine, model, num_slots), workload)
    assert speed is not None
    return speed


@settings(max_examples=60, deadline=None)
@given(MODEL, st.sampled_from(profile_names()), st.integers(0, 100_000), st.integers(1, 30_000), st.integers(1, 64))
def test_more_context_never_decodes_faster(model: Model, machine: str, depth: int, more: int, users: int) -> None:
    units = whole(machine, model).units
    assert decode_step_s(model, units, depth + more, users) >= decode_step_s(model, units, depth, users)


@settings(max_examples=60, deadline=None)
@given(MODEL, st.sampled_from(profile_names()), st.integers(0, 100_000), st.integers(1, 255))
def test_one_user_more_slows_each_down_and_never_all_together(
    model: Model, machine: str, depth: int, users: int
) -> None:
    units = whole(machine, model).units
    before, after = (decode_step_s(model, units, depth, count) for count in (users, users + 1))
    assert after >= before * (1 - 1e-12)
    assert (users + 1) / after >= users / before * (1 - 1e-12)


@settings(max_examples=40, deadline=None)
@given(MODEL, st.sampled_from(profile_names()), st.integers(1, 8192), st.integers(0, 60_000))
def test_a_deeper_cache_never_makes_prefill_faster(model: Model, machine: str, prompt: int, cached: int) -> None:
    found = whole(machine, model)
    shallow, deep = (prefill_tok_per_s(model, found, prompt, depth) for depth in (cached, cached + 1000))
    assert shallow is not None
    assert deep is not None
    assert deep.value <= shallow.value * (1 + 1e-12)


@settings(max_examples=40, deadline=None)
@given(MODEL, st.floats(1e9, 1e13), st.floats(1.01, 10), st.integers(1, 32))
def test_a_faster_memory_never_decodes_slower(model: Model, bandwidth: float, factor: float, users: int) -> None:
    slow, fast = (
        Unit(1.0, Figure(value, "measured"), Figure(1e12, "measured"), find_efficiency("llama.cpp", "x86"))
        for value in (bandwidth, bandwidth * factor)
    )
    assert decode_step_s(model, (fast,), 1000, users) <= decode_step_s(model, (slow,), 1000, users)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(GEMMA4_SHAPES)), st.sampled_from(profile_names()))
def test_no_prediction_is_faster_than_one_read_of_the_weights(variant: str, machine: str) -> None:
    model = MODELS[variant, "Q4_0"]
    units = whole(machine, model).units
    weights = model.weights
    share = model.shape.num_experts_used / model.shape.num_experts if model.shape.num_experts else 0
    read = weights.dense_bytes + weights.head_bytes + share * weights.expert_bytes
    assert 1 / decode_step_s(model, units, 0, 1) < units[0].bandwidth.value / read


def test_every_figure_has_a_basis_and_an_error_bar() -> None:
    speed = predicted("rtx-4090", MODELS["e4b", "Q4_0"], Workload(4), num_slots=4)
    figures = [value for value in msgspec.structs.asdict(speed).values() if isinstance(value, Figure)]
    assert len(figures) == 6
    for figure in figures:
        assert figure.basis in {"computed", "assumed"}
        assert figure.error is not None
        assert figure.low < figure.value < figure.high


def test_ten_users_wait_for_ten_prompts_and_share_the_decoding() -> None:
    model = MODELS["26b-a4b", "Q4_0"]
    alone = predicted("h100-80gb", model, Workload(1), num_slots=10)
    crowd = predicted("h100-80gb", model, Workload(10), num_slots=10)
    assert alone.ttft_s is not None
    assert crowd.ttft_s is not None
    assert crowd.ttft_s.value > 5 * alone.ttft_s.value
    assert crowd.decode_tok_per_s.value < alone.decode_tok_per_s.value
    assert crowd.total_decode_tok_per_s.value > 3 * alone.total_decode_tok_per_s.value


def test_users_beyond_the_slots_are_not_counted() -> None:
    model = MODELS["e2b", "Q4_0"]
    assert predicted("rtx-4090", model, Workload(9), num_slots=4).workload.num_users == 4


def test_a_mixture_of_experts_gains_less_from_company_than_a_dense_model() -> None:
    def gain(variant: str) -> float:
        model = MODELS[variant, "Q4_0"]
        units = whole("h100-80gb", model).units
        return 16 * decode_step_s(model, units, 500, 1) / decode_step_s(model, units, 500, 16)

    assert gain("26b-a4b") < gain("31b")


def test_energy_is_power_over_all_tokens() -> None:
    speed = predicted("laptop-32gb", MODELS["e2b", "Q4_0"], Workload())
    power = load_profile("laptop-32gb").power
    assert power is not None
    assert speed.energy_j_per_token is not None
    assert speed.energy_j_per_token.value == pytest.approx(power.value / speed.total_decode_tok_per_s.value)
    assert speed.energy_j_per_token.basis == "assumed"


def test_without_a_bandwidth_nothing_is_predicted() -> None:
    machine = load_profile("laptop-16gb")
    blind = msgspec.structs.replace(machine, memory=msgspec.structs.replace(machine.memory, bandwidth=None))
    assert find_units(blind, "llama.cpp", 35, 0) == ()
    assert predict_speed(MODELS["e2b", "Q4_0"], layout(()), Workload()) is None


def test_without_a_matrix_throughput_only_decode_is_predicted() -> None:
    unit = Unit(1.0, Figure(30e9, "measured"), None, find_efficiency("llama.cpp", "x86"))
    speed = predict_speed(MODELS["e2b", "Q4_0"], layout((unit,)), Workload())
    assert speed is not None
    assert (speed.prefill_tok_per_s, speed.ttft_s) == (None, None)
    assert speed.decode_tok_per_s.value > 1


def test_an_assumed_ceiling_widens_the_error_bar() -> None:
    efficiency = find_efficiency("llama.cpp", "x86")
    sure, guessed = (
        predict_speed(
            MODELS["e2b", "Q4_0"],
            layout((Unit(1.0, Figure(30e9, basis), None, efficiency),)),
            Workload(),
        )
        for basis in ("measured", "assumed")
    )
    assert sure is not None
    assert guessed is not None
    assert sure.decode_tok_per_s.error == efficiency.decode_error
    assert (guessed.decode_tok_per_s.error or 0) > efficiency.decode_error


def test_a_limit_on_the_first_token_is_kept_or_not() -> None:
    model = MODELS["31b", "Q4_0"]
    assert predicted("h100-80gb", model, Workload(max_ttft_s=10)).is_in_time
    assert not predicted("laptop-64gb", model, Workload(max_ttft_s=10)).is_in_time
    assert predicted("laptop-64gb", model, Workload()).is_in_time


def test_half_the_layers_on_the_gpu_are_faster_than_none_and_slower_than_all() -> None:
    machine, model = load_profile("rtx-3060-12gb"), MODELS["12b", "Q4_0"]
    steps = [
        decode_step_s(model, find_units(machine, "llama.cpp", 48, layers), 1000, 1) for layers in (0, 10, 24, 40, 49)
    ]
    assert steps == sorted(steps, reverse=True)


def test_a_rating_counts_less_than_a_measurement_on_a_processor() -> None:
    measured = Figure(40e9, "measured")
    assert reachable_bandwidth(measured) == measured
    assert reachable_bandwidth(Figure(40e9, "published")).value == pytest.approx(30e9)


def test_an_engine_nobody_measured_borrows_with_wider_bars() -> None:
    known, borrowed = find_efficiency("llama.cpp", "rocm"), find_efficiency("vllm", "rocm")
    assert borrowed.bandwidth == known.bandwidth
    assert borrowed.decode_error > known.decode_error
    assert "no measurement" in borrowed.how


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NVIDIA GeForce GTX 1050 Ti", "cuda-old"),
        ("NVIDIA GeForce GTX 1660", "cuda"),
        ("NVIDIA GeForce RTX 4090", "cuda"),
        ("NVIDIA GB10", "cuda"),
        ("NVIDIA RTX A1000", "cuda"),
        ("NVIDIA H100 80GB HBM3", "cuda-hopper"),
        ("NVIDIA H200", "cuda-hopper"),
        ("NVIDIA A100-SXM4-80GB", "cuda-datacenter"),
        ("NVIDIA L40S", "cuda-datacenter"),
        ("NVIDIA GB200", "cuda-datacenter"),
    ],
)
def test_a_card_is_known_by_its_name(name: str, kind: str) -> None:
    gpu = msgspec.structs.replace(load_profile("rtx-4090").gpus[0], name=name)
    assert gpu_kind(gpu) == kind


def test_a_processor_nobody_measured_like_has_wider_bars() -> None:
    measured, wider = load_profile("laptop-16gb"), load_profile("strix-halo-128gb")
    assert (cpu_kind(measured), cpu_kind(wider)) == ("x86", "x86-avx512")
    bars = [find_efficiency("llama.cpp", cpu_kind(machine)).prefill_error for machine in (measured, wider)]
    assert bars[1] > bars[0]


def test_an_engine_borrows_from_its_own_numbers_before_another_engine_s() -> None:
    known, borrowed = find_efficiency("vllm", "cuda"), find_efficiency("vllm", "cuda-hopper")
    assert borrowed.matmul == known.matmul
    assert borrowed.prefill_error > known.prefill_error
    assert (borrowed.engine, borrowed.kind) == ("vllm", "cuda-hopper")


def test_a_deep_cache_costs_a_processor_its_attention_and_a_gpu_its_bandwidth() -> None:
    model = MODELS["e2b", "Q4_0"]
    for machine, grows_with_heads in (("laptop-16gb", True), ("rtx-4090", False)):
        units = whole(machine, model).units
        faster = tuple(
            msgspec.structs.replace(
                unit, efficiency=msgspec.structs.replace(unit.efficiency, decode_attention=10.0, attention_matmul=10.0)
            )
            for unit in units
        )
        gained = decode_step_s(model, units, 8000, 1) - decode_step_s(model, faster, 8000, 1)
        assert (gained > 1e-4) == grows_with_heads


def test_a_batch_of_prefill_pays_for_the_start_of_every_layer() -> None:
    model, found = MODELS["e2b", "Q4_0"], whole("h100-80gb", MODELS["e2b", "Q4_0"])
    short, long = (prefill_tok_per_s(model, found, tokens) for tokens in (32, 512))
    assert short is not None
    assert long is not None
    assert long.value > 8 * short.value
