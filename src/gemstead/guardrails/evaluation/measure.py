"""What a guard finds of a set, what it finds that is not there, and what that costs; each share with its interval."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec

from gemstead.guardrails.base import Finding, Guard, Passage, mask_text
from gemstead.guardrails.evaluation.sets import Sample

Z95 = 1.959964
"""Of the normal distribution: 95 % lie within."""

_PARTLY = frozenset({"remote_image", "active_html", "terminal_escape"})
"""Kinds of which it is enough to break a part."""


class Share(msgspec.Struct, frozen=True):
    """`num` of `total`, with Wilson's interval of 95 %: it holds for shares near 0 and 1 too.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """

    num: int
    total: int
    value: float
    low: float
    high: float


def share(num: int, total: int) -> Share | None:
    """None of nothing."""
    if not total:
        return None
    value, squared = num / total, Z95**2
    middle = (value + squared / (2 * total)) / (1 + squared / total)
    reach = Z95 / (1 + squared / total) * math.sqrt(value * (1 - value) / total + squared / (4 * total**2))
    return Share(num, total, value, max(0.0, middle - reach), min(1.0, middle + reach))


class Row(msgspec.Struct, frozen=True):
    """One line of a table: what the samples with this `kind`, `source` and `language` came to; "*" is all of them.

    `recall` counts values of which nothing is left readable. `precision` are the findings that touch a value.
    `false_alarms` are texts without a value in which something was found.
    """

    kind: str
    source: str
    language: str
    recall: Share | None
    precision: Share | None
    false_alarms: Share | None


class Missed(msgspec.Struct, frozen=True):
    """A text that was not judged as it should have been. Its value is made up."""

    kind: str | None
    source: str
    text: str
    found: tuple[str, ...]


class Result(msgspec.Struct, frozen=True):
    guard: str
    rows: tuple[Row, ...]
    missed: tuple[Missed, ...]


def find(guard: Guard, text: str) -> list[Finding]:
    """What `guard` finds in a whole text, as it would in an answer."""
    screen = guard.opens(Passage(provenance="assistant", stage="output"), lambda found, _text: mask_text(found.kind))
    screen.feed(text)
    screen.close()
    return screen.findings


def measure(guard: Guard, samples: Iterable[Sample]) -> Result:
    judged = [
        (sample, findings, _is_right(sample, findings)) for sample in samples for findings in [find(guard, sample.text)]
    ]
    groups: dict[tuple[str, str, str], list[tuple[Sample, list[Finding], bool]]] = defaultdict(list)
    for one in judged:
        sample = one[0]
        kind = sample.kind or "-"
        for key in (("*", "*", "*"), (kind, "*", "*"), ("*", sample.source, "*"), ("*", "*", sample.language)):
            groups[key].append(one)
    rows = tuple(_row(key, group) for key, group in sorted(groups.items()) if _is_telling(key))
    missed = tuple(
        Missed(sample.kind, sample.source, sample.text, tuple(f"{f.kind} {f.start}-{f.end}" for f in findings))
        for sample, findings, is_right in judged
        if not is_right
    )
    return Result(guard.name, rows, missed)


def _is_telling(key: tuple[str, str, str]) -> bool:
    return key[0] != "-"


def _is_right(sample: Sample, findings: list[Finding]) -> bool:
    if sample.kind is None:
        return not findings
    if sample.kind in _PARTLY:
        return any(_touches(finding, sample) for finding in findings)
    return any(finding.start <= sample.start and sample.end <= finding.end for finding in findings)


def _touches(finding: Finding, sample: Sample) -> bool:
    return sample.kind is not None and finding.start < sample.end and sample.start < finding.end


def _row(key: tuple[str, str, str], group: list[tuple[Sample, list[Finding], bool]]) -> Row:
    there = [is_right for sample, _, is_right in group if sample.kind is not None]
    absent = [is_right for sample, _, is_right in group if sample.kind is None]
    touching = [_touches(finding, sample) for sample, findings, _ in group for finding in findings]
    return Row(
        *key,
        recall=share(sum(there), len(there)),
        precision=share(sum(touching), len(touching)),
        false_alarms=share(len(absent) - sum(absent), len(absent)),
    )


class Cost(msgspec.Struct, frozen=True):
    """Time of the processor for one text of `num_chars`, in seconds."""

    num_chars: int
    p50_s: float
    p99_s: float


def cost(guard: Guard, text: str, num_chars: int, runs: int, clock: Callable[[], float] = time.thread_time) -> Cost:
    """`text` repeated to `num_chars`; the first tenth of the runs is not counted."""
    whole = (text * (num_chars // len(text) + 1))[:num_chars]
    times_s = []
    for index in range(runs + runs // 10):
        begin_s = clock()
        find(guard, whole)
        if index >= runs // 10:
            times_s.append(clock() - begin_s)
    times_s.sort()
    return Cost(num_chars, times_s[len(times_s) // 2], times_s[min(len(times_s) - 1, int(len(times_s) * 0.99))])
