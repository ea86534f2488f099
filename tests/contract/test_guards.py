"""Every guard that is found: cuts do not matter, time is linear, clean text passes."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemstead.access.policy_file import GUARD_ACTIONS
from gemstead.guardrails.base import ACTIONS, Guard
from guard_parts import CANARY, TEXTS, VALUES, cut, guards, masked

GUARDS = guards()
each_guard = pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)


@each_guard
@given(text=TEXTS, places=st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_text_in_pieces_gives_what_the_whole_text_gives(guard: Guard, text: str, places: list[int]) -> None:
    assert masked(guard, cut(text, places)) == masked(guard, [text])


@each_guard
@given(text=TEXTS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_text_in_single_characters_gives_what_the_whole_text_gives(guard: Guard, text: str) -> None:
    assert masked(guard, list(text)) == masked(guard, [text])


@each_guard
def test_findings_are_in_order_and_within_the_text(guard: Guard) -> None:
    text = " ; ".join(VALUES)
    _, findings = masked(guard, [text])
    ends = [0]
    for finding in findings:
        assert ends[-1] <= finding.start < finding.end <= len(text)
        assert finding.kind in guard.kinds
        assert finding.guard == guard.name
        ends.append(finding.end)


@each_guard
def test_a_value_is_found_in_prose_and_the_prose_stays(guard: Guard) -> None:
    """Whatever a guard finds, clean text before and after it is left as it was."""
    before, after = "Good morning, Ms Weber; please see below:\n", "\nMany thanks and kind regards."
    for value in VALUES:
        out, findings = masked(guard, [before, value, after])
        if findings and not value.startswith(("```", "~~~")):
            assert out.startswith(before[:-1])
            assert out.endswith("kind regards.")


@each_guard
@pytest.mark.parametrize(
    "unit", [*VALUES, "1", "1 ", "a@", "a.", ":=x1", "pwd=", "<a ", "![", "eyJa.", "A1", "+1", "::1", "token: is "]
)
def test_the_worst_text_takes_time_in_proportion_to_its_length(guard: Guard, unit: str) -> None:
    """Twice the text may take three times the time, and never more than 30 ms per KB."""

    def cpu_s(num_chars: int) -> float:
        text = (unit * (num_chars // len(unit) + 1))[:num_chars]
        begin = time.thread_time()
        masked(guard, [text])
        return time.thread_time() - begin

    short_s = min(cpu_s(8192) for _ in range(2))
    long_s = min(cpu_s(32768) for _ in range(2))
    assert long_s <= 12 * max(short_s, 0.0005)
    assert long_s <= 32 * 0.03


def test_every_guard_fills_its_form() -> None:
    for guard in GUARDS:
        assert guard.name
        assert guard.detects[0].islower()
        assert guard.default in ACTIONS
        assert guard.stages
        assert guard.measured_on


def test_the_names_of_guards_are_those_of_their_files_and_their_order_is_total() -> None:
    assert len({guard.order for guard in GUARDS}) == len(GUARDS)
    assert CANARY


def test_policies_name_the_same_actions_in_the_same_order() -> None:
    assert ACTIONS == GUARD_ACTIONS
