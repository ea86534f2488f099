"""What matters most: each assumption moved alone from its low to its high end, the others held."""

from __future__ import annotations

import msgspec

from gemstead.cost.demand import Demand, fleet_for
from gemstead.cost.inputs import Inputs


class Swing(msgspec.Struct, frozen=True):
    """The cost of a million mixed tokens with `name` at its low and at its high end, in US dollars."""

    name: str
    low: float
    high: float
    usd_at_low: float
    usd_at_high: float

    @property
    def width_usd(self) -> float:
        return abs(self.usd_at_high - self.usd_at_low)

    @property
    def cheapest_usd(self) -> float:
        return min(self.usd_at_low, self.usd_at_high)

    @property
    def dearest_usd(self) -> float:
        return max(self.usd_at_low, self.usd_at_high)


def swings(inputs: Inputs, demand: Demand | None = None) -> tuple[Swing, ...]:
    """Widest first; assumptions without a range, or without an effect on the cost, are left out.

    With a demand, slower machines mean more of them, and the utilisation follows: that is part of the swing.
    """
    found = [
        Swing(
            name=name,
            low=assumption.low,
            high=assumption.high,
            usd_at_low=fleet_for(inputs.with_value(name, assumption.low), demand).usd_per_million_tokens,
            usd_at_high=fleet_for(inputs.with_value(name, assumption.high), demand).usd_per_million_tokens,
        )
        for name, assumption in inputs.named()
        if assumption.has_range
    ]
    return tuple(sorted((swing for swing in found if swing.width_usd > 0), key=lambda swing: -swing.width_usd))
