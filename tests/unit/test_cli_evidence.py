"""`gemstead evidence` as people and programs use it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tamper_suite.case import Case
from benchmarks.tamper_suite.changes import AT
from benchmarks.tamper_suite.original import EXPIRED, ROTATED, SIZE, Original, make
from gemstead.app.evidence_query import COLUMNS, Kept, cells, read_time_ms
from gemstead.cli import run
from gemstead.core.errors import RequestInvalid
from gemstead.evidence import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return make(tmp_path_factory.mktemp("evidence"))


@pytest.fixture
def data(made: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own with that evidence."""
    case = Case(made, tmp_path / "data", knows_elsewhere=False)
    (case.folder / "secrets").mkdir(mode=0o700)
    key = case.folder / "secrets" / "evidence.key"
    key.write_bytes((made.data / "secrets" / "evidence.key").read_bytes())
    key.chmod(0o600)
    monkeypatch.setenv("GEMSTEAD_DATA_DIR", str(case.folder))
    monkeypatch.setenv("GEMSTEAD_EVIDENCE_SECOND_PLACE", str(case.elsewhere))
    return case.folder


def asked(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert run(["evidence", *argv, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("argv", "is_it"),
    [
        (["--key", "key1"], lambda record: record["key"] == "key1"),
        (["--model", "gemma4:*", "--kind", "exchange.opened"], lambda record: record["kind"] == "exchange.opened"),
        (["--kind", "exchange"], lambda record: record["kind"].startswith("exchange.")),
        (["--kind", "evidence"], lambda record: record["kind"].startswith("evidence.")),
        (["--tool", "search"], lambda record: record["tools"] == ["search"]),
        (["--status", "stop"], lambda record: record["status"] == "stop"),
        (["--exchange", "req_000050"], lambda record: record["exchange"] == "req_000050"),
        (["--since", "2026-11-01", "--kind", "exchange"], lambda record: record["at_ms"] > 1_793_000_000_000),
    ],
)
def test_records_are_found_by_what_they_say(capsys: pytest.CaptureFixture[str], argv: list[str], is_it: Any) -> None:
    found = asked(capsys, "list", *argv, "--limit", "1000")["items"]
    assert found
    assert all(is_it(item["record"]) for item in found)
    assert [item["position"] for item in found] == sorted((item["position"] for item in found), reverse=True)


@pytest.mark.usefixtures("data")
def test_a_filter_that_nothing_meets_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["--verdict", "pii"], ["--model", "x' OR 1=1 --"], ["--until", "2001-01-01"]):
        assert asked(capsys, "list", *argv)["items"] == []


@pytest.mark.usefixtures("data")
def test_show_brings_opening_and_closing_together(capsys: pytest.CaptureFixture[str]) -> None:
    opened = asked(capsys, "show", str(AT))
    assert (opened["record"]["kind"], opened["other"]["position"]) == ("exchange.opened", AT + 1)
    assert opened["checkpoint_size"] == 128
    assert asked(capsys, "show", str(AT + 1))["other"]["position"] == AT
    assert asked(capsys, "show", str(EXPIRED))["record"] is None
    assert run(["evidence", "show", str(SIZE + 5)]) == 2
    assert f"0 to {SIZE - 1}" in capsys.readouterr().err


@pytest.mark.usefixtures("data")
def test_verify_passes_and_names_what_was_changed(
    data: Path, made: Original, capsys: pytest.CaptureFixture[str]
) -> None:
    report = asked(capsys, "verify", "--deep", "--key", made.key)
    assert report["is_clean"]
    assert report["num_elsewhere"] == 6
    assert run(["evidence", "verify", "--key", "other+00000000+AAAA"]) == 5
    (data / "elsewhere.txt").unlink()
    assert "is not there" in asked(capsys, "verify")["remarks"][0]
    (data / "evidence.db").write_bytes(b"no database")
    assert run(["evidence", "verify"]) == 3


def test_jsonl_has_every_record_in_its_own_text(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = data / "out.jsonl"
    assert run(["evidence", "export", "--to", str(target)]) == 0
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert [line["position"] for line in lines] == list(range(SIZE))
    assert run(["evidence", "export", "--to", str(target)]) == 2
    assert "choose a new file" in capsys.readouterr().err


@pytest.mark.usefixtures("data")
def test_csv_is_for_a_spreadsheet(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evidence", "export", "--format", "csv", "--key", "key1", "--kind", "exchange.closed"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert tuple(rows[0]) == COLUMNS
    assert {row["status"] for row in rows} == {"stop"}
    assert rows[0]["prompt_tokens"] == "100"
    assert run(["evidence", "export", "--format", "xml"]) == 2


def test_a_text_that_a_spreadsheet_would_run_is_made_harmless() -> None:
    kept = Kept(1, '{"exchange":"=cmd|calc","v":1}', None, bytes(32))
    assert cells(kept)["exchange"] == "'=cmd|calc"


def test_a_bundle_verifies_and_is_never_overwritten(
    data: Path, made: Original, capsys: pytest.CaptureFixture[str]
) -> None:
    target = data / "auditor.zip"
    bundle = asked(capsys, "export", "--bundle", str(target), "--model", "gemma4:*", "--key", "key2")
    assert not bundle["is_whole"]
    report = verify.examine(target, made.key, [("elsewhere.txt", (data / "elsewhere.txt").read_text())])
    assert report.findings == []
    assert report.num_records == bundle["num_records"]
    assert run(["evidence", "export", "--bundle", str(target)]) == 2
    assert run(["evidence", "verify", str(target), "--key", bundle["verifier_key"]]) == 0


def test_that_a_bundle_was_made_is_recorded_where_evidence_is_kept(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GEMSTEAD_EVIDENCE_IS_ON", "on")
    bundle = asked(capsys, "export", "--bundle", str(data / "auditor.zip"))
    assert bundle["is_whole"]
    (newest,) = asked(capsys, "list", "--limit", "1")["items"]
    assert (newest["record"]["kind"], newest["record"]["sha256"]) == ("admin.evidence_exported", bundle["sha256"])


def test_no_bundle_is_made_of_what_does_not_verify(
    data: Path, made: Original, capsys: pytest.CaptureFixture[str]
) -> None:
    case_sql = f"UPDATE records SET record = replace(record, 'gemma4', 'gemma5') WHERE position = {AT}"
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(data / "evidence.db")) as connection, connection:
        connection.execute(case_sql)
    assert run(["evidence", "export", "--bundle", str(data / "auditor.zip")]) == 3
    assert "not as it was written" in capsys.readouterr().err
    assert list(data.glob("*auditor*")) == []


def test_a_proof_of_one_record_is_checked_by_itself(data: Path, made: Original) -> None:
    target = data / "proof.json"
    assert run(["evidence", "prove", str(AT), "--to", str(target)]) == 0
    assert run(["evidence", "verify", str(target), "--key", made.key]) == 0
    assert run(["evidence", "prove", str(SIZE + 9)]) == 2


def test_keys_rotate_and_old_and_new_verify(data: Path, made: Original, capsys: pytest.CaptureFixture[str]) -> None:
    before = [item["position"] for item in asked(capsys, "key")["items"]]
    assert before == [0, ROTATED]
    assert run(["evidence", "rotate-key", "--dry-run"]) == 0
    new = asked(capsys, "rotate-key", "--yes")["verifier_key"]
    assert asked(capsys, "key")["items"][-1]["verifier_key"] == new
    for key in (made.key, new):
        assert asked(capsys, "verify", "--key", key)["is_clean"]
    assert asked(capsys, "checkpoint")["note"].splitlines()[1] == str(SIZE + 1)


@pytest.mark.usefixtures("data")
def test_what_expires_is_emptied_and_the_rest_verifies(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, "expire", "--older-than", "5y")["expired"] is None
    planned = asked(capsys, "expire", "--older-than", "0", "--dry-run")
    assert planned["is_dry_run"]
    if planned["expired"] is not None:
        assert asked(capsys, "expire", "--older-than", "0", "--yes")["expired"]["num"] == planned["expired"]["num"]
    assert asked(capsys, "verify")["is_clean"]
    assert run(["evidence", "expire", "--older-than", "soon"]) == 2


@pytest.mark.parametrize(
    "argv", [["list"], ["verify"], ["export"], ["checkpoint"], ["key"], ["prove", "1"], ["expire"]]
)
def test_without_evidence_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    monkeypatch.setenv("GEMSTEAD_DATA_DIR", str(tmp_path))
    assert run(["evidence", *argv]) == 3
    assert "hint: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_time_is_a_span_or_a_date() -> None:
    assert read_time_ms("--since", "1h", now_s=7200.0) == 3_600_000
    assert read_time_ms("--since", "1970-01-02") == 86_400_000
    for text in ("soon", "9999999d", "1d2h", ""):
        with pytest.raises(RequestInvalid):
            read_time_ms("--since", text)
