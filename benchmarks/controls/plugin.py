"""A pytest plugin: switches one control off before any test module is imported, and writes how each test ended."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from benchmarks.controls.switches import SWITCHES

MISFITS = (TypeError, AttributeError, NameError, ImportError)

_outcomes: dict[str, str] = {}
"""By node id without parameters; of several the worst."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--control-off", help="the id of a control to switch off")
    parser.addoption("--control-results", help="a JSON file to write the outcomes to")


def pytest_configure(config: pytest.Config) -> None:
    if name := config.getoption("--control-off"):
        for switch in SWITCHES[name]:
            switch.put()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that breaks is none that failed: a switch that does not fit its place proves nothing."""
    report = yield
    name = item.nodeid.partition("[")[0]
    if report.failed and (report.when != "call" or (call.excinfo and issubclass(call.excinfo.type, MISFITS))):
        _outcomes[name] = "broken"
    elif report.failed and _outcomes.get(name) != "broken":
        _outcomes[name] = "failed"
    elif report.passed and report.when == "call":
        _outcomes.setdefault(name, "passed")
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    if path := config.getoption("--control-results"):
        Path(path).write_text(json.dumps(_outcomes))
