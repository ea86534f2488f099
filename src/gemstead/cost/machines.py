"""What the named machines cost and draw. The data is `machines.toml`; the names are those of the hardware profiles."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TypeAlias

import msgspec

from gemstead.core.figures import Basis
from gemstead.cost.assumption import Assumption

_Range: TypeAlias = tuple[float, float, float]


class MachineCost(msgspec.Struct, frozen=True):
    """One whole machine: its price, and the watts it draws at the wall."""

    capex_usd: Assumption
    prefill_power_w: Assumption
    decode_power_w: Assumption
    idle_power_w: Assumption


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    capex_usd: _Range
    prefill_power_w: _Range
    decode_power_w: _Range
    idle_power_w: _Range
    basis: Basis
    source: str


def machine_cost(profile: str) -> MachineCost | None:
    """None: nothing is known about this machine."""
    row = _load().get(profile)
    if row is None:
        return None
    return MachineCost(
        capex_usd=Assumption(*row.capex_usd, "assumed", f"{profile}, new, in November 2026"),
        prefill_power_w=Assumption(*row.prefill_power_w, row.basis, row.source),
        decode_power_w=Assumption(*row.decode_power_w, row.basis, row.source),
        idle_power_w=Assumption(*row.idle_power_w, row.basis, row.source),
    )


@cache
def _load() -> dict[str, _Row]:
    return msgspec.toml.decode(files("gemstead.cost").joinpath("machines.toml").read_bytes(), type=dict[str, _Row])
