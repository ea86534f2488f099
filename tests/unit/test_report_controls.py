"""The table of controls is true: its tests exist, and each control in place has one and a switch."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks.controls.switches import SWITCHES
from gemstead.access.policy import Policy, Query
from gemstead.access.policy_file import PolicyFile, RulePart
from gemstead.report.controls import load_controls

ROOT = Path(__file__).parents[2]
BOOK = load_controls()
PLACED = [control for control in BOOK.controls if control.state == "in place"]


def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("control", PLACED, ids=lambda control: control.id)
def test_each_test_that_is_named_exists(control: object) -> None:
    tests = control.tests  # type: ignore[attr-defined]
    assert tests
    for test in tests:
        path, _, name = test.partition("::")
        assert name in functions_of(path), test


def test_each_control_in_place_can_be_switched_off() -> None:
    assert {control.id for control in PLACED} == set(SWITCHES)


@pytest.mark.parametrize("name", sorted(SWITCHES))
def test_each_switch_has_its_place(name: str) -> None:
    for switch in SWITCHES[name]:
        switch.found()


def test_what_is_not_built_names_no_test() -> None:
    assert all(not control.tests for control in BOOK.controls if control.state != "in place")


def test_ids_are_unique_and_risks_are_known() -> None:
    ids = [control.id for control in BOOK.controls]
    risks = [risk.id for risk in BOOK.risks]
    assert len(set(ids)) == len(ids)
    assert len(set(risks)) == len(risks)
    assert {risk for control in BOOK.controls for risk in control.risks} <= set(risks)


def test_both_owasp_lists_have_ten_risks() -> None:
    assert [risk.id for risk in BOOK.listed("llm")] == [f"LLM{number:02}" for number in range(1, 11)]
    assert [risk.id for risk in BOOK.listed("agentic")] == [f"ASI{number:02}" for number in range(1, 11)]
    assert all(BOOK.against(risk.id) for risk in BOOK.risks)


def test_every_control_in_place_passes_its_tests_and_was_seen_to_fail_them_when_off() -> None:
    """`make controls` writes the results that are shipped: run it after a change of the table."""
    assert set(BOOK.results.failing_without) == {control.id for control in PLACED}
    assert {BOOK.outcome(control) for control in PLACED} == {"passed"}


def test_a_tool_that_no_rule_covers_may_not_be_offered() -> None:
    rule = RulePart.model_validate({"id": "readers", "effect": "allow", "tools": ["read_*"]})
    policy = Policy(PolicyFile(version=1, rules=(rule,)))
    asked = {"action": "chat", "model": "m", "label": "internal"}
    assert policy.decide(Query(**asked, tools=("read_file",))).is_allowed  # type: ignore[arg-type]
    assert not policy.decide(Query(**asked, tools=("read_file", "send_mail"))).is_allowed  # type: ignore[arg-type]
