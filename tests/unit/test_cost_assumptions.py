"""The file of assumptions, and the data that comes with gemstead."""

from __future__ import annotations

import math

import pytest

from gemstead.core.errors import Missing, NameUnknown, SettingInvalid
from gemstead.core.figures import Figure
from gemstead.cost.assumption_file import AssumptionFile
from gemstead.cost.assumption_text import assumption_names, parse_assumptions, render_assumptions
from gemstead.cost.inputs import Inputs
from gemstead.cost.machines import machine_cost
from gemstead.cost.regions import load_region, region_codes
from gemstead.cost.resolve import GENERAL_PRICE, resolve
from gemstead.cost.speeds import Speeds, published_speeds
from gemstead.hardware.profiles import profile_names

SPEEDS = Speeds(Figure(1000, "measured", 0.1, "a run"), Figure(50, "measured", None, "a run"))


def test_what_init_writes_is_read_back_the_same() -> None:
    stated = parse_assumptions('[machine]\ncapex_usd = 12\n[electricity]\nregion = "DE"\n', "f.toml")
    assert parse_assumptions(render_assumptions(stated), "f.toml") == stated
    assert parse_assumptions(render_assumptions(AssumptionFile()), "f.toml") == AssumptionFile()


def test_every_assumption_is_written_with_a_comment() -> None:
    lines = render_assumptions(AssumptionFile()).splitlines()
    for name in assumption_names():
        key = name.partition(".")[2]
        (at,) = (place for place, line in enumerate(lines) if line.removeprefix("# ").startswith(f"{key} ="))
        assert lines[at - 1].startswith("# ")
        assert len(lines[at - 1]) > 20


def test_every_input_can_be_stated_and_every_statement_is_an_input_or_the_region() -> None:
    keys = [name.partition(".")[2] for name in assumption_names()]
    assert sorted(keys) == sorted(["region", *Inputs.__struct_fields__])


def test_a_plain_number_is_taken_as_known_and_a_table_has_a_range() -> None:
    text = "[money]\namortisation_months = 48\n[load]\nutilisation = { value = 0.3, low = 0.1, basis = 'measured' }\n"
    stated = parse_assumptions(text, "f.toml").stated()
    months, share = (stated[name].as_assumption() for name in ("amortisation_months", "utilisation"))
    assert (months.low, months.value, months.high) == (48, 48, 48)
    assert (share.low, share.value, share.high, share.basis) == (0.1, 0.3, 0.3, "measured")


@pytest.mark.parametrize(
    ("toml", "nearest"),
    [
        ("[electricity]\npeu = 1.2\n", "electricity.pue"),
        ("[mony]\nsetup_hours = 1\n", "money.setup_hours"),
        ("[load]\nutilisation = { valu = 0.3 }\n", "value"),
        ("utilisation = 0.3\n", "load.utilisation"),
    ],
)
def test_an_unknown_key_is_an_error_that_suggests_the_nearest(toml: str, nearest: str) -> None:
    with pytest.raises(NameUnknown) as caught:
        parse_assumptions(toml, "f.toml")
    assert caught.value.nearest == nearest


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[load]\nutilisation = 0\n", "at least 1e-06 and at most 1"),
        ("[load]\nutilisation = 1.5\n", "at most 1"),
        ("[load]\nutilisation = { value = 0.5, high = 2 }\n", "at most 1"),
        ("[load]\nprompt_share = -0.1\n", "at least 0"),
        ("[electricity]\npue = 0.9\n", "at least 1"),
        ("[machine]\ncapex_usd = nan\n", "finite"),
        ("[machine]\ncapex_usd = inf\n", "finite"),
        ("[machine]\ncapex_usd = true\n", "capex_usd from f.toml is not valid: a figure is a number"),
        ("[machine]\ncapex_usd = 'much'\n", "capex_usd from f.toml is not valid: a figure is a number"),
        ("[machine]\ncapex_usd = []\n", "capex_usd from f.toml is not valid: a figure is a number"),
        ("[machine]\ncapex_usd = { low = 1, high = 2 }\n", "Field required"),
        ("[money]\nsetup_hours = { value = 5, low = 6 }\n", "in this order"),
        ("[money]\nsetup_hours = { value = 5, basis = 'guessed' }\n", "money.setup_hours.basis"),
        ("[speeds]\ndecode_tok_per_s = 0\n", "at least"),
        ("[electricity]\nregion = 7\n", "region"),
        ("machine = 3\n", "machine"),
    ],
)
def test_a_bad_value_is_an_error_that_names_it(toml: str, words: str) -> None:
    with pytest.raises((SettingInvalid, NameUnknown)) as caught:
        parse_assumptions(toml, "f.toml")
    assert words in caught.value.what
    assert "f.toml" in caught.value.what


@pytest.mark.parametrize("toml", ["[load\n", "utilisation = ", "\x00"])
def test_a_file_that_is_not_toml_is_a_clear_error(toml: str) -> None:
    with pytest.raises(SettingInvalid, match=r"f\.toml is not TOML"):
        parse_assumptions(toml, "f.toml")


def test_what_is_stated_wins_over_what_is_known() -> None:
    stated = parse_assumptions("[machine]\nidle_power_w = 1\n[speeds]\ndecode_tok_per_s = 9\n", "f.toml")
    found = resolve(stated, load_region("DE"), machine_cost("rtx-4090"), SPEEDS)
    assert (found.idle_power_w.value, found.decode_tok_per_s.value) == (1, 9)
    assert (found.prefill_tok_per_s.value, found.prefill_tok_per_s.basis) == (1000, "measured")
    assert found.price_usd_per_kwh.source is not None
    assert "Germany" in found.price_usd_per_kwh.source


def test_a_region_without_a_price_gets_the_general_one() -> None:
    assert (
        resolve(AssumptionFile(), load_region("US"), machine_cost("rtx-4090"), SPEEDS).price_usd_per_kwh
        == GENERAL_PRICE
    )


def test_what_nobody_tells_is_named() -> None:
    with pytest.raises(Missing, match="capex_usd, prefill_power_w, decode_power_w, idle_power_w"):
        resolve(AssumptionFile(), load_region("world"), None, SPEEDS)
    with pytest.raises(Missing, match="prefill_tok_per_s and decode_tok_per_s"):
        resolve(AssumptionFile(), load_region("world"), machine_cost("rtx-4090"))


@pytest.mark.parametrize("code", region_codes())
def test_every_region_has_its_source_and_year(code: str) -> None:
    region = load_region(code)
    assert region.title
    assert 20 < region.co2_g_per_kwh.value < 800
    for figure in (region.co2_g_per_kwh, region.price_usd_per_kwh):
        if figure is not None:
            assert "https://" in (figure.source or "")
            assert "year 202" in (figure.source or "")
    assert region.co2_g_per_kwh.basis == "published"
    if region.price_usd_per_kwh is not None:
        assert region.price_usd_per_kwh.basis == "computed"
        assert 0.05 < region.price_usd_per_kwh.low < region.price_usd_per_kwh.high < 0.7


def test_an_unknown_region_is_answered_with_the_nearest() -> None:
    with pytest.raises(NameUnknown) as caught:
        load_region("US-TXX")
    assert caught.value.nearest == "US-TX"


@pytest.mark.parametrize("profile", profile_names())
def test_every_named_machine_has_a_price_and_watts_in_order(profile: str) -> None:
    machine = machine_cost(profile)
    assert machine is not None, "add it to machines.toml"
    for figure in (machine.capex_usd, machine.prefill_power_w, machine.decode_power_w, machine.idle_power_w):
        assert 0 < figure.low <= figure.value <= figure.high
        assert figure.source
        assert figure.basis != "published" or "https://" in figure.source
    assert machine.idle_power_w.value < machine.decode_power_w.value <= machine.prefill_power_w.value


def test_published_speeds_are_of_named_machines_and_unknown_ones_are_none() -> None:
    found = published_speeds("gemma4:e2b", "raspberry-pi-5-16gb")
    assert found is not None
    assert (found.prefill_tok_per_s.value, found.decode_tok_per_s.value) == (133, 7.6)
    assert found.decode_tok_per_s.basis == "published"
    assert math.isclose(found.decode_tok_per_s.error or 0, 0.3)
    assert published_speeds("gemma4:31b", "raspberry-pi-5-16gb") is None
    assert published_speeds("gemma4:e2b", "laptop-16gb") is None
