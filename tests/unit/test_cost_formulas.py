"""Energy, ownership, demand, break-even: worked by hand, and properties that hold for any inputs."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.core.figures import Figure
from gemstead.cost.assumption import exactly, from_figure
from gemstead.cost.cloud import CloudPrice, break_even
from gemstead.cost.demand import Demand, Fleet, fleet_for
from gemstead.cost.energy import kwh_per_million_tokens, whole_kwh_per_million_tokens
from gemstead.cost.inputs import DAYS_PER_MONTH, Inputs
from gemstead.cost.ownership import (
    blended_usd_per_million_tokens,
    monthly_cost,
    tokens_per_month,
    usd_per_million_tokens,
)
from gemstead.cost.sensitivity import swings

PLAIN: dict[str, float] = {
    "capex_usd": 3600,
    "prefill_power_w": 360,
    "decode_power_w": 360,
    "idle_power_w": 36,
    "prefill_tok_per_s": 1000,
    "decode_tok_per_s": 100,
    "price_usd_per_kwh": 0.25,
    "co2_g_per_kwh": 400,
    "pue": 1.0,
    "amortisation_months": 36,
    "setup_hours": 0,
    "engineering_hours_per_month": 0,
    "engineering_usd_per_hour": 80,
    "hosting_usd_per_month": 0,
    "utilisation": 0.5,
    "max_utilisation": 0.5,
    "prompt_share": 0.5,
}
"""Round figures: 100 dollars of capital a month; 1 kWh per million completion tokens, 0.1 per million prompt tokens."""


def inputs(**changed: float) -> Inputs:
    return Inputs(**{name: exactly(value, "assumed") for name, value in (PLAIN | changed).items()})


def any_inputs() -> st.SearchStrategy[Inputs]:
    """Anything a file may state, within what exists."""
    amount = st.floats(0, 1e5)
    positive = st.floats(0.1, 1e5)
    drawn = {
        name: amount for name in PLAIN if name.endswith(("_usd", "_hours", "_month", "_hour", "idle_power_w", "kwh"))
    }
    drawn |= {name: positive for name in PLAIN if name.endswith(("tok_per_s", "months", "prefill_power_w"))}
    drawn |= {"decode_power_w": positive, "pue": st.floats(1, 3), "prompt_share": st.floats(0, 1)}
    drawn |= {"utilisation": st.floats(0.001, 1), "max_utilisation": st.floats(0.01, 1)}
    assert set(drawn) == set(PLAIN)
    return st.builds(inputs, **drawn)


def energy_rows() -> list[tuple[str, float, float, str]]:
    page = (Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) \| [^|]+ \| ([\d.]+) \| ([\d.]+) \|$", page, re.MULTILINE)
    return [(machine, float(power), float(speed), kwh) for machine, power, speed, kwh in rows]


@pytest.mark.parametrize(("machine", "power_w", "tok_per_s", "printed"), energy_rows())
def test_the_energy_table_of_the_field_follows_from_its_inputs(
    machine: str, power_w: float, tok_per_s: float, printed: str
) -> None:
    assert f"{kwh_per_million_tokens(power_w, tok_per_s):.2f}" == printed, machine


def test_the_energy_table_has_every_figure_of_the_field() -> None:
    assert [kwh for _, _, _, kwh in energy_rows()] == ["0.61", "0.87", "0.07", "0.08", "0.42"]


def test_a_month_worked_by_hand() -> None:
    month = monthly_cost(inputs())
    assert month.capital_usd == pytest.approx(100)
    assert month.idle_electricity_usd == pytest.approx(0.036 * 730.5 / 2 * 0.25)
    # Half the hours at 0.36 kW, whatever the mix of tokens: both phases draw the same.
    assert month.working_electricity_usd == pytest.approx(0.36 * 730.5 / 2 * 0.25)
    assert month.total_usd == pytest.approx(month.fixed_usd + month.working_electricity_usd)


def test_a_million_tokens_worked_by_hand() -> None:
    working_s = 0.5 * 730.5 * 3600
    fixed = (100 + 0.036 * 730.5 / 2 * 0.25) / working_s
    assert usd_per_million_tokens(inputs(), "decode") == pytest.approx(10_000 * fixed + 1.0 * 0.25)
    assert usd_per_million_tokens(inputs(), "prefill") == pytest.approx(1_000 * fixed + 0.1 * 0.25)


def test_waiting_and_the_building_are_in_the_whole_energy() -> None:
    assert whole_kwh_per_million_tokens(inputs(idle_power_w=0), "decode") == pytest.approx(1.0)
    assert whole_kwh_per_million_tokens(inputs(pue=2.0), "decode") == pytest.approx(2 * (1.0 + 0.1))


@given(any_inputs())
def test_the_cost_of_all_tokens_is_the_cost_of_the_month(given_inputs: Inputs) -> None:
    millions = tokens_per_month(given_inputs, 2) / 1e6
    assert blended_usd_per_million_tokens(given_inputs, 2) * millions == pytest.approx(
        monthly_cost(given_inputs, 2).total_usd, rel=1e-9
    )


@given(any_inputs(), st.floats(0.001, 1), st.floats(0.001, 1))
def test_more_utilisation_never_costs_more_per_token(given_inputs: Inputs, one: float, other: float) -> None:
    less, more = sorted((one, other))
    idle, busy = (blended_usd_per_million_tokens(given_inputs.with_value("utilisation", u)) for u in (less, more))
    assert busy <= idle * (1 + 1e-9)


@pytest.mark.parametrize("name", ["prefill_tok_per_s", "decode_tok_per_s", "amortisation_months"])
@given(given_inputs=any_inputs(), factor=st.floats(1, 10))
def test_a_faster_or_longer_used_machine_never_costs_more_per_token(
    name: str, given_inputs: Inputs, factor: float
) -> None:
    better = given_inputs.with_value(name, getattr(given_inputs, name).value * factor)
    assert blended_usd_per_million_tokens(better) <= blended_usd_per_million_tokens(given_inputs) * (1 + 1e-9)


@pytest.mark.parametrize(
    "name", ["capex_usd", "price_usd_per_kwh", "engineering_usd_per_hour", "decode_power_w", "pue"]
)
@given(given_inputs=any_inputs(), factor=st.floats(1, 10))
def test_what_is_dearer_never_costs_less_per_token(name: str, given_inputs: Inputs, factor: float) -> None:
    dearer = given_inputs.with_value(name, getattr(given_inputs, name).value * factor)
    assert blended_usd_per_million_tokens(dearer) >= blended_usd_per_million_tokens(given_inputs) * (1 - 1e-9)


def test_users_set_the_utilisation() -> None:
    # 5500 s a million tokens, mixed; 10 users of 100,000 tokens: 5500 s of 86,400 a day.
    fleet = fleet_for(inputs(), Demand(10, 100_000))
    assert (fleet.num_machines, fleet.inputs.utilisation.basis) == (1, "computed")
    assert fleet.inputs.utilisation.value == pytest.approx(5500 / 86_400)


def test_one_machine_that_would_be_too_busy_becomes_two() -> None:
    fleet = fleet_for(inputs(), Demand(80, 100_000))
    assert fleet.num_machines == 2
    assert fleet.inputs.utilisation.value == pytest.approx(8 * 5500 / 86_400 / 2)


@given(any_inputs(), st.integers(1, 10_000), st.floats(1, 1e6))
def test_the_machines_bought_can_serve_the_users_and_no_more_than_needed_are(
    given_inputs: Inputs, num_users: int, tokens: float
) -> None:
    demand = Demand(num_users, tokens)
    fleet = fleet_for(given_inputs, demand)
    limit = given_inputs.max_utilisation.value
    assert fleet.inputs.utilisation.value <= limit * (1 + 1e-9)
    assert tokens_per_month(fleet.inputs, fleet.num_machines) == pytest.approx(num_users * tokens * DAYS_PER_MONTH)
    if fleet.num_machines > 1:
        assert fleet.inputs.utilisation.value * fleet.num_machines > limit * (fleet.num_machines - 1) * (1 - 1e-9)


def test_break_even_worked_by_hand() -> None:
    cloud = break_even(Fleet(inputs(idle_power_w=0)), CloudPrice(1.0, 3.0))
    millions = tokens_per_month(inputs()) / 1e6
    assert cloud.cloud_usd_per_month == pytest.approx(2 * millions)
    # A million mixed tokens need 0.55 kWh: 0.1375 dollars.
    assert cloud.months == pytest.approx(3600 / ((2 - 0.1375) * millions))
    assert cloud.tokens_per_day == pytest.approx(100 / (2 - 0.1375) * 1e6 / DAYS_PER_MONTH)
    assert cloud.num_machines == 1


def test_a_cloud_cheaper_than_the_electricity_is_never_beaten() -> None:
    cloud = break_even(Fleet(inputs()), CloudPrice(0.0, 0.1))
    assert (cloud.months, cloud.tokens_per_day, cloud.num_machines) == (None, None, None)


@given(any_inputs(), st.floats(0.1, 1e4), st.floats(1, 10))
def test_a_dearer_cloud_is_beaten_no_later(given_inputs: Inputs, price: float, factor: float) -> None:
    cheap, dear = (break_even(Fleet(given_inputs), CloudPrice(usd, usd)) for usd in (price, price * factor))
    for name in ("months", "tokens_per_day"):
        before, after = getattr(cheap, name), getattr(dear, name)
        if before is not None:
            assert after is not None
            assert after <= before * (1 + 1e-6)


@given(any_inputs(), st.floats(0.1, 1e4))
def test_at_the_break_even_volume_both_cost_the_same(given_inputs: Inputs, price: float) -> None:
    found = break_even(Fleet(given_inputs), CloudPrice(price, price))
    if found.tokens_per_day is None or found.num_machines is None or not 1 < found.tokens_per_day < 1e15:
        return
    tokens_a_month = found.tokens_per_day * DAYS_PER_MONTH
    utilisation = tokens_a_month / tokens_per_month(given_inputs.with_value("utilisation", 1.0), found.num_machines)
    there = given_inputs.with_value("utilisation", utilisation)
    assert utilisation <= given_inputs.max_utilisation.value * (1 + 1e-9)
    assert monthly_cost(there, found.num_machines).total_usd == pytest.approx(price * tokens_a_month / 1e6, rel=1e-6)


def test_swings_are_sorted_and_hold_both_ends() -> None:
    ranged = {"capex_usd": (1800, 7200), "pue": (1.0, 1.1), "co2_g_per_kwh": (100, 900)}
    base = inputs()
    for name, (low, high) in ranged.items():
        moved = msgspec.structs.replace(getattr(base, name), low=low, high=high)
        base = msgspec.structs.replace(base, **{name: moved})
    found = swings(base)
    # CO2 moves no cost and is left out, as is everything without a range.
    assert [swing.name for swing in found] == ["capex_usd", "pue"]
    assert found[0].usd_at_low == pytest.approx(blended_usd_per_million_tokens(inputs(capex_usd=1800)))
    assert found[0].usd_at_high == pytest.approx(blended_usd_per_million_tokens(inputs(capex_usd=7200)))


def test_a_measured_figure_brings_its_error_as_a_range() -> None:
    found = from_figure(Figure(100, "measured", 0.25, "a run"))
    assert (found.low, found.value, found.high, found.basis) == (80, 100, 125, "measured")
    assert not from_figure(Figure(100, "measured")).has_range
