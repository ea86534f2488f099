"""From what is stated, named and published to one value for every input."""

from __future__ import annotations

import msgspec

from gemstead.core.errors import Missing
from gemstead.cost.assumption import Assumption, from_figure
from gemstead.cost.assumption_file import AssumptionFile
from gemstead.cost.inputs import Inputs
from gemstead.cost.machines import MachineCost
from gemstead.cost.regions import Region
from gemstead.cost.speeds import Speeds

GENERAL_PRICE = Assumption(0.25, 0.10, 0.45, "assumed", "between industry and households, for regions without a price")


def resolve(
    assumptions: AssumptionFile, region: Region, machine: MachineCost | None = None, speeds: Speeds | None = None
) -> Inputs:
    """What the file states wins over what is known about the machine, the region and the model's speed there.

    Raises: Missing if nobody says what the machine costs, what it draws, or how fast the model is.
    """
    found: dict[str, Assumption] = {
        "co2_g_per_kwh": region.co2_g_per_kwh,
        "price_usd_per_kwh": region.price_usd_per_kwh or GENERAL_PRICE,
    }
    if machine is not None:
        found |= msgspec.structs.asdict(machine)
    if speeds is not None:
        found["prefill_tok_per_s"] = from_figure(speeds.prefill_tok_per_s)
        found["decode_tok_per_s"] = from_figure(speeds.decode_tok_per_s)
    found |= {name: stated.as_assumption() for name, stated in assumptions.stated().items()}
    _check_complete(found)
    return Inputs(**found)


def _check_complete(found: dict[str, Assumption]) -> None:
    missing = [name for name in Inputs.__struct_fields__ if name not in found]
    speeds = [name for name in missing if name.endswith("tok_per_s")]
    if missing and missing != speeds:
        raise Missing(
            f"nothing tells {', '.join(name for name in missing if name not in speeds)}",
            why="a machine's price and watts come from a named machine or from the assumptions",
            hint="gemstead cost --on NAME (gemstead hardware --profiles), or gemstead cost init and fill in [machine]",
        )
    if speeds:
        raise Missing(
            f"nothing tells {' and '.join(speeds)}",
            why="none is measured, published or predicted for this model on this machine: it may not fit there",
            hint="state it: gemstead cost --prefill-tok-per-s N --decode-tok-per-s N",
        )
