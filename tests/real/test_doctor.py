"""The doctor on real engines, models and servers: deep answers, a real lack of memory, a real dead server."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cli_runner import Cli

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("doctor")]

SMALL = "smollm2:135m"
SHORT = {"GEMSTEAD_MODEL_CONTEXT_LENGTH": "2048", "GEMSTEAD_SERVER_PORT": "0"}


def findings(cli: Cli, *arguments: str, **environ: str) -> dict[str, list[dict[str, Any]]]:
    """What `doctor` finds, by check."""
    report = json.loads(cli("doctor", "--json", *arguments, status=None, **environ).stdout)
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in report["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return found


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, llama_server: Path, smollm2: Path) -> Iterator[Cli]:
    cli = Cli(tmp_path_factory.mktemp("data"), llama_server, **SHORT)
    assert cli("models", "import", str(smollm2), "--name", SMALL, "--how", "link").returncode == 0
    yield cli
    cli("stop", "--all", "--now")


def severities(findings: list[dict[str, Any]]) -> set[str]:
    return {finding["severity"] for finding in findings}


def test_a_deep_examination_starts_an_engine_asks_it_and_leaves_nothing(cli: Cli) -> None:
    found = findings(cli, "--deep", "--model", SMALL)
    assert severities(found["prompt_cache"]) == {"ok"}
    assert severities(found["sanity"]) == {"ok"}
    assert found["prompt_cache"][0]["evidence"]["second_prefill_tokens"] < 50
    assert found["prompt_cache"][0]["evidence"]["first_prefill_tokens"] > 200
    assert severities(found["tokenizer"]) == {"note"}
    assert severities(found["files"]) == {"ok"}
    assert list((cli.data / "state" / "servers").iterdir()) == []


def test_gemma_4s_tokenizer_passes_its_spot_checks_in_the_real_engine(cli: Cli) -> None:
    assert cli("models", "synth", "gemma4:e2b", "--tiny").returncode == 0
    found = findings(cli, "--deep", "--model", "gemma4:e2b@tiny")
    assert severities(found["tokenizer"]) == {"ok"}
    assert severities(found["sanity"]) == {"ok"}
    assert severities(found["prompt_cache"]) == {"ok"}
    assert found["template"][0]["evidence"]["template"] == "launch"


def test_without_a_model_the_deep_checks_say_why_they_were_not_made(cli: Cli) -> None:
    (finding,) = findings(cli, "--deep", "--model", "gemma4:e2b-q8_0")["answers"]
    assert finding["severity"] == "warning"
    assert finding["fix"].startswith("gemstead models pull gemma4:e2b")


def test_a_running_server_is_asked_past_its_door_and_its_death_is_noticed(cli: Cli) -> None:
    started = json.loads(cli("up", "--model", SMALL, "--json").stdout)["record"]
    found = findings(cli, "--deep", "--model", SMALL)
    assert severities(found["sanity"]) == {"ok"}
    assert found["servers"][0]["evidence"]["pid"] == started["pid"]
    assert severities(found["exposure"]) == {"ok"}
    assert severities(found["permissions"]) == {"ok"}
    assert "is loaded and ready" in cli("doctor", "explain", "ttft", "--model", SMALL, status=None).stdout
    server = psutil.Process(started["pid"])
    children = server.children(recursive=True)
    server.send_signal(signal.SIGKILL)
    assert psutil.wait_procs([server, *children], timeout=30)[1] == []
    (gone,) = findings(cli)["servers"]
    assert (gone["severity"], gone["fix"]) == ("note", "gemstead ps")
    cli("ps")
    assert severities(findings(cli)["servers"]) == {"ok"}


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are not kept elsewhere")
def test_an_engine_that_really_runs_out_of_memory_is_recognised_and_answered_with_a_smaller_plan(
    cli: Cli, llama_server: Path, tmp_path: Path
) -> None:
    limited = tmp_path / "llama-server"
    limited.write_text(f'#!/bin/sh\nulimit -v 500000\nexec "{llama_server}" "$@"\n')
    limited.chmod(0o755)
    short_of_memory = {"GEMSTEAD_ENGINE_PROGRAM": str(limited), "GEMSTEAD_MODEL_CONTEXT_LENGTH": "8192"}
    (finding,) = findings(cli, "--deep", "--model", SMALL, **short_of_memory)["answers"]
    assert finding["severity"] == "error"
    assert "not enough memory" in finding["why"]
    assert finding["fix"] == "gemstead up --model smollm2:135m-q4_1 --context 4096 --kv q8_0"
    (last,) = [
        one for one in findings(cli, "--model", SMALL, **short_of_memory)["last_run"] if one["severity"] == "error"
    ]
    assert last["fix"] == finding["fix"]
    assert (
        "there was not enough memory"
        in cli("doctor", "explain", "oom", "--model", SMALL, status=None, **short_of_memory).stdout
    )


def test_a_damaged_file_is_found_by_its_engine_and_by_its_size(cli: Cli, smollm2: Path, tmp_path: Path) -> None:
    other = Cli(tmp_path, Path(cli.environ["GEMSTEAD_ENGINE_PROGRAM"]), **SHORT)
    assert other("models", "import", str(smollm2), "--name", SMALL).returncode == 0
    (blob,) = (tmp_path / "models" / "blobs").iterdir()
    with blob.open("r+b") as file:
        file.truncate(20_000_000)
    found = findings(other, "--deep", "--model", SMALL)
    assert severities(found["files"]) == {"error"}
    assert severities(found["answers"]) == {"error"}
