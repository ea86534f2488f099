"""The whole answer: cost by phase, the month, the users, the cloud, what matters most, and every assumption."""

from __future__ import annotations

import msgspec

from gemstead.core.figures import Figure
from gemstead.cost.assumption import Assumption, computed
from gemstead.cost.cloud import BreakEven, CloudPrice, break_even
from gemstead.cost.demand import Demand, Fleet, fleet_for
from gemstead.cost.energy import (
    Phase,
    blend,
    seconds_per_million_tokens,
    whole_kwh_per_million_tokens,
    working_kwh_per_million_tokens,
)
from gemstead.cost.inputs import Inputs
from gemstead.cost.ownership import MonthlyCost, monthly_cost, tokens_per_month, usd_per_million_tokens
from gemstead.cost.sensitivity import Swing, swings


class PerMillion(msgspec.Struct, frozen=True):
    """Of a million tokens. `working_kwh`: the machine at work; `whole_kwh`: with waiting and the building (PUE)."""

    duration_s: Figure
    working_kwh: Figure
    whole_kwh: Figure
    co2_kg: Figure
    cost_usd: Figure


class UserCost(msgspec.Struct, frozen=True):
    num_users: int
    tokens_per_user_day: float
    usd_per_user_month: Figure


class CostReport(msgspec.Struct, frozen=True):
    """`model` and `machine` are names for people; None: not named. `blended`: mixed as `prompt_share` says."""

    model: str | None
    machine: str | None
    prefill: PerMillion
    decode: PerMillion
    blended: PerMillion
    num_machines: int
    tokens_per_month: Figure
    month: dict[str, Figure]
    users: UserCost | None
    cloud: BreakEven | None
    swings: tuple[Swing, ...]
    assumptions: dict[str, Assumption]

    @property
    def subject(self) -> str:
        """What is reckoned, for people."""
        return f"{self.model or 'a model'} on {self.machine or 'a machine'}"


class Question(msgspec.Struct, frozen=True):
    """What is asked beside the plain cost; None: not asked."""

    model: str | None = None
    machine: str | None = None
    demand: Demand | None = None
    cloud: CloudPrice | None = None


def make_report(inputs: Inputs, question: Question) -> CostReport:
    """All of it from one set of inputs: no figure is computed twice from different ones."""
    fleet = fleet_for(inputs, question.demand)
    prefill, decode = (_per_million(fleet, phase) for phase in ("prefill", "decode"))
    month = monthly_cost(fleet.inputs, fleet.num_machines)
    return CostReport(
        model=question.model,
        machine=question.machine,
        prefill=prefill,
        decode=decode,
        blended=_blended(fleet.inputs, prefill, decode),
        num_machines=fleet.num_machines,
        tokens_per_month=computed(tokens_per_month(fleet.inputs, fleet.num_machines)),
        month=_month(month),
        users=_users(question.demand, month),
        cloud=break_even(fleet, question.cloud) if question.cloud else None,
        swings=swings(inputs, question.demand),
        assumptions=dict(fleet.inputs.named()),
    )


def _per_million(fleet: Fleet, phase: Phase) -> PerMillion:
    whole_kwh = whole_kwh_per_million_tokens(fleet.inputs, phase)
    return PerMillion(
        duration_s=computed(seconds_per_million_tokens(fleet.inputs, phase)),
        working_kwh=computed(working_kwh_per_million_tokens(fleet.inputs, phase)),
        whole_kwh=computed(whole_kwh),
        co2_kg=computed(whole_kwh * fleet.inputs.co2_g_per_kwh.value / 1000),
        cost_usd=computed(usd_per_million_tokens(fleet.inputs, phase, fleet.num_machines)),
    )


def _blended(inputs: Inputs, prefill: PerMillion, decode: PerMillion) -> PerMillion:
    names = PerMillion.__struct_fields__
    mixed = {name: blend(inputs, getattr(prefill, name).value, getattr(decode, name).value) for name in names}
    return PerMillion(**{name: computed(value) for name, value in mixed.items()})


def _month(month: MonthlyCost) -> dict[str, Figure]:
    parts = {name: computed(value) for name, value in msgspec.structs.asdict(month).items()}
    return parts | {"total_usd": computed(month.total_usd)}


def _users(demand: Demand | None, month: MonthlyCost) -> UserCost | None:
    if demand is None:
        return None
    return UserCost(demand.num_users, demand.tokens_per_user_day, computed(month.total_usd / demand.num_users))
