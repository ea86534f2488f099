"""A number and how it is known. No figure leaves gemstead without its basis."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Basis: TypeAlias = Literal["measured", "computed", "published", "assumed"]


class Figure(msgspec.Struct, frozen=True):
    """`value` in the unit its field name says, with its basis and error bar.

    `error` is relative: 0.1 says the true value is expected within 10 % of `value`. None: not known.
    `source` says where it comes from: a public document, or the command that measured it.
    """

    value: float
    basis: Basis
    error: float | None = None
    source: str | None = None

    @property
    def low(self) -> float:
        """The lower end of the error bar; the value itself where the error is not known."""
        return self.value * (1 - min(1.0, self.error or 0.0))

    @property
    def high(self) -> float:
        """The upper end of the error bar, likewise."""
        return self.value * (1 + (self.error or 0.0))


class BytesFigure(msgspec.Struct, frozen=True):
    """A whole number of bytes with its basis; see `Figure`."""

    num_bytes: int
    basis: Basis
    error: float | None = None
    source: str | None = None
