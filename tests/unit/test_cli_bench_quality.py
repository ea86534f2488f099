"""`gemstead bench quality` without an engine: what is stored is shown, compared and reported; bad input is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench_parts import records
from gemstead.bench.quality_results import Answered
from gemstead.bench.quality_store import QualityStore
from gemstead.bench.store import ResultStore
from gemstead.cli import run
from quality_parts import chunks, quality_records

BEFORE, AFTER = "20261124-q", "20261125-q"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEMSTEAD_DATA_DIR", str(tmp_path))
    store = QualityStore(tmp_path)
    for name, ratio, answer in ((BEFORE, 10.1, "Paris"), (AFTER, 10.8, "Lyon")):
        answers = [Answered("capital", answer, answer == "Paris")]
        for record in quality_records(name, chunks(ratio, 10.0, 0.03), answers):
            store.append(record)
    for record in records("20261123-a", {128: [20.0]}):
        ResultStore(tmp_path).append(record)
    return tmp_path


def test_the_verdict_comes_first_and_changed_answers_are_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "show", AFTER]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("gemma4:e2b-q4_0: Q4_0 costs little against Q8_0: perplexity +8.0%")
    assert f"since {BEFORE}: 1 of 2 answers are the same; 1 now wrong" in shown
    assert "wrong: capital" in shown
    assert run(["bench", "show", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "gemstead/bench-quality/1"
    assert document["run"]["start"]["run"] == AFTER
    assert document["figures"]["ratio"]["value"] == pytest.approx(1.08)
    assert document["since"]["changes"][0]["name"] == "capital"


def test_runs_of_both_kinds_are_listed_and_shown(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "list", "--json"]) == 0
    kinds = [item["kind"] for item in json.loads(capsys.readouterr().out)["items"]]
    assert kinds == ["run", "quality", "quality"]
    assert run(["bench", "show", "20261123"]) == 0
    assert "prefill" in capsys.readouterr().out


def test_two_are_compared(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "compare", BEFORE, AFTER]) == 0
    assert capsys.readouterr().out.startswith("B against A: 1 of 2 answers are the same; 1 now wrong")
    assert run(["bench", "compare", BEFORE, "last", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "gemstead/bench-quality-compare/1"
    assert document["perplexity_ratio"]["value"] == pytest.approx(10.8 / 10.1)


def test_they_are_part_of_the_report(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = data / "page.html"
    assert run(["bench", "report", str(page)]) == 0
    assert "Q4_0 costs little against Q8_0" in page.read_text(encoding="utf-8")
    capsys.readouterr()
    assert run(["bench", "report", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["qualities"]) == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--parts", "speed"], 2),
        (["--text", "/nowhere"], 2),
        (["--tasks", "/nowhere"], 2),
        (["--against", "gemma4:e2b-q8_0", "--parts", "tasks"], 2),
        (["--parts", ""], 2),
        (["--chunks", "0"], 2),
        (["--lm-eval", "gsm8k", "--lm-eval-program", "/nowhere/lm_eval"], 3),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(
    data: Path, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", "quality", *arguments]) == code
    assert "rror" in capsys.readouterr().err


def test_a_run_is_not_compared_with_one_of_another_kind(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "compare", AFTER, "20261123-a"]) == 2
    assert "unknown quality run" in capsys.readouterr().err
