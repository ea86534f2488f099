"""What measurements teach about the next prediction: how much, how sure, and where it does not apply."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.catalog.tensors import tensor_table
from gemstead.core.figures import Figure
from gemstead.core.speed import Correction, Speed, SpeedCorrection, Workload
from gemstead.hardware.profiles import load_profile
from gemstead.planner.candidate import Candidate
from gemstead.planner.correction import corrected, correction_of
from gemstead.planner.plan import make_plan
from gemstead.planner.speed import Layout, Model, predict_speed
from gemstead.planner.traffic import gguf_traffic
from gemstead.planner.units import calibration_of, find_units

SHAPE = GEMMA4_SHAPES["e2b"]
MODEL = Model(SHAPE, gguf_traffic(tensor_table(SHAPE, "Q4_0")), "Q4_0")
MACHINE = load_profile("laptop-32gb")
UNITS = find_units(MACHINE, "llama.cpp", SHAPE.num_layers, 0)
RATIOS = st.lists(st.floats(0.2, 5), min_size=1, max_size=20)


def predicted(*corrections: SpeedCorrection, num_users: int = 1) -> Speed:
    layout = Layout(UNITS, 8192, num_users, 512, MACHINE.power, corrections)
    speed = predict_speed(MODEL, layout, Workload(num_users))
    assert speed is not None
    return speed


def learnt(decode: float = 0.8, prefill: float = 1.2) -> SpeedCorrection:
    return SpeedCorrection(calibration_of(UNITS), "1", Correction(decode, 0.05, 4), Correction(prefill, 0.1, 4))


def test_nothing_is_learnt_from_no_results() -> None:
    assert correction_of([]) is None
    figure = Figure(10.0, "computed", 0.3)
    assert corrected(figure, None) == figure


def test_one_result_corrects_half_of_what_it_shows_and_five_nearly_all() -> None:
    one, five = correction_of([0.64]), correction_of([0.64] * 5)
    assert one is not None
    assert five is not None
    assert one.factor == pytest.approx(0.8)
    assert five.factor == pytest.approx(0.64 ** (5 / 6))


def test_a_result_far_from_the_others_moves_the_bar_and_not_the_figure() -> None:
    calm, odd = correction_of([0.9, 0.9, 0.9]), correction_of([0.9, 0.9, 3.0])
    assert calm is not None
    assert odd is not None
    assert odd.factor == calm.factor
    assert odd.spread > 2


@given(RATIOS)
def test_a_correction_lies_between_the_prediction_and_the_results(ratios: list[float]) -> None:
    found = correction_of(ratios)
    assert found is not None
    assert min(1.0, *ratios) * (1 - 1e-9) <= found.factor <= max(1.0, *ratios) * (1 + 1e-9)


@given(RATIOS, st.floats(0.01, 0.9))
def test_the_bar_of_a_corrected_figure_covers_every_result(ratios: list[float], error: float) -> None:
    figure = corrected(Figure(50.0, "computed", error), correction_of(ratios))
    for ratio in ratios:
        assert figure.low * (1 - 1e-9) <= 50.0 * ratio <= figure.high * (1 + 1e-9)


def test_agreeing_results_narrow_the_bar_and_the_figure_says_so() -> None:
    figure = corrected(Figure(50.0, "computed", 0.25), correction_of([0.95, 0.97, 0.96, 0.95, 0.96]))
    assert (figure.error or 1) < 0.1
    assert figure.basis == "computed"
    assert figure.source == "corrected by 5 measurements here: x0.97"
    single = corrected(Figure(50.0, "computed", None), correction_of([0.5]))
    assert single.error is None
    assert single.source is not None
    assert "a measurement here" in single.source


def test_every_figure_follows_from_the_corrected_rates() -> None:
    plain, speed = predicted(num_users=3), predicted(learnt(), num_users=3)
    assert plain.prefill_tok_per_s is not None
    assert speed.prefill_tok_per_s is not None
    assert speed.prefill_tok_per_s.value == pytest.approx(1.2 * plain.prefill_tok_per_s.value)
    for name in ("decode_tok_per_s", "total_decode_tok_per_s", "full_decode_tok_per_s"):
        assert getattr(speed, name).value == pytest.approx(0.8 * getattr(plain, name).value)
    assert speed.ttft_s is not None
    wait_s = 3 * speed.workload.prompt_tokens / speed.prefill_tok_per_s.value + 1 / speed.decode_tok_per_s.value
    assert speed.ttft_s.value == pytest.approx(wait_s)
    assert speed.energy_j_per_token is not None
    assert MACHINE.power is not None
    assert speed.energy_j_per_token.value == pytest.approx(MACHINE.power.value / speed.total_decode_tok_per_s.value)


def test_what_was_learnt_of_one_rate_leaves_the_other_alone() -> None:
    plain, speed = predicted(), predicted(msgspec.structs.replace(learnt(), prefill=None))
    assert speed.prefill_tok_per_s == plain.prefill_tok_per_s
    assert speed.decode_tok_per_s != plain.decode_tok_per_s


def test_what_was_learnt_of_another_calibration_does_not_count() -> None:
    assert predicted(msgspec.structs.replace(learnt(), calibration="another")) == predicted()


def test_a_calibration_changes_with_ceilings_and_efficiencies_but_not_with_bars_or_words() -> None:
    (unit,) = UNITS
    same = msgspec.structs.replace(unit.efficiency, decode_error=0.9, prefill_error=0.9, how="other words", source="x")
    faster = msgspec.structs.replace(unit.efficiency, bandwidth=0.99)
    bandwidth = msgspec.structs.replace(unit.bandwidth, value=2 * unit.bandwidth.value)
    half = msgspec.structs.replace(unit, share=0.5)
    name = calibration_of(UNITS)
    assert calibration_of([msgspec.structs.replace(unit, efficiency=same)]) == name
    assert calibration_of([half]) == name
    assert calibration_of([msgspec.structs.replace(unit, efficiency=faster)]) != name
    assert calibration_of([msgspec.structs.replace(unit, bandwidth=bandwidth)]) != name
    assert calibration_of([half, half]) != name


def test_a_plan_says_that_it_was_corrected_and_by_how_much() -> None:
    candidate = Candidate("gemma4:e2b-q4_0", "Q4_0", SHAPE, mix="Q4_0")
    plain = make_plan(candidate, MACHINE)
    plan = make_plan(candidate, msgspec.structs.replace(MACHINE, corrections=(learnt(),)))
    assert "decode is corrected by 4 measurements here: x0.80" in plan.reasons
    assert "prefill is corrected by 4 measurements here: x1.20" in plan.reasons
    assert not any("corrected" in reason for reason in plain.reasons)
