"""`python -m benchmarks.guards` prints what each guard finds, misses and costs; `--page` writes it into the page."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

from benchmarks.guards import documents, faker_set
from benchmarks.guards.bypass import bypass_table
from benchmarks.pages import with_table
from gemstead.guardrails.base import Guard
from gemstead.guardrails.evaluation.measure import Row, Share, cost, measure
from gemstead.guardrails.evaluation.sets import SETS, Sample, samples
from gemstead.guardrails.registry import every_guard, measured_guards

FAKER_SEED, FAKER_PER_KIND = 4127, 50
LENGTHS = (100, 1_000, 10_000, 100_000)
RUNS = {100: 2000, 1_000: 1000, 10_000: 200, 100_000: 30}
DENSE = (
    "Contact anna@firma.example or +33 6 12 34 56 78, IBAN FR76 3000 6000 0112 3456 7890 189, order 20241124-0099, "
    "12/11/2024 10:30, password: hunter2xyz. "
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guards", description=__doc__)
    parser.add_argument("--page", type=Path, help="replace the tables of this page, between its marks")
    asked = parser.parse_args()
    tables = {
        "quality": quality_table(),
        "languages": language_table(),
        "bypass": bypass_table(),
        "cost": cost_table(),
    }
    if asked.page is None:
        print("\n".join(tables.values()))
        return
    page = asked.page.read_text(encoding="utf-8")
    for name, table in tables.items():
        page = with_table(page, name, table)
    asked.page.write_text(page, encoding="utf-8")


def _sets() -> list[tuple[str, str, list[Sample]]]:
    """Name, the set that guards say they are measured on, texts."""
    ours = [(name, name, samples(name, "held-out")) for name in SETS]
    faker = ("Faker", "personal-data", faker_set.samples(FAKER_SEED, FAKER_PER_KIND))
    return [*ours, faker, ("documents", "ordinary", documents.samples())]


def quality_table() -> str:
    lines = ["| guard | set | kind | recall | precision | false alarms per 1,000 texts |", "|---|---|---|---|---|---|"]
    for name, measured_on, texts in _sets():
        for guard in measured_guards(measured_on):
            rows = [row for row in measure(guard, texts).rows if (row.source, row.language) == ("*", "*")]
            lines += [_line(guard, name, row.kind, row) for row in rows]
    return "\n".join(lines) + "\n"


def language_table() -> str:
    lines = [
        "| guard | set | source or language | recall | precision | false alarms per 1,000 texts |",
        "|---|---|---|---|---|---|",
    ]
    for name, measured_on, texts in _sets():
        for guard in measured_guards(measured_on):
            rows = [
                row
                for row in measure(guard, texts).rows
                if row.kind == "*" and (row.source, row.language) != ("*", "*")
            ]
            lines += [_line(guard, name, row.source if row.source != "*" else row.language, row) for row in rows]
    return "\n".join(lines) + "\n"


def _line(guard: Guard, name: str, what: str, row: Row) -> str:
    what = "all" if what == "*" else what
    shares = (_share(row.recall, 100, " %"), _share(row.precision, 100, " %"), _share(row.false_alarms, 1000, ""))
    return f"| {guard.name} | {name} | {what} | {' | '.join(shares)} |"


def _share(share: Share | None, scale: int, unit: str) -> str:
    if share is None:
        return ""
    value, low, high = (part * scale for part in (share.value, share.low, share.high))
    return f"{value:.1f}{unit} ({low:.1f} to {high:.1f}), {share.num} of {share.total}"


def cost_table() -> str:
    prompts = " ".join(sample.text for sample in samples("ordinary", "held-out")[::7])
    lines = [
        f"{platform.machine()}, Python {platform.python_version()}; ms of the processor: median, 99th percentile.",
        "",
        "| guard | text | " + " | ".join(f"{length:,} characters" for length in LENGTHS) + " |",
        "|---|---|" + "---|" * len(LENGTHS),
    ]
    for name, text in (("ordinary prompts", prompts), ("a value in every 25 characters", DENSE)):
        for guard in every_guard():
            costs = [cost(guard, text, length, RUNS[length]) for length in LENGTHS]
            cells = " | ".join(f"{one.p50_s * 1000:.3f}, {one.p99_s * 1000:.3f}" for one in costs)
            lines.append(f"| {guard.name} | {name} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
