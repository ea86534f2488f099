"""Electricity by region: how much CO2 a kWh emits and what it costs. The data is `regions.toml`."""

from __future__ import annotations

import datetime
from functools import cache
from importlib.resources import files

import msgspec

from gemstead.core.errors import NameUnknown
from gemstead.cost.assumption import Assumption, exactly

USD_PER_EUR = 1.08
"""About the mean of 2024, the year of the prices: an assumption, so a price is computed, not published."""

_PRICE_SPREAD = 0.3
"""Contracts lie about this far around a country's mean: assumed."""


class Region(msgspec.Struct, frozen=True):
    """`price_usd_per_kwh` None: no price was read for this region."""

    code: str
    title: str
    co2_g_per_kwh: Assumption
    price_usd_per_kwh: Assumption | None


class _Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str
    year: int
    read: datetime.date

    def __str__(self) -> str:
        return f"{self.text}, year {self.year}, read {self.read.isoformat()}"


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    co2_g_per_kwh: float
    source: str
    price_eur_per_kwh: float | None = None


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sources: dict[str, _Source]
    regions: dict[str, _Row]


def region_codes() -> list[str]:
    return list(_load().regions)


def load_region(code: str) -> Region:
    """Raises: NameUnknown, with the nearest code."""
    table = _load()
    if code not in table.regions:
        raise NameUnknown("region", code, list(table.regions), param="region")
    row = table.regions[code]
    co2 = exactly(row.co2_g_per_kwh, "published", f"{row.title}: {table.sources[row.source]}")
    return Region(code, row.title, co2, _price(row, table.sources["eurostat"]))


def _price(row: _Row, source: _Source) -> Assumption | None:
    if row.price_eur_per_kwh is None:
        return None
    usd = row.price_eur_per_kwh * USD_PER_EUR
    where = f"{row.title}: {row.price_eur_per_kwh} EUR at {USD_PER_EUR} USD. {source}"
    return Assumption(usd, usd * (1 - _PRICE_SPREAD), usd * (1 + _PRICE_SPREAD), "computed", where)


@cache
def _load() -> _Table:
    return msgspec.toml.decode(files("gemstead.cost").joinpath("regions.toml").read_bytes(), type=_Table)
