"""`gemstead report` as people and programs use it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gemstead.app.report_disk import disk_facts
from gemstead.cli import run
from gemstead.report.compose import document_names


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("GEMSTEAD_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "documents"


def states(capsys: pytest.CaptureFixture[str], out: Path) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["report", "list", "--out", str(out), "--json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    assert listing["schema"] == "gemstead/report_list/1"
    return {item["name"]: item for item in listing["items"]}


def test_a_document_is_written_on_a_bare_installation_and_changes_nothing_of_it(
    data: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", "security-measures", "--out", str(out), "--format", "md,html", "--language", "fr"]) == 0
    shown = capsys.readouterr()
    assert shown.out.split() == [str(out / f"security-measures.fr.{form}") for form in ("md", "html")]
    assert "places are open" in shown.err
    assert list(data.iterdir()) == []


def test_all_of_them_in_both_languages_and_every_form(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = ("--language", "en", "--language", "fr", "--format", "md,html,pdf")
    assert run(["report", "--all", "--out", str(out), *both, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["items"]
    assert len(written) == len(document_names()) * 6
    assert {path.name for path in out.iterdir()} == {
        *(one["file"] for one in written),
        *("data-flow.en.svg", "data-flow.fr.svg", "gemstead-report.json"),
    }
    assert all((out / one["file"]).read_bytes()[:5] == b"%PDF-" for one in written if one["format"] == "pdf")


def test_a_dry_run_names_the_files_and_writes_none(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "write", "retention", "--out", str(out), "--dry-run"]) == 0
    assert capsys.readouterr().out.split() == [str(out / "retention.en.html")]
    assert not out.exists()


def test_what_somebody_wrote_into_a_document_is_not_written_over(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["report", "retention", "--out", str(out), "--format", "md"]
    assert run(command) == 0
    assert run(command) == 0
    document = out / "retention.en.md"
    document.write_text("my own words")
    assert states(capsys, out)["retention"]["state"] == "changed by hand"
    assert run(command) == 2
    assert "questionnaire" in capsys.readouterr().err
    assert document.read_text() == "my own words"
    assert run([*command, "--overwrite"]) == 0
    assert "my own words" not in document.read_text()


def test_a_file_that_we_did_not_write_is_not_written_over(out: Path) -> None:
    out.mkdir()
    (out / "retention.en.md").write_text("theirs")
    assert run(["report", "retention", "--out", str(out), "--format", "md"]) == 2


def test_a_document_is_stale_once_settings_rules_or_answers_change(
    data: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["report", "retention", "--out", str(out)]) == 0
    assert states(capsys, out)["retention"]["state"] == "current"
    monkeypatch.setenv("GEMSTEAD_RESPONSES_KEEP", "off")
    assert (states(capsys, out)["retention"]["state"], states(capsys, out)["retention"]["why"]) == (
        "stale",
        ["settings"],
    )
    monkeypatch.delenv("GEMSTEAD_RESPONSES_KEEP")
    assert states(capsys, out)["retention"]["state"] == "current"
    assert run(["policy", "init"]) == 0
    (data / "report.toml").write_text('[controller]\nname = "Us"\n')
    found = states(capsys, out)["retention"]
    assert (found["state"], sorted(found["why"])) == ("stale", ["answers", "policy"])
    (out / "retention.en.html").unlink()
    assert states(capsys, out)["retention"]["state"] == "gone"
    assert states(capsys, out)["data-flow"]["state"] == "not written"


def test_answers_survive_however_often_documents_are_written(
    data: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", "questions", "--language", "fr"]) == 0
    file = data / "report.toml"
    answered = file.read_text().replace('# name = ""', 'name = "Œuvre d\'Exemple"', 1)
    file.write_text(answered)
    for _ in range(2):
        assert run(["report", "processing-record", "--out", str(out), "--format", "md"]) == 0
        assert "Œuvre d'Exemple" in (out / "processing-record.en.md").read_text()
    assert file.read_text() == answered
    capsys.readouterr()
    assert run(["report", "questions"]) == 0
    assert "questions" in (shown := capsys.readouterr().out)
    assert "controller.contact" in shown
    assert "controller.name" not in shown
    assert run(["report", "questions", "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert items[0]["answer"] == "Œuvre d'Exemple"
    assert run(["report", "questions", "--dry-run"]) == 0
    assert "Œuvre d'Exemple" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["report", "retenton"], "retention"),
        (["report", "write"], "gemstead report --all"),
        (["report", "retention", "--language", "de"], "known"),
        (["report", "retention", "--format", "docx"], "known"),
        (["report", "retention", "--questions", "nowhere.toml"], "gemstead report questions"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(argv: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(argv) == 2
    assert hint in capsys.readouterr().err


def test_keys_and_rules_show_in_the_documents(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "create", "--name", "laptop", "--expires", "never"]) == 0
    assert run(["policy", "init"]) == 0
    assert run(["report", "security-measures", "--out", str(out), "--format", "md"]) == 0
    text = (out / "security-measures.en.md").read_text()
    assert "active: 1; the oldest is 0 days old; without an end: 1" in text
    assert "rules: 2; what none allows is refused" in text
    assert "every route but the two probes asks for one" in text
    assert capsys.readouterr().out.partition("\n")[0] not in text


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="Linux tells about its disks under /sys")
def test_a_disk_is_encrypted_only_if_all_that_it_lies_on_is(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    node = tmp_path / "devices" / f"{os.major(device)}:{os.minor(device)}"
    (node / "slaves" / "a" / "dm").mkdir(parents=True)
    (node / "slaves" / "b" / "dm").mkdir(parents=True)
    assert disk_facts(tmp_path, tmp_path / "devices").is_encrypted is False
    (node / "slaves" / "a" / "dm" / "uuid").write_text("CRYPT-LUKS2-00-x\n")
    assert disk_facts(tmp_path, tmp_path / "devices").is_encrypted is False
    (node / "slaves" / "b" / "dm" / "uuid").write_text("CRYPT-LUKS2-01-x\n")
    assert disk_facts(tmp_path, tmp_path / "devices").is_encrypted is True
    assert disk_facts(tmp_path, tmp_path / "nowhere").is_encrypted is None
