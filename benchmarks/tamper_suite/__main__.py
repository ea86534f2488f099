"""Prints what the verifier says of each change, as the table of docs/evidence.md.

python -m benchmarks.tamper_suite [--write docs/evidence.md]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.pages import with_table
from benchmarks.tamper_suite.bundle_changes import BUNDLE_CHANGES
from benchmarks.tamper_suite.case import Change, Verdict, names, tried
from benchmarks.tamper_suite.changes import CHANGES
from benchmarks.tamper_suite.original import make
from gemstead.evidence import verify

EVERY = (*CHANGES, *BUNDLE_CHANGES)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path, help="the page whose table is replaced")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        original = make(root / "original")
        verdicts = [tried(original, change, root / str(number)) for number, change in enumerate(EVERY)]
    lines = ["| change | seen with | what is said |", "|---|---|---|"]
    lines += [_row(change, verdict) for change, verdict in zip(EVERY, verdicts, strict=True)]
    missed = [change.name for change, verdict in zip(EVERY, verdicts, strict=True) if not verdict.is_detected]
    lost = [change.name for change, verdict in zip(EVERY, verdicts, strict=True) if not verdict.is_located]
    summary = f"{len(EVERY)} kinds of change: {len(EVERY) - len(missed)} detected, {len(lost)} named at another place."
    table = "\n".join([summary, "", *lines])
    print(table)
    if given.write:
        given.write.write_text(with_table(given.write.read_text(), "tamper-suite", f"{table}\n"))
    return 1 if missed or lost else 0


def _row(change: Change, verdict: Verdict) -> str:
    said = "cannot be read (exit code 2)"
    if verdict.unreadable is None:
        best = next((one for one in verdict.findings if change.at is not None and names(one, change.at)), None)
        said = next((_said(one) for one in (best, *verdict.findings) if one is not None), "**nothing**")
    return f"| {change.name} | {f'the key, {change.needs}' if change.needs else 'the key'} | {said} |"


def _said(finding: verify.Finding) -> str:
    where = "" if finding.position is None else f" at {finding.position}"
    return f"{finding.kind}{where}" + (f" to {finding.last}" if finding.last not in (None, finding.position) else "")


if __name__ == "__main__":
    sys.exit(main())
