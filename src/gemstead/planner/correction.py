"""What measurements on a machine teach about the next prediction there."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from statistics import median

import msgspec

from gemstead.core.figures import Figure
from gemstead.core.speed import Correction


def correction_of(ratios: Sequence[float]) -> Correction | None:
    """From measured / predicted of several results; None without any.

    The median, drawn towards 1 as if one result more had agreed with the prediction: one measurement corrects half of
    what it shows (on a logarithmic scale), five correct five sixths.
    """
    if not ratios:
        return None
    factor = exp(median(map(log, ratios)) * len(ratios) / (len(ratios) + 1))
    return Correction(factor, max(abs(ratio / factor - 1) for ratio in ratios), len(ratios))


def corrected(figure: Figure, correction: Correction | None) -> Figure:
    """`figure` times the factor. Its error bar covers every measurement, and keeps of the old one what few leave."""
    if correction is None:
        return figure
    count = correction.num_measurements
    error = None if figure.error is None else correction.spread + figure.error / (count + 1)
    times = "a measurement" if count == 1 else f"{count} measurements"
    source = f"corrected by {times} here: x{correction.factor:.2f}"
    return msgspec.structs.replace(figure, value=figure.value * correction.factor, error=error, source=source)
