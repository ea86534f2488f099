"""`gemstead cost` as people and programs use it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gemstead.cli import run

PI = ("cost", "--model", "gemma4:e2b", "--on", "raspberry-pi-5-16gb")
DOCS = Path(__file__).parents[2] / "docs" / "cost.md"


def test_the_example_in_the_docs_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    command, _, printed = (
        DOCS.read_text(encoding="utf-8").partition("$ gemstead ")[2].partition("```")[0].partition("\n")
    )
    assert run(command.split()) == 0
    assert capsys.readouterr().out.startswith(printed)


def test_json_carries_every_figure_with_its_basis(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*PI, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == "gemstead/cost/1"
    assert report["decode"]["working_kwh"]["basis"] == "computed"
    assert round(report["decode"]["working_kwh"]["value"], 2) == 0.42
    assert report["assumptions"]["decode_tok_per_s"]["basis"] == "published"
    assert all(given["basis"] and given["source"] for given in report["assumptions"].values())
    assert report["cloud"] is None
    assert report["users"] is None
    assert report["swings"][0]["name"]


def test_every_assumption_and_what_matters_most_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*PI, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert run([*PI]) == 0
    shown = capsys.readouterr().out
    for name in report["assumptions"]:
        assert f"\n{name} " in shown
    assert shown.index("what matters most") < shown.index("\nassumption")
    assert "cloud" not in shown


def test_flags_win_over_the_file_which_wins_over_the_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[machine]\ncapex_usd = 1\n[load]\nutilisation = 0.9\n", encoding="utf-8")
    assert run([*PI, "--assumptions", str(file), "--utilisation", "0.4", "--region", "FR", "--json"]) == 0
    assumed = json.loads(capsys.readouterr().out)["assumptions"]
    assert assumed["capex_usd"]["value"] == 1
    assert assumed["utilisation"]["value"] == 0.4
    assert assumed["idle_power_w"]["value"] == 3.1
    assert assumed["co2_g_per_kwh"]["value"] == 56


def test_any_model_on_any_machine_needs_speeds_alone(capsys: pytest.CaptureFixture[str]) -> None:
    speeds = ("--prefill-tok-per-s", "4000", "--decode-tok-per-s", "60")
    assert run(["cost", "--on", "mac-studio-m3-ultra-96gb", *speeds]) == 0
    assert capsys.readouterr().out.startswith("a model on mac-studio-m3-ultra-96gb: ~$")


def test_users_too_many_for_one_machine_get_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*PI, "--users", "100", "--tokens-per-user-day", "100000", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["num_machines"] == 9
    assert report["assumptions"]["utilisation"]["basis"] == "computed"
    total = report["month"]["total_usd"]["value"]
    assert report["users"]["usd_per_user_month"]["value"] == pytest.approx(total / 100)


def test_a_cloud_that_is_never_beaten_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*PI, "--cloud-price-in", "0", "--cloud-price-out", "0.01"]) == 0
    shown = capsys.readouterr().out
    assert "never comes back" in shown
    assert "at no volume is it cheaper" in shown


def test_init_writes_a_file_that_gives_the_same_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    assert run(["cost", "init", str(file), "--on", "raspberry-pi-5-16gb"]) == 0
    assert "capex_usd = { value = 180.0" in file.read_text(encoding="utf-8")
    capsys.readouterr()
    assert run([*PI, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert run([*PI, "--assumptions", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == plain


def test_init_replaces_a_file_only_when_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("precious", encoding="utf-8")
    assert run(["cost", "init", str(file)]) == 2
    assert "--force" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == "precious"
    assert run(["cost", "init", str(file), "--force"]) == 0
    assert "[electricity]" in file.read_text(encoding="utf-8")


def test_the_chart_is_written_and_the_result_stays_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chart = tmp_path / "chart.svg"
    assert run([*PI, "--tornado", str(chart), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["schema"] == "gemstead/cost/1"
    assert str(chart) in shown.err
    assert ElementTree.fromstring(chart.read_text(encoding="utf-8")).tag.endswith("svg")


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        ((), 3, "nothing tells capex_usd"),
        (("--on", "rtx-4090"), 3, "nothing tells prefill_tok_per_s"),
        (("--on", "rtx4090"), 2, "'rtx-4090'"),
        (("--on", "rtx-4090", "--model", "gemma5"), 2, "unknown model"),
        (("--on", "rtx-4090", "--region", "Atlantis"), 2, "unknown region"),
        (("--on", "rtx-4090", "--utilisation", "0"), 2, "load.utilisation"),
        (("--on", "rtx-4090", "--decode-tok-per-s", "nan"), 2, "finite"),
        (("--on", "rtx-4090", "--prefill-tok-per-s", "-1"), 2, "at least"),
        (("--users", "3"), 2, "tokens a day"),
        (("--tokens-per-user-day", "3"), 2, "tokens a day"),
        (("--users", "0", "--tokens-per-user-day", "3"), 2, "--users"),
        (("--users", "1", "--tokens-per-user-day", "nan"), 2, "nan tokens a day"),
        (("--cloud-price-in", "1"), 2, "two parts"),
        (("--cloud-price-in", "nan", "--cloud-price-out", "1"), 2, "price of nan"),
        (("--cloud-price-in", "1", "--cloud-price-out", "-1"), 2, "price of"),
        (("--tornado", "chart.png"), 2, "not an SVG"),
        (("--assumptions", "no-such-file.toml"), 2, "cannot be read"),
        (("--assumptions", "."), 2, "cannot be read"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_what_cannot_be_reckoned_is_refused_with_a_hint(
    flags: tuple[str, ...], status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cost", *flags]) == status
    shown = capsys.readouterr().err
    assert words in shown
    assert "hint: " in shown


@pytest.mark.parametrize(("content", "words"), [(b"\xff\xfe", "UTF-8"), (b"#" * (1 << 20) + b"#", "too large")])
def test_a_file_that_is_no_text_or_too_large_is_refused(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    assert run(["cost", "--assumptions", str(file)]) == 2
    assert words in capsys.readouterr().err


def test_a_chart_that_cannot_be_written_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*PI, "--tornado", str(tmp_path / "none" / "chart.svg")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert run(["cost", "init", str(tmp_path / "none" / "mine.toml")]) == 2
    assert "cannot be written" in capsys.readouterr().err
