"""`gemstead bench` without an engine: what is stored, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from bench_parts import MACHINE, SUBJECT, records
from gemstead.app.bench_live import parse_changes
from gemstead.app.bench_load import check_address
from gemstead.app.machine_note import machine_note
from gemstead.app.measured import measured_speeds
from gemstead.bench.store import ResultStore
from gemstead.cli import run
from gemstead.core.errors import GemsteadError, NameUnknown, PolicyRefused, RequestInvalid, SettingInvalid
from gemstead.hardware.profiles import load_profile


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultStore:
    monkeypatch.setenv("GEMSTEAD_DATA_DIR", str(tmp_path))
    store = ResultStore(tmp_path)
    for name, rates in (("20261124-a", [20.0, 20.1]), ("20261125-b", [30.0, 30.1])):
        for record in records(name, {128: rates, 512: rates}):
            store.append(record)
    return store


def test_results_are_listed(store: ResultStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["schema"] == "gemstead/bench-results/1"
    assert [item["run"] for item in listed["items"]] == ["20261124-a", "20261125-b"]


def test_a_damaged_line_is_told_and_the_rest_is_listed(store: ResultStore, capsys: pytest.CaptureFixture[str]) -> None:
    with store.path.open("ab") as file:
        file.write(b"{cut")
    assert run(["bench", "list"]) == 0
    printed = capsys.readouterr()
    assert "20261125-b" in printed.out
    assert "1 lines" in printed.err


def test_one_result_is_shown_with_its_verdict_first(store: ResultStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "show", "20261124"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].startswith(f"{SUBJECT.model}: measured on a quiet machine")
    assert "nothing here can be metered" in shown
    assert "predicted: decode ~20 tok/s at 512 tokens (-0%, within its error bar)" in shown
    assert run(["bench", "show", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["figures"][0]["decode_tok_per_s"]["median"] == pytest.approx(30.05)


def test_two_results_are_compared(store: ResultStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "compare", "20261124", "20261125"]) == 0
    assert "decode better" in capsys.readouterr().out.splitlines()[0]
    assert run(["bench", "compare", "20261124", "20261125", "--json"]) == 0
    lines = json.loads(capsys.readouterr().out)["lines"]
    assert {line["verdict"] for line in lines if line["line"]["metric"] == "decode"} == {"better"}


def test_the_report_is_written_as_a_page_or_printed_as_json(
    store: ResultStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert run(["bench", "report", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "raspberry-pi-5-16gb" in text
    assert run(["bench", "report", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 2


def test_each_chart_of_the_report_is_a_picture_with_its_words(store: ResultStore, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "charts"
    assert run(["bench", "report", str(tmp_path / "page.html"), "--png", str(folder)]) == 0
    files = sorted(path.name for path in folder.iterdir())
    assert {"decode.png", "prefill.png", "ttft.png", "itl.png", "memory.png"} <= set(files)
    for name in files:
        with Image.open(folder / name) as picture:
            assert picture.width == 1040
            # The title is in the upper left corner: letters that have no font leave it white.
            title = picture.convert("L").crop((20, 20, 300, 70))
            assert 0.02 < sum(title.histogram()[:128]) / (280 * 50) < 0.5


def test_charts_that_cannot_be_written_are_refused(
    store: ResultStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert run(["bench", "report", str(tmp_path / "page.html"), "--png", str(file)]) == 2
    assert str(file) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["bench", "show", "1999"], 2),
        (["bench", "compare", "last"], 2),
        (["bench", "compare", "--live", "threads=0", ""], 2),
        (["bench", "report", "/nowhere/page.html"], 2),
        (["bench", "run", "--depths", "12,x"], 2),
        (["bench", "run", "--depths", "0"], 2),
        (["bench", "load", "--users", "2", "--rate", "3"], 2),
        (["bench", "load", "--users", "1.5"], 2),
        (["bench", "load", "--users", "4,2"], 2),
        (["bench", "load", "--rate", "nan"], 2),
        (["bench", "load", "--arrival", "bursty"], 2),
        (["bench", "load", "--url", "ftp://127.0.0.1"], 2),
        (["bench", "load", "--url", "http://192.0.2.1:8000"], 5),
        (["bench", "load", "--url", "http://127.0.0.1:1"], 2),
        (["bench", "load", "-m", "m", "--url", "http://127.0.0.1:1", "--key-from", "NOT_SET_HERE"], 2),
        (["bench", "load", "-m", "m", "--url", "http://127.0.0.1:1"], 4),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_code(
    store: ResultStore, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8484", "http://localhost:1/v1", "http://[::1]:8484"])
def test_load_on_this_machine_is_allowed(url: str) -> None:
    check_address(url, is_own=False)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1.example.org", PolicyRefused),
        ("http://example.org", PolicyRefused),
        ("http://127.0.0.1@example.org", PolicyRefused),
        ("127.0.0.1:8484", SettingInvalid),
        ("http://", SettingInvalid),
        ("http://[::1", SettingInvalid),
    ],
)
def test_load_on_other_machines_is_refused(url: str, error: type[GemsteadError]) -> None:
    with pytest.raises(error):
        check_address(url, is_own=False)


def test_ones_own_server_may_be_anywhere() -> None:
    check_address("https://example.org", is_own=True)


def test_a_setting_to_compare_is_read() -> None:
    changes = parse_changes("threads=2, kv=q8_0,args=--flash-attn on --poll 0")
    assert (changes.num_threads, changes.kv_cache_dtype) == (2, "q8_0")
    assert changes.extra_args == ("--flash-attn", "on", "--poll", "0")
    assert parse_changes("").label == "as planned"


@pytest.mark.parametrize(
    ("text", "error"),
    [("thread=2", NameUnknown), ("kv=q3", NameUnknown), ("threads=0", RequestInvalid), ("threads=two", RequestInvalid)],
)
def test_a_setting_that_does_not_exist_is_refused(text: str, error: type[GemsteadError]) -> None:
    with pytest.raises(error):
        parse_changes(text)


def test_measured_speeds_are_those_of_this_machine_and_model(tmp_path: Path) -> None:
    import msgspec

    here = load_profile("raspberry-pi-5-16gb")
    subject = msgspec.structs.replace(SUBJECT, machine=machine_note(here))
    store = ResultStore(tmp_path)
    for record in records("run-a", {128: [9.0], 512: [7.0, 7.1, 6.9]}, subject=subject):
        store.append(record)
    speeds = measured_speeds(tmp_path, "gemma4:e2b", here)
    assert speeds is not None
    assert speeds.decode_tok_per_s.value == 7.0
    assert speeds.decode_tok_per_s.basis == "measured"
    assert "run-a" in (speeds.decode_tok_per_s.source or "")
    assert speeds.prefill_tok_per_s.value == 100.0
    assert measured_speeds(tmp_path, "gemma4:e4b", here) is None
    assert measured_speeds(tmp_path, "gemma4:e2b", load_profile("rtx-4090")) is None
    assert MACHINE.fingerprint != machine_note(here).fingerprint


def test_a_disturbed_or_interrupted_run_gives_no_speeds(tmp_path: Path) -> None:
    import msgspec

    from bench_parts import QUIET

    here = load_profile("rtx-4090")
    subject = msgspec.structs.replace(SUBJECT, machine=machine_note(here))
    store = ResultStore(tmp_path)
    noisy = msgspec.structs.replace(QUIET, others_share=0.9)
    rows = records("noisy", {512: [7.0]}, subject=subject, noise=noisy)
    rows += records("cut", {512: [8.0]}, subject=subject, is_finished=False)
    for record in rows:
        store.append(record)
    assert measured_speeds(tmp_path, "gemma4:e2b", here) is None
