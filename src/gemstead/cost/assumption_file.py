"""The one file in which every assumption can be changed. `gemstead cost init` writes it, with these comments.

A figure is a plain number, taken as known, or a table: `{ value = 36, low = 24, high = 60, source = "..." }`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from gemstead.core.figures import Basis
from gemstead.cost.assumption import Assumption


class Stated(BaseModel):
    """One figure as its owner wrote it. `low` and `high` absent: taken as known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    low: float | None = None
    high: float | None = None
    basis: Basis = "assumed"
    source: str | None = None

    @model_validator(mode="after")
    def _is_ordered(self) -> Stated:
        given = [end for end in (self.low, self.value, self.high) if end is not None]
        if not all(math.isfinite(end) for end in given):
            raise ValueError("a figure is a finite number")
        if given != sorted(given):
            raise ValueError("low, value and high must be in this order")
        return self

    def as_assumption(self) -> Assumption:
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        return Assumption(self.value, low, high, self.basis, self.source)


def _from_number(given: Any) -> Any:
    if isinstance(given, int | float) and not isinstance(given, bool):
        return {"value": given, "source": "stated in the file"}
    if not isinstance(given, dict | Stated):
        raise ValueError("a figure is a number, or a table with a value")
    return given


def _between(least: float, most: float) -> Callable[[Stated], Stated]:
    """Every end of the range lies there."""

    def check(stated: Stated) -> Stated:
        ends = [end for end in (stated.low, stated.value, stated.high) if end is not None]
        if min(ends) < least or max(ends) > most:
            raise ValueError(f"it must be at least {least:g} and at most {most:g}")
        return stated

    return check


_LEAST, _MOST = 1e-6, 1e12
"""Nothing here is smaller or larger; the bounds keep every quotient finite."""

Amount: TypeAlias = Annotated[Stated, BeforeValidator(_from_number), AfterValidator(_between(0, _MOST))]
Positive: TypeAlias = Annotated[Stated, BeforeValidator(_from_number), AfterValidator(_between(_LEAST, _MOST))]
WorkShare: TypeAlias = Annotated[Stated, BeforeValidator(_from_number), AfterValidator(_between(_LEAST, 1))]
Share: TypeAlias = Annotated[Stated, BeforeValidator(_from_number), AfterValidator(_between(0, 1))]
AtLeastOne: TypeAlias = Annotated[Stated, BeforeValidator(_from_number), AfterValidator(_between(1, 100))]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class MachineSection(_Section):
    capex_usd: Amount | None = None
    """Price of one whole machine, in US dollars. Unset: of the machine named with --on."""
    prefill_power_w: Positive | None = None
    """Watts at the wall while it reads prompts. Unset: of the machine named with --on."""
    decode_power_w: Positive | None = None
    """Watts at the wall while it writes answers. Unset: of the machine named with --on."""
    idle_power_w: Amount | None = None
    """Watts at the wall while it waits. Unset: of the machine named with --on."""


class SpeedSection(_Section):
    prefill_tok_per_s: Positive | None = None
    """Prompt tokens per second, over all slots together. Unset: as published for this model and machine."""
    decode_tok_per_s: Positive | None = None
    """Completion tokens per second, over all slots together. Unset: as published for this model and machine."""


class ElectricitySection(_Section):
    region: str = "world"
    """Where the machine stands: a country (DE), a state of the USA (US-CA), or "world"."""
    price_usd_per_kwh: Amount | None = None
    """Price of a kWh. Unset: of the region, or else 0.25 (0.10 to 0.45) as an assumption."""
    co2_g_per_kwh: Amount | None = None
    """Grams of CO2 equivalent per kWh. Unset: of the region."""
    pue: AtLeastOne = Stated(value=1.1, low=1.0, high=1.6, source="a room without much cooling")
    """Power usage effectiveness: energy of the building over energy of the machine."""


class MoneySection(_Section):
    amortisation_months: Positive = Stated(value=36, low=24, high=60, source="usual for servers and desktops")
    """How long the investment is used."""
    setup_hours: Amount = Stated(value=16, low=8, high=40, source="two days of one person")
    """Hours of engineering until it runs, once, for all machines together."""
    engineering_hours_per_month: Amount = Stated(value=2, low=0.5, high=8, source="updates and questions")
    """Hours of engineering a month, for all machines together."""
    engineering_usd_per_hour: Amount = Stated(value=80, low=40, high=150, source="an employee's whole cost")
    """What an hour of engineering costs."""
    hosting_usd_per_month: Amount = Stated(value=0, source="it stands where there is room anyway")
    """Rent of a place, network, insurance: for each machine."""


class LoadSection(_Section):
    utilisation: WorkShare = Stated(value=0.2, low=0.05, high=0.6, source="an office's hours, not all of them busy")
    """Share of all hours it works at these speeds. With --users it is computed instead."""
    max_utilisation: WorkShare = Stated(value=0.5, source="room for the busy hour")
    """With --users: above this another machine is bought."""
    prompt_share: Share = Stated(value=0.75, low=0.5, high=0.9, source="three prompt tokens to one of the answer")
    """Share of prompt tokens among all tokens."""


class AssumptionFile(_Section):
    machine: MachineSection = MachineSection()
    speeds: SpeedSection = SpeedSection()
    electricity: ElectricitySection = ElectricitySection()
    money: MoneySection = MoneySection()
    load: LoadSection = LoadSection()

    def stated(self) -> dict[str, Stated]:
        """Every figure that is set, by its name, which is unique among all sections."""
        sections = (getattr(self, name) for name in type(self).model_fields)
        figures = ((key, getattr(section, key)) for section in sections for key in type(section).model_fields)
        return {key: figure for key, figure in figures if isinstance(figure, Stated)}
