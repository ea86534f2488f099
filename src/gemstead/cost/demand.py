"""What users ask for, and how many machines that keeps busy."""

from __future__ import annotations

import math

import msgspec

from gemstead.cost.assumption import exactly
from gemstead.cost.inputs import DAYS_PER_MONTH, SECONDS_PER_DAY, TOKENS_PER_UNIT, Inputs
from gemstead.cost.ownership import blended_seconds_per_million_tokens, blended_usd_per_million_tokens


class Demand(msgspec.Struct, frozen=True):
    """`tokens_per_user_day`: prompt and completion tokens together, on a mean day of the year."""

    num_users: int
    tokens_per_user_day: float

    @property
    def tokens_per_month(self) -> float:
        return self.num_users * self.tokens_per_user_day * DAYS_PER_MONTH


class Fleet(msgspec.Struct, frozen=True):
    """Machines of one kind with the utilisation the demand gives them."""

    inputs: Inputs
    num_machines: int = 1

    @property
    def usd_per_million_tokens(self) -> float:
        """Prompt and completion tokens mixed."""
        return blended_usd_per_million_tokens(self.inputs, self.num_machines)


def fleet_for(inputs: Inputs, demand: Demand | None) -> Fleet:
    """As many machines as stay at or below `max_utilisation`; without a demand, one machine as utilised as assumed.

    Equal machines and a load that can be split are assumed; `max_utilisation` is what covers the busy hour.
    """
    if demand is None:
        return Fleet(inputs)
    tokens_per_day = demand.num_users * demand.tokens_per_user_day
    machines_busy = tokens_per_day / TOKENS_PER_UNIT * blended_seconds_per_million_tokens(inputs) / SECONDS_PER_DAY
    num_machines = max(1, math.ceil(machines_busy / inputs.max_utilisation.value))
    utilisation = exactly(machines_busy / num_machines, "computed", "users, tokens a day and speeds")
    return Fleet(msgspec.structs.replace(inputs, utilisation=utilisation), num_machines)
