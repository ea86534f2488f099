"""What `gemstead plan` prints, on named machines: nothing is fetched, no engine is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench_parts import SUBJECT, records
from gemstead.app import setup
from gemstead.app.machine_note import machine_note
from gemstead.bench.results import Prediction, RunStart
from gemstead.bench.store import ResultStore
from gemstead.cli import run
from gemstead.core.figures import Figure
from gemstead.hardware.ceilings import Ceilings
from gemstead.hardware.profiles import load_profile


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEMSTEAD_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def test_speed_stands_below_memory_with_its_range(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--on", "laptop-32gb", "--model", "gemma4:26b"]) == 0
    printed = capsys.readouterr().out
    for words in ("prefill, 512 tokens", "decode at 32768 tokens", "first token after", "energy per token", "tok/s"):
        assert words in printed
    speeds = [line for line in printed.splitlines() if line.startswith(("decode", "prefill", "energy"))]
    assert all("~" in line for line in speeds)


def test_many_users_get_rows_of_their_own_and_the_machines_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["plan", "--on", "rtx-4090", "--users", "50", "--tokens", "600", "--ttft", "2", "--goal", "concurrency"]
    assert run(argv) == 0
    printed = capsys.readouterr().out
    for words in ("50 slots", "decode for each of 50 users", "decode for all of them", "machines that do it"):
        assert words in printed
    assert "h100-80gb" in printed


def test_where_it_does_not_fit_the_machines_that_do_are_named_still(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["plan", "--on", "raspberry-pi-5-8gb", "--model", "gemma4:12b-q4_0", "--users", "64", "--tokens", "8000"]
    assert run(argv) == 3
    shown = capsys.readouterr()
    assert "machines that do it" in shown.out
    assert "more than raspberry-pi-5-8gb has to give" in shown.err


def test_the_plan_as_json_carries_every_figure_with_its_basis(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--on", "h100-80gb", "--model", "gemma4:31b", "--users", "4", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["schema"] == "gemstead/plan/1"
    speed = body["plan"]["speed"]
    assert speed["workload"]["num_users"] == 4
    for name in ("decode_tok_per_s", "prefill_tok_per_s", "ttft_s", "energy_j_per_token"):
        assert {"value", "basis", "error"} <= set(speed[name])
    assert body["machines"]


def test_what_if_prints_every_case_and_writes_the_picture(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    picture = data_dir / "what-if.svg"
    assert run(["plan", "--what-if", "--on", "laptop-16gb", "--picture", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert "lacks" in printed
    assert "fits" in printed
    assert {"gemma4:e2b-q4_0", "gemma4:31b-q8_0"} <= set(printed.split())
    assert picture.read_text(encoding="utf-8").startswith("<svg")


def test_what_if_of_one_model_and_context(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["plan", "--what-if", "--on", "laptop-32gb", "--model", "gemma4:e4b", "--context", "16384", "--json"]
    assert run(argv) == 0
    cases = json.loads(capsys.readouterr().out)["cases"]
    assert {case["context_length"] for case in cases} == {16_384}
    assert all(case["model"].startswith("gemma4:e4b") for case in cases)


def test_a_picture_that_cannot_be_written_is_said(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    assert run(["plan", "--on", "laptop-16gb", "--picture", str(data_dir / "no" / "where.svg")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_another_engine_is_shown_by_format_and_by_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--engine", "vllm", "--on", "rtx-4090", "--model", "gemma4:12b"]) == 0
    printed = capsys.readouterr().out
    assert "nothing of it was tried" in printed
    assert {"bf16", "fp8", "w4a16", "lacks", "runtime"} <= set(printed.split())


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--goal", "beauty"], "unknown value of --goal 'beauty'"),
        (["--engine", "tgi"], "unknown engine 'tgi'"),
        (["--engine", "mlx"], "Apple"),
        (["--users", "0"], "0 users at once"),
        (["--tokens", "1"], "no prompt and answer"),
        (["--ttft", "0"], "cannot be"),
        (["--power", "-3"], "is no power"),
    ],
)
def test_what_cannot_be_meant_is_exit_code_2(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--on", "laptop-16gb", *argv]) == 2
    assert words in capsys.readouterr().err


def test_stated_power_makes_energy_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--on", "laptop-16gb", "--power", "1000", "--json"]) == 0
    speed = json.loads(capsys.readouterr().out)["plan"]["speed"]
    expected = 1000 / speed["total_decode_tok_per_s"]["value"]
    assert speed["energy_j_per_token"]["value"] == pytest.approx(expected)


def test_what_bench_measured_here_corrects_the_plan_unless_it_is_not_wanted(
    capsys: pytest.CaptureFixture[str], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = load_profile("laptop-32gb")
    ceilings = Ceilings("", here.memory.bandwidth, here.cpu.matmul)
    monkeypatch.setattr(setup, "probe", lambda _: here)
    monkeypatch.setattr(setup, "measured_ceilings", lambda *_, **__: ceilings)
    argv = ["plan", "--model", "gemma4:e2b-q4_0", "--json"]

    def shown(*more: str) -> dict[str, Any]:
        assert run([*argv, *more]) == 0
        plan: dict[str, Any] = json.loads(capsys.readouterr().out)["plan"]
        return plan

    plain = shown()
    subject = msgspec.structs.replace(SUBJECT, machine=machine_note(here))
    start, *rest = records("r", {512: [5.0]}, subject=subject)
    assert isinstance(start, RunStart)
    prediction = Prediction(
        *(1, 1, 0, 512, 256), Figure(20.0, "computed", 0.2), None, calibration=plain["speed"]["calibration"]
    )
    protocol = msgspec.structs.replace(start.protocol, prompt_tokens=(512,))
    for row in (msgspec.structs.replace(start, prediction=prediction, protocol=protocol), *rest):
        ResultStore(data_dir / "data").append(row)
    corrected = shown()
    assert corrected["speed"]["decode_tok_per_s"]["value"] == pytest.approx(
        0.5 * plain["speed"]["decode_tok_per_s"]["value"]
    )
    assert "decode is corrected by a measurement here: x0.50" in corrected["reasons"]
    assert shown("--no-correction") == plain
    assert run(["plan", "--model", "gemma4:e2b", "--what-if", "--context", "4096"]) == 0
    assert "decode is corrected by a measurement here" in capsys.readouterr().out
