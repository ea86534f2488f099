"""Which variant and quantization is best where."""

from __future__ import annotations

import msgspec
import pytest

from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.core.errors import DoesNotFit, RequestInvalid
from gemstead.core.figures import Figure
from gemstead.core.units import GIB
from gemstead.hardware.profiles import load_profile, profile_names
from gemstead.hardware.snapshot import Machine
from gemstead.planner.advise import advise, rank_candidates
from gemstead.planner.candidate import Candidate, Goal

NAMES = {"31b": "gemma4:31b", "26b-a4b": "gemma4:26b", "12b": "gemma4:12b", "e4b": "gemma4:e4b", "e2b": "gemma4:e2b"}


def candidate(variant: str, quant: str, *, is_qat: bool = False) -> Candidate:
    mix = "ggml-org/Q4_0" if is_qat else None
    return Candidate(NAMES[variant], quant, GEMMA4_SHAPES[variant], mix=mix, is_qat=is_qat)


QAT = [candidate(variant, "Q4_0", is_qat=True) for variant in NAMES]
ALL = [*QAT, *(candidate(variant, quant) for variant in NAMES for quant in ("Q4_K_M", "Q8_0", "Q2_K"))]


def with_bandwidth(machine: Machine, bytes_per_s: float) -> Machine:
    memory = msgspec.structs.replace(machine.memory, bandwidth=Figure(bytes_per_s, "assumed"))
    return msgspec.structs.replace(machine, memory=memory)


@pytest.mark.parametrize(
    ("profile", "model"),
    [
        ("raspberry-pi-5-8gb", "gemma4:e2b"),
        ("raspberry-pi-5-16gb", "gemma4:e2b"),
        ("laptop-16gb", "gemma4:12b"),
        ("laptop-32gb", "gemma4:26b"),
        ("macbook-pro-m4-24gb", "gemma4:26b"),
        ("rtx-4090", "gemma4:31b"),
        ("h100-80gb", "gemma4:31b"),
    ],
)
def test_each_machine_gets_the_best_variant_it_can_run_well(profile: str, model: str) -> None:
    best = advise(ALL, load_profile(profile)).best
    assert (best.model, best.quant) == (model, "Q4_0")


@pytest.mark.parametrize("profile", profile_names())
def test_every_named_machine_can_run_something(profile: str) -> None:
    machine = load_profile(profile)
    advice = advise(ALL, machine)
    assert advice.best.resident_bytes("host") <= machine.memory.available.num_bytes
    assert advice.reasons


def test_a_file_is_known_by_its_dimensions_not_by_its_name() -> None:
    renamed = msgspec.structs.replace(GEMMA4_SHAPES["e4b"], name="My finetune")
    mine = Candidate("mine", "Q4_K_M", renamed)
    advice = advise([candidate("e2b", "Q4_K_M"), mine], load_profile("laptop-32gb"))
    assert advice.best.model == "mine"


def test_a_quantization_it_was_trained_for_comes_before_plain_ones() -> None:
    machine = load_profile("laptop-64gb")
    choice = [candidate("e4b", "Q8_0"), candidate("e4b", "Q4_0"), candidate("e4b", "Q4_0", is_qat=True)]
    advice = advise(choice, machine)
    assert "trained for" in " ".join(advice.reasons)
    assert [plan.quant for plan in advice.alternatives] == ["Q8_0", "Q4_0"]


def test_a_mixture_of_experts_wins_over_a_dense_model_that_memory_is_too_slow_for() -> None:
    machine = load_profile("laptop-64gb")
    slow = advise(QAT, machine)
    assert slow.best.model == "gemma4:26b"
    assert any("gemma4:31b" in reason and "would give about" in reason for reason in slow.reasons)
    assert advise(QAT, with_bandwidth(machine, 400e9)).best.model == "gemma4:31b"


def test_an_unknown_bandwidth_makes_nothing_slow() -> None:
    machine = load_profile("laptop-64gb")
    unmeasured = msgspec.structs.replace(machine, memory=msgspec.structs.replace(machine.memory, bandwidth=None))
    assert advise(QAT, unmeasured).best.model == "gemma4:31b"


def test_where_everything_is_slow_the_best_is_said_to_be_slow() -> None:
    advice = advise([candidate("31b", "Q4_0", is_qat=True)], load_profile("laptop-32gb"))
    assert any("slow here" in reason for reason in advice.reasons)


def test_two_bits_of_a_large_variant_come_after_four_of_a_smaller() -> None:
    machine = with_bandwidth(load_profile("laptop-16gb"), 500e9)
    advice = advise([candidate("31b", "Q2_K"), candidate("26b-a4b", "Q2_K"), candidate("12b", "Q4_K_M")], machine)
    assert (advice.best.model, advice.best.quant) == ("gemma4:12b", "Q4_K_M")


def test_what_does_not_fit_is_rejected_with_the_missing_bytes() -> None:
    advice = advise(QAT, load_profile("laptop-16gb"))
    rejected = {item.model: item for item in advice.rejected}
    assert set(rejected) == {"gemma4:31b", "gemma4:26b"}
    assert (rejected["gemma4:31b"].missing_bytes or 0) > (rejected["gemma4:26b"].missing_bytes or 0) > GIB


def test_a_candidate_that_cannot_be_sized_is_rejected_not_fatal() -> None:
    odd = Candidate("gemma4:e4b", "IQ9_Z", GEMMA4_SHAPES["e4b"])
    advice = advise([odd, *QAT], load_profile("laptop-16gb"))
    assert [item.missing_bytes for item in advice.rejected if item.quant == "IQ9_Z"] == [None]


def test_a_long_context_changes_the_choice() -> None:
    machine = load_profile("laptop-16gb")
    assert advise(QAT, machine, Goal(context_length=8192)).best.model == "gemma4:12b"
    assert advise(QAT, machine, Goal(context_length=131_072, num_slots=2)).best.model == "gemma4:e4b"


def test_alternatives_offer_other_variants_first() -> None:
    advice = advise(ALL, load_profile("laptop-64gb"))
    models = [plan.model for plan in advice.alternatives]
    assert len(models) == 5
    assert set(models[:4]) == {"gemma4:31b", "gemma4:12b", "gemma4:e4b", "gemma4:e2b"}


def test_nothing_fits_names_what_comes_nearest() -> None:
    machine = load_profile("raspberry-pi-5-8gb")
    with pytest.raises(DoesNotFit, match=r"gemma4:12b Q8_0 comes nearest") as refused:
        advise([candidate("31b", "Q4_K_M"), candidate("12b", "Q8_0")], machine)
    assert refused.value.missing_bytes > 4 * GIB


def test_no_candidates_is_an_error_of_the_caller() -> None:
    with pytest.raises(RequestInvalid, match="no model to choose"):
        advise([], load_profile("laptop-16gb"))


def test_only_unsizable_candidates_is_an_error_of_the_caller() -> None:
    with pytest.raises(RequestInvalid, match="IQ9_Z"):
        advise([Candidate("gemma4:e4b", "IQ9_Z", GEMMA4_SHAPES["e4b"])], load_profile("laptop-16gb"))


def test_ranking_by_quality_alone_starts_with_the_largest_variant() -> None:
    ranked = rank_candidates(ALL)
    assert (ranked[0].model, ranked[0].is_qat) == ("gemma4:31b", True)
    assert {item.quant for item in ranked[-5:]} == {"Q2_K"}
