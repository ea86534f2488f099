"""`python -m benchmarks.check_set` prints predicted against published, and the advice for every named machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from benchmarks.check_set.compare import report
from benchmarks.check_set.fit import fit, value_of
from benchmarks.check_set.points import CheckSet, load_check_set
from benchmarks.check_set.rules import rules_report
from benchmarks.pages import with_table
from gemstead.planner.calibration import Kind


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check_set", description=__doc__)
    parser.add_argument("--page", type=Path, help="replace the tables of this page, between its marks")
    parser.add_argument("--fit", nargs="+", metavar="WORD", help="ENGINE KIND FIELD ...: fit these of calibration.toml")
    asked = parser.parse_args()
    check_set = load_check_set()
    if asked.fit is not None:
        engine, kind, *names = asked.fit
        if kind not in get_args(Kind) or not names:
            parser.error(f"KIND is one of {', '.join(get_args(Kind))}, and at least one FIELD is needed")
        best = fit(check_set, engine, kind, names)
        print("\n".join(f"{name} = {value_of(best, name):.3g}" for name in names))
    elif asked.page is not None:
        asked.page.write_text(with_tables(asked.page.read_text(encoding="utf-8"), check_set), encoding="utf-8")
    else:
        print(report(check_set), rules_report(), sep="\n", end="")


def with_tables(page: str, check_set: CheckSet) -> str:
    """`page` with fresh tables."""
    for name, table in (("points", report(check_set)), ("advice", rules_report())):
        page = with_table(page, name, table)
    return page


if __name__ == "__main__":
    main()
