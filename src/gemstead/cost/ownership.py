"""Total cost of ownership: what the machines cost a month, and what a million tokens then cost.

The month's fixed cost is laid upon the seconds the machines work; each phase pays for its seconds and its electricity:

    usd(phase) = seconds(phase) * fixed / working_seconds + kwh(phase) * pue * price
"""

from __future__ import annotations

import msgspec

from gemstead.cost.energy import (
    Phase,
    blend,
    idle_kwh_per_month,
    seconds_per_million_tokens,
    working_kwh_per_million_tokens,
)
from gemstead.cost.inputs import HOURS_PER_MONTH, TOKENS_PER_UNIT, Inputs


class MonthlyCost(msgspec.Struct, frozen=True):
    """All machines together, in US dollars a month. `capital_usd`: hardware and setting up, amortised."""

    capital_usd: float
    engineering_usd: float
    hosting_usd: float
    idle_electricity_usd: float
    working_electricity_usd: float

    @property
    def fixed_usd(self) -> float:
        """What is paid whether or not a token is asked for, at this utilisation."""
        return self.capital_usd + self.engineering_usd + self.hosting_usd + self.idle_electricity_usd

    @property
    def running_usd(self) -> float:
        """Everything but capital: what must be paid on to keep it."""
        return self.total_usd - self.capital_usd

    @property
    def total_usd(self) -> float:
        return self.fixed_usd + self.working_electricity_usd


def invested_usd(inputs: Inputs, num_machines: int) -> float:
    """Paid once, at the start: the machines, and the hours of setting them up (once for all of them)."""
    return num_machines * inputs.capex_usd.value + inputs.setup_hours.value * inputs.engineering_usd_per_hour.value


def tokens_per_month(inputs: Inputs, num_machines: int = 1) -> float:
    """Prompt and completion tokens that the machines get through at this utilisation."""
    working_s = _working_seconds(inputs, num_machines)
    return TOKENS_PER_UNIT * working_s / blended_seconds_per_million_tokens(inputs)


def blended_seconds_per_million_tokens(inputs: Inputs) -> float:
    return blend(inputs, seconds_per_million_tokens(inputs, "prefill"), seconds_per_million_tokens(inputs, "decode"))


def monthly_cost(inputs: Inputs, num_machines: int = 1) -> MonthlyCost:
    """Engineering is for all machines together; hardware, hosting and electricity are paid for each."""
    price = inputs.price_usd_per_kwh.value
    millions = tokens_per_month(inputs, num_machines) / TOKENS_PER_UNIT
    return MonthlyCost(
        capital_usd=invested_usd(inputs, num_machines) / inputs.amortisation_months.value,
        engineering_usd=inputs.engineering_hours_per_month.value * inputs.engineering_usd_per_hour.value,
        hosting_usd=num_machines * inputs.hosting_usd_per_month.value,
        idle_electricity_usd=num_machines * idle_kwh_per_month(inputs) * price,
        working_electricity_usd=millions * blended_electricity_usd_per_million_tokens(inputs),
    )


def blended_electricity_usd_per_million_tokens(inputs: Inputs) -> float:
    """Of the machine at work alone."""
    return blend(inputs, _electricity_usd(inputs, "prefill"), _electricity_usd(inputs, "decode"))


def usd_per_million_tokens(inputs: Inputs, phase: Phase, num_machines: int = 1) -> float:
    """What a million prompt tokens (prefill) or completion tokens (decode) cost, with their share of all else."""
    fixed = monthly_cost(inputs, num_machines).fixed_usd / _working_seconds(inputs, num_machines)
    return seconds_per_million_tokens(inputs, phase) * fixed + _electricity_usd(inputs, phase)


def blended_usd_per_million_tokens(inputs: Inputs, num_machines: int = 1) -> float:
    """Of a million tokens, mixed as `prompt_share` says."""
    prefill, decode = (usd_per_million_tokens(inputs, phase, num_machines) for phase in ("prefill", "decode"))
    return blend(inputs, prefill, decode)


def _electricity_usd(inputs: Inputs, phase: Phase) -> float:
    kwh = working_kwh_per_million_tokens(inputs, phase) * inputs.pue.value
    return kwh * inputs.price_usd_per_kwh.value


def _working_seconds(inputs: Inputs, num_machines: int) -> float:
    return num_machines * inputs.utilisation.value * HOURS_PER_MONTH * 3600
