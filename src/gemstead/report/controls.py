"""The controls against known risks, the tests that fail without them, and how those tests last ended."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

import msgspec

from gemstead.report.words import Words, french_spaced

ControlState: TypeAlias = Literal["in place", "not built yet"]
Catalogue: TypeAlias = Literal["llm", "agentic", "use"]


class Risk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`list`: OWASP for LLM (2025) or for agentic applications (2026), or what models are not to be used for."""

    id: str
    list: Catalogue
    title: Words


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`risks` by id. `tests` are pytest node ids, from the repository's root: they fail when the control is off."""

    id: str
    risks: tuple[str, ...]
    sentence: Words
    state: ControlState = "in place"
    tests: tuple[str, ...] = ()


class Results(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the tests ended. `commit` is of the tree they ran in. `failing_without` are the controls whose tests were
    seen to fail with the control switched off."""

    at_s: float | None = None
    commit: str = ""
    outcomes: dict[str, str] = {}
    failing_without: tuple[str, ...] = ()


class ControlBook(msgspec.Struct, frozen=True):
    risks: tuple[Risk, ...]
    controls: tuple[Control, ...]
    results: Results

    def against(self, risk_id: str) -> tuple[Control, ...]:
        """Those in place first."""
        found = [control for control in self.controls if risk_id in control.risks]
        return tuple(sorted(found, key=lambda control: control.state != "in place"))

    def listed(self, catalogue: Catalogue) -> tuple[Risk, ...]:
        return tuple(risk for risk in self.risks if risk.list == catalogue)

    def outcome(self, control: Control) -> Literal["passed", "failed", "not run"]:
        """Of all of its tests: the worst."""
        ended = {self.results.outcomes.get(test, "not run") for test in control.tests}
        if ended == {"passed"}:
            return "passed"
        return "failed" if "failed" in ended else "not run"


@cache
def load_controls() -> ControlBook:
    """The book that is shipped. Raises: msgspec.ValidationError for a mistake in the data."""
    folder = files("gemstead.report")
    table = tomllib.loads(folder.joinpath("controls.toml").read_text(encoding="utf-8"))
    risks = msgspec.convert(table["risks"], tuple[Risk, ...])
    controls = msgspec.convert(table["controls"], tuple[Control, ...])
    results = msgspec.json.decode(folder.joinpath("control_results.json").read_bytes(), type=Results)
    return ControlBook(
        tuple(msgspec.structs.replace(one, title=french_spaced(one.title)) for one in risks),
        tuple(msgspec.structs.replace(one, sentence=french_spaced(one.sentence)) for one in controls),
        results,
    )
