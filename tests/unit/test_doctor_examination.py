"""The examination as a whole: no check ends another, every one is documented, every command it names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import typer

import gemstead.doctor
from doctor_parts import look, raising, server, subject
from gemstead.cli import COMMANDS
from gemstead.core.errors import EngineMissing, NameUnknown
from gemstead.doctor.check import GROUPS, Check, load_checks
from gemstead.doctor.examination import look_through
from gemstead.doctor.finding import Finding, worst_of
from gemstead.doctor.page import render_page
from gemstead.doctor.path import load_path, path_names, walk
from gemstead.doctor.subject import Subject

DOCS = Path(__file__).parents[2] / "docs" / "doctor.md"


def check(name: str, look: object) -> Check:
    return Check(name=name, group="machine", looks_at="", complains_when="", look=look)  # type: ignore[arg-type]


def failing_midway(_: Subject) -> Iterator[Finding]:
    yield Finding("ok", "so far")
    raise ZeroDivisionError("a trial")


def test_a_check_that_fails_says_so_and_never_ends_the_others(tmp_path: Path) -> None:
    checks = [
        check("refused", raising(EngineMissing("no engine", why="it is gone", hint="gemstead engine install"))),
        check("unreadable", raising(PermissionError(13, "Permission denied", "/root/x"))),
        check("broken", failing_midway),
        check("fine", lambda _: [Finding("ok", "all well")]),
    ]
    found = look_through(checks, subject(tmp_path))
    assert [(one.check, one.severity) for one in found] == [
        ("refused", "warning"),
        ("unreadable", "warning"),
        ("broken", "error"),
        ("fine", "ok"),
    ]
    assert found[0].what == "could not be checked: no engine"
    assert found[0].fix == "gemstead engine install"
    assert "a bug in gemstead: ZeroDivisionError: a trial" in found[2].what


def test_the_worst_finding_counts() -> None:
    findings = [Finding("note", ""), Finding("warning", ""), Finding("ok", "")]
    assert worst_of(findings) == "warning"
    assert worst_of([]) == "ok"


def test_each_check_looks_or_asks_and_says_what_it_is_for() -> None:
    checks = load_checks()
    assert len(checks) > 15
    for one in checks:
        assert (one.look is None) is one.is_deep
        assert one.looks_at
        assert one.complains_when
    assert [one.group for one in checks] == sorted((one.group for one in checks), key=GROUPS.index)
    assert all(one.is_deep is (one.group == "answers") for one in checks)


def test_the_page_in_the_docs_is_made_from_the_checks() -> None:
    assert DOCS.read_text() == render_page(), "write it anew from render_page()"


def test_every_path_can_be_walked_on_a_fresh_machine(tmp_path: Path) -> None:
    examined = subject(tmp_path, find_engine=lambda: None)
    assert path_names() == ["oom", "quality", "regression", "ttft"]
    for name in path_names():
        path = load_path(name)
        answers = walk(path, examined)
        assert [answer.question for answer in answers] == [step.question for step in path.steps]
        assert all(answer.findings for answer in answers)
        assert not any("a bug in gemstead" in one.what for answer in answers for one in answer.findings)


def test_an_unknown_path_is_an_error_with_the_nearest() -> None:
    with pytest.raises(NameUnknown) as caught:
        load_path("oon")
    assert caught.value.nearest == "oom"


def test_the_path_of_memory_names_who_holds_it(tmp_path: Path) -> None:
    big = subject(tmp_path, servers=lambda: (server(rss_bytes=8 * 1024**3),))
    answers = walk(load_path("oom"), big)
    (holder,) = [one for answer in answers for one in answer.findings if "our server with" in one.what]
    assert (holder.severity, holder.fix) == ("warning", "gemstead stop 9000")


def test_the_path_of_the_first_token_reads_the_prefill_speed_from_the_log(tmp_path: Path) -> None:
    examined = subject(tmp_path)
    examined.loaded.paths.logs.mkdir(parents=True)
    line = "1.0 I slot print_timing: | prompt eval time =   10000.00 ms /   500 tokens (20.00 ms per token)\n"
    (examined.loaded.paths.logs / "llama_cpp-m.log").write_text(line)
    answers = walk(load_path("ttft"), examined)
    slow = [one for one in answers[2].findings if one.severity == "warning"]
    assert slow[0].what == "prefill ran at 50 tok/s: 2000 tokens wait 40.0 s"


def test_the_path_of_quality_sees_a_coarse_cache_and_coarse_weights(tmp_path: Path) -> None:
    from doctor_parts import plan_of
    from fake_engine import small_plan

    environ = {"GEMSTEAD_MODEL_KV_CACHE_DTYPE": "q4_0", "GEMSTEAD_ENGINE_EXTRA_ARGS": "--swa-full"}
    coarse = subject(tmp_path, environ=environ, plan=plan_of(small_plan("gemma4:31b", quant="UD-Q2_K_XL")))
    answers = walk(load_path("quality"), coarse)
    assert [answer.findings[0].severity for answer in answers[3:]] == ["warning", "warning", "note"]


def test_the_path_of_regressions_tells_what_changed(tmp_path: Path) -> None:
    examined = subject(tmp_path, environ={"GEMSTEAD_MODEL_NUM_SLOTS": "2"})
    answers = walk(load_path("regression"), examined)
    assert "model.num_slots (environment GEMSTEAD_MODEL_NUM_SLOTS)" in str(answers[4].findings[0].why)


def commands_named() -> set[tuple[str, ...]]:
    """`gemstead X [Y]` in every text of the doctor that is no docstring."""
    found = set()
    for path in Path(gemstead.doctor.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"(?:^|&& |: |`)gemstead ([a-z]+)(?: ([a-z]+))?", node.value))
    return found


def test_every_command_that_the_doctor_names_exists() -> None:
    app = typer.Typer()
    for name in COMMANDS:
        import_module(f"gemstead.cli.{name}").register(app)
    groups = {
        group.name: {command.name for command in group.typer_instance.registered_commands}
        for group in app.registered_groups
        if group.typer_instance
    }
    named = commands_named()
    assert ("models", "clean") in named
    for command, subcommand in named:
        assert command in COMMANDS
        if command in groups and subcommand:
            assert subcommand in groups[command], f"gemstead {command} {subcommand}"


def test_a_look_at_one_check_is_stamped_with_its_name(tmp_path: Path) -> None:
    assert {finding.check for finding in look("machine", subject(tmp_path))} == {"machine"}
