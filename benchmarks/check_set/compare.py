"""Predicted against published, value by value, and the error of both halves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import msgspec

from benchmarks.check_set.points import CheckSet, Point, predict_point


class Comparison(msgspec.Struct, frozen=True):
    """One value: "decode" or "prefill", in tokens per second. `error` is (predicted - published) / published."""

    point: Point
    what: str
    published: float
    predicted: float

    @property
    def error(self) -> float:
        return self.predicted / self.published - 1


def compare(check_set: CheckSet) -> list[Comparison]:
    """Every published value that can be predicted; the points left out are not among them."""
    return [item for point in check_set.points if point.left_out is None for item in _compare_point(point, check_set)]


def _compare_point(point: Point, check_set: CheckSet) -> Iterator[Comparison]:
    predicted = predict_point(point, check_set.devices[point.device])
    if point.prefill_tok_per_s is not None and predicted.prefill_tok_per_s is not None:
        yield Comparison(point, "prefill", point.prefill_tok_per_s, predicted.prefill_tok_per_s)
    if point.decode_tok_per_s is not None:
        yield Comparison(point, "decode", point.decode_tok_per_s, predicted.decode_tok_per_s)


def median_error(items: Sequence[Comparison]) -> float:
    return median(abs(item.error) for item in items)


def p90_error(items: Sequence[Comparison]) -> float:
    """The smallest error that nine tenths of the values do not exceed."""
    ranked = sorted(abs(item.error) for item in items)
    return ranked[-(-9 * len(ranked) // 10) - 1]


def report(check_set: CheckSet) -> str:
    """The tables of docs/prediction.md, in Markdown."""
    found = compare(check_set)
    lines = ["| points | value | number | median error | 90 % are within |", "|---|---|--:|--:|--:|"]
    tuned_devices = {point.device for point in check_set.points if point.is_tuned}
    groups = (
        ("tuned", [item for item in found if item.point.is_tuned]),
        ("held out", [item for item in found if not item.point.is_tuned]),
        ("held out, on a device without a tuned point", [i for i in found if i.point.device not in tuned_devices]),
    )
    for group, members in groups:
        for what in ("decode", "prefill"):
            items = [item for item in members if item.what == what]
            lines.append(f"| {group} | {what} | {len(items)} | {median_error(items):.0%} | {p90_error(items):.0%} |")
    lines += ["", "| device | engine | model | KV cache held | value | published | predicted | error | half |"]
    lines.append("|---|---|---|--:|---|--:|--:|--:|---|")
    lines += [_row(item) for item in found]
    lines += ["", "Not compared:", ""]
    left_out = [point for point in check_set.points if point.left_out is not None]
    lines += [
        f"- {point.device}, {point.engine}, {point.variant} {point.quant}: {point.decode_tok_per_s:g} tok/s; "
        f"{point.left_out}"
        for point in left_out
    ]
    return "\n".join(lines) + "\n"


def _row(item: Comparison) -> str:
    point = item.point
    cells = (
        *(point.device, point.engine, f"{point.variant} {point.quant}", str(point.depth_tokens or point.prompt_tokens)),
        *(item.what, f"{item.published:.4g}", f"{item.predicted:.4g}", f"{item.error:+.0%}"),
        "tuned" if point.is_tuned else "held out",
    )
    return f"| {' | '.join(cells)} |"
