"""The published points: what is said about them is true, and the page shows what the prediction gives."""

from __future__ import annotations

from math import hypot
from pathlib import Path

import pytest

from benchmarks.check_set.compare import Comparison, compare, median_error, p90_error, report
from benchmarks.check_set.fit import fit, value_of
from benchmarks.check_set.points import load_check_set, predict_point, weights_of
from benchmarks.check_set.rules import rules_report
from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.planner.calibration import find_efficiency
from gemstead.planner.speed import ASSUMED_ERROR

CHECK_SET = load_check_set()
PAGE = Path(__file__).parents[2] / "docs" / "prediction.md"


def test_at_most_half_of_the_values_are_tuned_on() -> None:
    found = compare(CHECK_SET)
    assert len(found) > 80
    assert 2 * sum(item.point.is_tuned for item in found) <= len(found)


def test_every_point_has_its_device_and_its_source() -> None:
    for point in CHECK_SET.points:
        assert point.device in CHECK_SET.devices
        assert point.source.startswith("https://")
        assert point.decode_tok_per_s is not None or point.prefill_tok_per_s is not None


def test_what_is_left_out_as_impossible_is_impossible() -> None:
    impossible = [point for point in CHECK_SET.points if (point.left_out or "").startswith("faster than one read")]
    assert len(impossible) > 3
    for point in impossible:
        weights, shape = weights_of(point), GEMMA4_SHAPES[point.variant]
        share = shape.num_experts_used / shape.num_experts if shape.num_experts else 0
        read = weights.dense_bytes + weights.head_bytes + share * weights.expert_bytes
        assert point.decode_tok_per_s is not None
        assert point.decode_tok_per_s * read > CHECK_SET.devices[point.device].bandwidth_gb_per_s * 1e9


def test_no_prediction_that_is_compared_is_an_order_of_magnitude_off() -> None:
    assert [item for item in compare(CHECK_SET) if not 0.25 < item.predicted / item.published < 4] == []


@pytest.mark.parametrize("item", compare(CHECK_SET), ids=lambda item: f"{item.point.device} {item.point.variant}")
def test_every_error_bar_covers_every_point(item: Comparison) -> None:
    device = CHECK_SET.devices[item.point.device]
    efficiency = find_efficiency(item.point.engine, device.kind)
    error = efficiency.decode_error if item.what == "decode" else efficiency.prefill_error
    if device.basis == "assumed":
        error = hypot(error, ASSUMED_ERROR)
    assert abs(item.published / item.predicted - 1) <= error


def test_our_machine_is_predicted_within_15_percent_held_out_or_not() -> None:
    ours = [item for item in compare(CHECK_SET) if item.point.device == "two cores of an EPYC 7003"]
    assert {item.point.variant for item in ours} == {"e2b", "e4b", "12b", "26b-a4b"}
    assert sum(not item.point.is_tuned for item in ours) > len(ours) / 2
    assert [item for item in ours if abs(item.error) > 0.15] == []


def test_fitting_moves_a_wrong_number_back() -> None:
    right = find_efficiency("llama.cpp", "cuda")
    fitted = fit(CHECK_SET, "llama.cpp", "cuda", ["kv_bandwidth"])
    assert fitted.kv_bandwidth == pytest.approx(right.kv_bandwidth, rel=0.02)


def test_one_quantization_s_efficiency_is_fitted_alone() -> None:
    right = find_efficiency("llama.cpp", "x86")
    fitted = fit(CHECK_SET, "llama.cpp", "x86", ["matmul_by_quant.Q8_0"])
    assert value_of(fitted, "matmul_by_quant.Q8_0") == pytest.approx(right.matmul_by_quant["Q8_0"], rel=0.02)
    assert fitted.matmul_by_quant["Q4_K_M"] == right.matmul_by_quant["Q4_K_M"]


def test_the_error_measures_are_what_they_are_called() -> None:
    found = compare(CHECK_SET)
    errors = sorted(abs(item.error) for item in found)
    assert errors[0] <= median_error(found) <= p90_error(found) <= errors[-1]
    assert sum(error <= p90_error(found) for error in errors) >= 0.9 * len(errors)


def test_a_point_without_a_matrix_rating_predicts_decode_only() -> None:
    point = next(item for item in CHECK_SET.points if item.device == "Lunar Lake GPU")
    prediction = predict_point(point, CHECK_SET.devices[point.device])
    assert prediction.prefill_tok_per_s is None
    assert prediction.decode_tok_per_s > 1


@pytest.mark.parametrize("part", [report(CHECK_SET), rules_report()], ids=["points", "advice"])
def test_the_page_shows_what_the_command_prints(part: str) -> None:
    assert part in PAGE.read_text(encoding="utf-8"), "run: python -m benchmarks.check_set --page docs/prediction.md"
