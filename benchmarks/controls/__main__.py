"""Runs the tests of the controls and writes how they ended into the package, for the OWASP documents.

python -m benchmarks.controls                run the tests
python -m benchmarks.controls --switch-off   and then each control's own with the control switched off: they must fail
python -m benchmarks.controls --switch-off limits hosts   only these, and write nothing
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.controls.switches import SWITCHES
from gemstead import __version__
from gemstead.report.controls import Control, Results, load_controls

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "src" / "gemstead" / "report" / "control_results.json"
TIMEOUT_S = 12
"""Of one test: some hang when their control is off, and that is a failure too."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switch-off", nargs="*", metavar="CONTROL", help="show that tests fail without their control")
    asked = parser.parse_args()
    book = load_controls()
    placed = [control for control in book.controls if control.state == "in place"]
    if asked.switch_off:
        chosen = [control for control in placed if control.id in asked.switch_off]
        return 0 if _proven(chosen) == [control.id for control in chosen] else 1
    outcomes = run_tests(sorted({test for control in placed for test in control.tests}))
    failed = [test for test, outcome in outcomes.items() if outcome != "passed"]
    print(f"gemstead {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}")
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} tests of {len(placed)} controls passed")
    print("".join(f"  failed: {test}\n" for test in failed), end="")
    proven = book.results.failing_without if asked.switch_off is None else tuple(_proven(placed))
    results = Results(round(time.time()), _commit(), outcomes, proven)
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results, order="sorted"), indent=2) + b"\n")
    return 1 if failed or (asked.switch_off is not None and len(proven) < len(placed)) else 0


def run_tests(tests: Sequence[str], off: str | None = None) -> dict[str, str]:
    """How each ended: "passed", "failed", "broken" (in its set-up) or, if it did not run, "not run"."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outcomes.json"
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "benchmarks.controls.plugin"),
            *(f"--timeout={TIMEOUT_S}", f"--control-results={path}", *([f"--control-off={off}"] if off else [])),
            *tests,
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        found = json.loads(path.read_text()) if path.exists() else {}
    if not found:
        print(done.stdout[:3000], done.stderr[-2000:], file=sys.stderr)
    return {test: found.get(test, "not run") for test in tests}


def _proven(controls: Sequence[Control]) -> list[str]:
    """Those whose every test fails once they are off."""
    proven = []
    for control in controls:
        outcomes = run_tests(control.tests, control.id) if control.id in SWITCHES else {}
        fails = bool(outcomes) and set(outcomes.values()) == {"failed"}
        ended = ", ".join(sorted(set(outcomes.values()))) or "no switch"
        print(f"{'ok ' if fails else 'NOT'}  {control.id:<20} switched off: {ended}", flush=True)
        if fails:
            proven.append(control.id)
    return proven


def _commit() -> str:
    """With "+" for a tree that has changes."""
    commit = _git("rev-parse", "HEAD").strip()
    changed = [line for line in _git("status", "--porcelain").splitlines() if not line.endswith(RESULTS.name)]
    return f"{commit[:12]}{'+' if changed else ''}"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout


if __name__ == "__main__":
    sys.exit(main())
