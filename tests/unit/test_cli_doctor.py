"""`gemstead doctor` and `gemstead models clean` as a person and a script see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gemstead.cli import run
from gemstead.doctor.examination import Report
from gemstead.doctor.finding import Finding, Severity


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEMSTEAD_DATA_DIR", str(tmp_path))
    return tmp_path


def reporting(monkeypatch: pytest.MonkeyPatch, *severities: Severity) -> None:
    findings = [Finding(severity, f"it is {severity}", "so it is", "gemstead up", check="x") for severity in severities]
    monkeypatch.setattr("gemstead.app.doctor.examine", lambda *_, **__: Report(tuple(findings), 3))


@pytest.mark.parametrize(
    ("severities", "code"),
    [(("ok",), 0), (("ok", "note"), 0), (("note", "warning"), 6), (("error", "warning", "ok"), 3), ((), 0)],
)
def test_the_worst_finding_decides_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, severities: tuple[Severity, ...], code: int
) -> None:
    reporting(monkeypatch, *severities)
    assert run(["doctor"]) == code
    assert run(["doctor", "--json"]) == code


def test_the_verdict_comes_first_and_fixes_stand_under_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reporting(monkeypatch, "ok", "warning", "warning")
    run(["doctor"])
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0] == "2 warnings, 1 ok"
    assert lines[2].split() == ["ok", "x", "it", "is", "ok"]
    assert [line.strip() for line in lines[4:6]] == ["why: so it is", "fix: gemstead up"]
    assert shown.err.strip() == "3 more checks ask the model: gemstead doctor --deep"


def test_a_fresh_machine_is_examined_for_real(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "gemstead/doctor/1"
    assert code == {"ok": 0, "note": 0, "warning": 6, "error": 3}[found["worst"]]
    assert {"machine", "disk", "engine", "files", "exposure"} <= {one["check"] for one in found["findings"]}
    assert not any("could not be checked" in one["what"] for one in found["findings"])
    assert not (data / "models").exists()


def test_checks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "checks", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["items"]
    assert {key: listed[-2][key] for key in ("name", "is_deep")} == {"name": "sanity", "is_deep": True}


def test_a_complaint_is_explained_with_numbered_questions(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "explain", "oom"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Out of memory: ")
    assert "\n6. What is the nearest thing that fits?" in shown
    assert run(["doctor", "explain", "omm"]) == 2
    assert "did you mean 'oom'?" in capsys.readouterr().err


def test_cleaning_prints_what_goes_and_a_dry_run_keeps_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = data / "models" / "incoming" / "abc" / "m.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"12345")
    assert run(["models", "clean", "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == str(part.parent)
    assert shown.err.strip() == "would remove 1 leftovers, 5 B"
    assert part.exists()
    assert run(["models", "clean", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["freed_bytes"] == 5
    assert not part.exists()
