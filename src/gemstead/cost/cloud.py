"""Against a price list of a cloud: from which volume, and after how many months, machines of one's own are cheaper."""

from __future__ import annotations

import math

import msgspec

from gemstead.cost.demand import Fleet
from gemstead.cost.energy import JOULES_PER_KWH, blend
from gemstead.cost.inputs import DAYS_PER_MONTH, HOURS_PER_MONTH, TOKENS_PER_UNIT, Inputs
from gemstead.cost.ownership import (
    blended_electricity_usd_per_million_tokens,
    blended_seconds_per_million_tokens,
    invested_usd,
    monthly_cost,
    tokens_per_month,
)


class CloudPrice(msgspec.Struct, frozen=True):
    """What its user states: US dollars per million prompt tokens and per million completion tokens."""

    prompt_usd: float
    completion_usd: float


class BreakEven(msgspec.Struct, frozen=True):
    """None: never. `months` at the volume of the report; `tokens_per_day` needs `num_machines` to be served."""

    cloud_usd_per_million_tokens: float
    cloud_usd_per_month: float
    months: float | None
    tokens_per_day: float | None
    num_machines: int | None


def break_even(fleet: Fleet, price: CloudPrice) -> BreakEven:
    """Both answers ask the same question: when does what is paid to the cloud exceed what the machines cost?

    By months: the investment over what is saved a month, without amortisation. By volume: the tokens a day at which
    the amortised month costs the same, with the fewest machines that can serve them.
    """
    blended = blend(fleet.inputs, price.prompt_usd, price.completion_usd)
    cloud_month = blended * tokens_per_month(fleet.inputs, fleet.num_machines) / TOKENS_PER_UNIT
    saved = cloud_month - monthly_cost(fleet.inputs, fleet.num_machines).running_usd
    months = invested_usd(fleet.inputs, fleet.num_machines) / saved if saved > 0 else None
    volume = _volume(fleet.inputs, blended)
    return BreakEven(
        cloud_usd_per_million_tokens=blended,
        cloud_usd_per_month=cloud_month,
        months=months,
        tokens_per_day=volume[0] if volume else None,
        num_machines=volume[1] if volume else None,
    )


def _volume(inputs: Inputs, cloud_usd: float) -> tuple[float, int] | None:
    """Tokens a day and machines at which both cost the same.

    A machine costs `own` a month whatever it does (waiting included), all of them together `shared`. A million tokens
    then save `margin`: the cloud's price less the electricity of the work, which replaces waiting. With n machines the
    costs meet at (shared + n * own) / margin million tokens a month, which n machines must be able to serve.
    """
    seconds = blended_seconds_per_million_tokens(inputs)
    price = inputs.price_usd_per_kwh.value * inputs.pue.value
    waiting = inputs.idle_power_w.value * seconds / JOULES_PER_KWH * price
    margin = cloud_usd - (blended_electricity_usd_per_million_tokens(inputs) - waiting)
    idle_month = inputs.idle_power_w.value / 1000 * HOURS_PER_MONTH * price
    own = inputs.capex_usd.value / inputs.amortisation_months.value + inputs.hosting_usd_per_month.value + idle_month
    rate = inputs.engineering_usd_per_hour.value
    hours = inputs.setup_hours.value / inputs.amortisation_months.value + inputs.engineering_hours_per_month.value
    capacity = inputs.max_utilisation.value * HOURS_PER_MONTH * 3600 / seconds
    if margin <= 0 or margin * capacity <= own:
        return None
    num_machines = max(1, math.ceil(rate * hours / (margin * capacity - own)))
    millions_per_month = (rate * hours + num_machines * own) / margin
    return millions_per_month * TOKENS_PER_UNIT / DAYS_PER_MONTH, num_machines
