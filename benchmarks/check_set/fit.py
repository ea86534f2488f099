"""Fits efficiencies to the tuned half: the numbers that calibration.toml holds come from here."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import msgspec

from benchmarks.check_set.points import CheckSet, Device, Point, predict_point
from gemstead.planner.calibration import Efficiency, Kind, find_efficiency

_STEPS = (1.3, 1.1, 1.03, 1.01)


def fit(check_set: CheckSet, engine: str, kind: Kind, names: Sequence[str]) -> Efficiency:
    """The calibration of `engine` on `kind` with the fields `names` moved to the smallest squared log error.

    One field is moved at a time by ever smaller factors; only points marked as tuned count.
    """
    tuned = [
        (point, check_set.devices[point.device])
        for point in check_set.points
        if point.is_tuned and point.engine == engine and check_set.devices[point.device].kind == kind
    ]
    best = find_efficiency(engine, kind)
    loss = _loss(best, tuned)
    for step in _STEPS:
        is_better = True
        while is_better:
            is_better = False
            for name in names:
                for factor in (step, 1 / step):
                    moved = _moved(best, name, factor)
                    if (moved_loss := _loss(moved, tuned)) < loss - 1e-9:
                        best, loss, is_better = moved, moved_loss, True
    return best


def value_of(efficiency: Efficiency, name: str) -> float:
    """A field, or one quantization's entry of a field: `matmul`, `matmul_by_quant.Q8_0`."""
    field, _, quant = name.partition(".")
    value = getattr(efficiency, field)
    return float(value[quant] if quant else value)


def _moved(efficiency: Efficiency, name: str, factor: float) -> Efficiency:
    field, _, quant = name.partition(".")
    value: object = value_of(efficiency, name) * factor
    if quant:
        value = getattr(efficiency, field) | {quant: value}
    return msgspec.structs.replace(efficiency, **{field: value})


def _loss(efficiency: Efficiency, points: Sequence[tuple[Point, Device]]) -> float:
    total = 0.0
    for point, device in points:
        predicted = predict_point(point, device, efficiency)
        if point.decode_tok_per_s is not None:
            total += log(predicted.decode_tok_per_s / point.decode_tok_per_s) ** 2
        if point.prefill_tok_per_s is not None and predicted.prefill_tok_per_s is not None:
            total += log(predicted.prefill_tok_per_s / point.prefill_tok_per_s) ** 2
    return total
