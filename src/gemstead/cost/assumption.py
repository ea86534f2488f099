"""One figure of a calculation, with how far it may be off and how it is known."""

from __future__ import annotations

import msgspec

from gemstead.core.figures import Basis, Figure


class Assumption(msgspec.Struct, frozen=True):
    """`low` and `high` bound what is plausible; equal to `value`, the figure is taken as known. Units by field name."""

    value: float
    low: float
    high: float
    basis: Basis
    source: str | None = None

    @property
    def has_range(self) -> bool:
        return self.low < self.high


def exactly(value: float, basis: Basis, source: str | None = None) -> Assumption:
    """A figure that is taken as known."""
    return Assumption(value, value, value, basis, source)


def from_figure(figure: Figure) -> Assumption:
    """Its relative error becomes the range, as a factor, so that a speed stays above 0; without one it is known."""
    factor = 1 + (figure.error or 0)
    return Assumption(figure.value, figure.value / factor, figure.value * factor, figure.basis, figure.source)


def computed(value: float) -> Figure:
    """A result: as good as the assumptions it was computed from."""
    return Figure(value, "computed")
