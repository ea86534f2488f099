"""`gemstead policy` as people and programs use it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from gemstead.access.policy_compare import CaseFile
from gemstead.cli import run

DOCS = Path(__file__).parents[2] / "docs" / "policy.md"
STAFF = ("--group", "staff", "--model", "gemma4:e2b")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEMSTEAD_DATA_DIR", str(tmp_path))
    return tmp_path


def explain(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, object]]:
    code = run(["policy", "explain", *argv, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_without_a_file_the_keys_decide_and_with_the_starter_the_rules(capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = explain(capsys, *STAFF)
    assert (code, answer["path"]) == (0, None)
    assert run(["policy", "init"]) == 0
    capsys.readouterr()
    code, answer = explain(capsys, *STAFF)
    assert code == 0
    assert answer["decision"]["rule_ids"] == ["staff"]  # type: ignore[index]
    assert {"name": "tokens_per_day", "value": 500_000, "per": "key", "rule_id": "staff"} in answer["limits"]  # type: ignore[operator]
    code, answer = explain(capsys, *STAFF, "--label", "secret")
    assert code == 5


def test_a_file_that_is_there_is_left_alone(data: Path) -> None:
    assert run(["policy", "init", "--dry-run"]) == 0
    assert not (data / "policy.toml").exists()
    assert run(["policy", "init"]) == 0
    assert run(["policy", "init"]) == 2


def test_check_names_the_place_and_what_nothing_enforces(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = data / "policy.toml"
    file.write_text('version = 1\n[[rules]]\nid = "a"\neffect = "allow"\nguards = { secrets = "hold", pii = "mask" }\n')
    assert run(["policy", "check"]) == 0
    said = capsys.readouterr().out
    assert "not enforced: rule a: nobody can release what secrets holds yet" in said
    assert "not enforced: rule a: there is no guard 'pii' here, so every request is refused" in said
    file.write_text('version = 1\n[[rules]]\nid = "a"\neffect = "allow"\nmodles = []\n')
    assert run(["policy", "check"]) == 2
    assert "rules.1.modles" in capsys.readouterr().err


def test_a_table_of_cases_passes_or_says_which_does_not(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = DOCS.read_text(encoding="utf-8").partition("[[cases]]")
    cases = data / "cases.toml"
    cases.write_text("[[cases]]" + table[2].partition("```")[0])
    assert len(CaseFile.model_validate(tomllib.loads(cases.read_text())).cases) == 2
    assert run(["policy", "init"]) == 0
    assert run(["policy", "test", str(cases)]) == 0
    assert "2 of 2 as expected" in capsys.readouterr().out
    cases.write_text(cases.read_text().replace('expect = "deny"', 'expect = "allow"'))
    assert run(["policy", "test", str(cases)]) == 5
    assert "case 2" in capsys.readouterr().out


def test_diff_shows_what_changes(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "init"]) == 0
    new = data / "new.toml"
    new.write_text((data / "policy.toml").read_text().replace("500_000", "1_000"))
    capsys.readouterr()
    assert run(["policy", "diff", str(data / "policy.toml"), str(new)]) == 0
    assert "tokens_per_day 500000 -> 1000" in capsys.readouterr().out


def test_the_rule_in_the_docs_is_one(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = DOCS.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    (data / "policy.toml").write_text(rule)
    assert run(["policy", "check"]) == 0
    assert run(["policy", "show"]) == 0
    assert "staff" in capsys.readouterr().out
    assert run(["policy", "versions"]) == 0


@pytest.mark.parametrize("argv", [("--action", "walk"), ("--label", "hidden"), ("--key", "nobody")])
def test_a_question_about_what_does_not_exist_is_refused(argv: tuple[str, str]) -> None:
    assert run(["policy", "explain", "--model", "m", *argv]) == 2
