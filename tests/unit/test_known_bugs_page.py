"""docs/known-engine-bugs.md says what is true: every bug has a row, every test it names exists, every kind is told."""

import re
from pathlib import Path
from typing import get_args

from gemstead.core.errors import BrokenPromise

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "known-engine-bugs.md").read_text()
ROWS = dict(re.findall(r"^\| (\d+) \|(.*)$", PAGE, re.MULTILINE))


def test_every_known_bug_has_a_row() -> None:
    assert list(ROWS) == [str(number) for number in range(1, 33)]


def test_every_row_names_a_test_or_says_why_nothing_can_be_seen() -> None:
    for number, row in ROWS.items():
        caught = row.split(" | ")[2]
        assert "`test_" in row or caught.startswith("no: "), number


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    sources = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    defined = {name for source in sources for name in re.findall(r"^(?:async )?def (test_\w+)", source, re.MULTILINE)}
    assert len(named) > 30
    assert named <= defined


def test_every_kind_of_broken_promise_is_told() -> None:
    kinds = PAGE.partition("## The kinds")[2].partition("## The bugs")[0]
    assert set(get_args(BrokenPromise)) <= set(re.findall(r"`(\w+)`", kinds))
