"""Everything the calculation depends on, resolved: one value a name, each with its range, basis and source."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gemstead.cost.assumption import Assumption

HOURS_PER_MONTH = 365.25 * 24 / 12
DAYS_PER_MONTH = 365.25 / 12
SECONDS_PER_DAY = 86_400
TOKENS_PER_UNIT = 1_000_000
"""Prices, energy and emissions are told per million tokens, as the field's price lists do."""


class Inputs(msgspec.Struct, frozen=True):
    """Power in watts at the wall, of one whole machine. Speeds of one machine, over all its slots together.

    `prompt_share` is the share of prompt tokens among all tokens; `utilisation` the share of all hours a machine
    works at these speeds; above `max_utilisation` another machine is needed. What each one means to its owner:
    `AssumptionFile`.
    """

    capex_usd: Assumption
    prefill_power_w: Assumption
    decode_power_w: Assumption
    idle_power_w: Assumption
    prefill_tok_per_s: Assumption
    decode_tok_per_s: Assumption
    price_usd_per_kwh: Assumption
    co2_g_per_kwh: Assumption
    pue: Assumption
    amortisation_months: Assumption
    setup_hours: Assumption
    engineering_hours_per_month: Assumption
    engineering_usd_per_hour: Assumption
    hosting_usd_per_month: Assumption
    utilisation: Assumption
    max_utilisation: Assumption
    prompt_share: Assumption

    def named(self) -> Iterator[tuple[str, Assumption]]:
        """Every assumption with its name, in the order above."""
        for name in self.__struct_fields__:
            yield name, getattr(self, name)

    def with_value(self, name: str, value: float) -> Inputs:
        """The same inputs with one figure moved; its range goes with it."""
        moved = msgspec.structs.replace(getattr(self, name), value=value, low=value, high=value)
        return msgspec.structs.replace(self, **{name: moved})
