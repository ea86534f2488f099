"""The code-edit task, and what speculation takes of a plan's memory."""

from __future__ import annotations

import ast

from fake_engine import small_plan
from gemstead.bench.edit_task import STOP, edit_prompt
from gemstead.core.units import MIB
from gemstead.planner.speculation import with_speculation


def files_of(prompt: str) -> list[str]:
    return [part.removeprefix("python\n") for part in prompt.split(STOP)[1::2]]


def test_the_file_is_a_program_and_its_first_edit_changes_one_number() -> None:
    first, second, rest = files_of(edit_prompt(1))
    assert rest == ""
    ast.parse(first)
    differing = [pair for pair in zip(first.splitlines(), second.splitlines(), strict=True) if pair[0] != pair[1]]
    assert len(differing) == 1
    assert all(line.startswith("LIMIT = ") for line in differing[0])


def test_equal_seeds_ask_the_same_and_others_something_else() -> None:
    assert edit_prompt(5) == edit_prompt(5)
    assert len({edit_prompt(seed) for seed in range(50)}) == 50


def test_the_pool_of_ngrams_and_the_rows_of_logits_are_in_the_plan() -> None:
    plan = with_speculation(small_plan(speculation="ngram", prompt_cache_bytes=1000 * MIB), 262_144, 0)
    (part,) = plan.memory
    assert part.size.num_bytes == 144 * MIB
    assert plan.prompt_cache_bytes == 856 * MIB
    assert "speculation" in plan.reasons[-1]


def test_a_drafter_takes_what_its_file_has() -> None:
    (part,) = with_speculation(small_plan(speculation="draft"), 1000, 59_235_872).memory
    assert part.size.num_bytes == 59_235_872 + 2 * 3 * 1000 * 4


def test_without_speculation_a_plan_stays_as_it_is() -> None:
    assert with_speculation(small_plan(), 262_144, 0) == small_plan()
