"""A report of costs as tables for people. `~` before what was not measured, which is all that is computed."""

from __future__ import annotations

from gemstead.cli.output import print_table
from gemstead.core.units import format_duration
from gemstead.cost.cloud import BreakEven
from gemstead.cost.report import CostReport
from gemstead.cost.tornado import text_bars


def print_report(report: CostReport) -> None:
    """The verdict first; then a table each; the assumptions last, because they are the longest."""
    utilisation = report.assumptions["utilisation"]
    print(
        f"{report.subject}: ~${_number(report.prefill.cost_usd.value)} per million prompt tokens,"
        f" ~${_number(report.decode.cost_usd.value)} per million completion tokens,"
        f" {_number(utilisation.value * 100)} % of the time at work"
    )
    print()
    _print_per_million(report)
    print()
    _print_month(report)
    if report.cloud is not None:
        print()
        print("\n".join(_cloud_lines(report.cloud)))
    print()
    _print_swings(report)
    print()
    _print_assumptions(report)


def _print_per_million(report: CostReport) -> None:
    columns = (report.prefill, report.decode, report.blended)
    rows = (
        ("time at work", *(format_duration(column.duration_s.value) for column in columns)),
        ("kWh at work", *(_about(column.working_kwh.value) for column in columns)),
        ("kWh in all", *(_about(column.whole_kwh.value) for column in columns)),
        ("kg CO2e", *(_about(column.co2_kg.value) for column in columns)),
        ("US dollars", *(_about(column.cost_usd.value) for column in columns)),
    )
    share = report.assumptions["prompt_share"].value
    print_table(("per million tokens", "prefill", "decode", f"{share:.0%} prefill"), rows)


def _print_month(report: CostReport) -> None:
    rows = [(name.removesuffix("_usd").replace("_", " "), _about(usd.value)) for name, usd in report.month.items()]
    machines = f"{report.num_machines} machines" if report.num_machines > 1 else "one machine"
    print_table((f"a month of {machines}", "US dollars"), rows)
    print(f"for ~{_number(report.tokens_per_month.value / 1e6)} million tokens a month")
    if report.users is not None:
        per_user = _number(report.users.usd_per_user_month.value)
        print(f"{report.users.num_users} users of {_stated(report.users.tokens_per_user_day)} tokens a day:", end=" ")
        print(f"~${per_user} a user and month")


def _cloud_lines(cloud: BreakEven) -> list[str]:
    price, month = _number(cloud.cloud_usd_per_million_tokens), _number(cloud.cloud_usd_per_month)
    lines = [f"the cloud, at the price stated: ~${price} per million tokens, ~${month} a month for as many"]
    if cloud.months is None:
        lines.append("at this volume the investment never comes back: running it costs more than the cloud")
    else:
        lines.append(f"at this volume the investment comes back in ~{_number(cloud.months)} months")
    if cloud.tokens_per_day is None:
        lines.append("at no volume is it cheaper than the cloud")
    else:
        count = "one machine" if cloud.num_machines == 1 else f"{cloud.num_machines} machines"
        lines.append(f"it is cheaper from ~{_number(cloud.tokens_per_day)} tokens a day, with {count}")
    return lines


def _print_swings(report: CostReport) -> None:
    bars = text_bars(report.swings, report.blended.cost_usd.value)
    rows = [
        (swing.name, _range(swing.low, swing.high), _about(swing.cheapest_usd), bar, _about(swing.dearest_usd))
        for swing, bar in zip(report.swings, bars, strict=True)
    ]
    now = f"$ per million tokens, now ~{_number(report.blended.cost_usd.value)}"
    print_table(("what matters most", "from", "least", now, "most"), rows)


def _print_assumptions(report: CostReport) -> None:
    rows = [
        (name, _stated(given.value), _range(given.low, given.high), given.basis, given.source or "")
        for name, given in report.assumptions.items()
    ]
    print_table(("assumption", "value", "range", "basis", "source"), rows)
    print("to change them: gemstead cost init")


def _range(low: float, high: float) -> str:
    return f"{_stated(low)} to {_stated(high)}" if low < high else ""


def _about(value: float) -> str:
    return f"~{_number(value)}"


def _number(value: float) -> str:
    """A result: three digits that matter, with commas."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:.3g}"


def _stated(value: float) -> str:
    """An input, as exact as it was given to people: whole from a thousand on."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
