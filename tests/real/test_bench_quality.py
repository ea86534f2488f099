"""What a quantization costs, with the real engine, real weights, and a copy of them in two bits."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from cli_runner import Cli
from gemstead.bench.quality_store import QualityStore

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("bench")]

CHUNKS = ("--chunks", "2", "--chunk-tokens", "256", "--parts", "perplexity")
COARSE, FINE = "smollm2-q2", "smollm2:135m"


@pytest.fixture(scope="module")
def coarse_file(tmp_path_factory: pytest.TempPathFactory, llama_server: Path, smollm2: Path) -> Path:
    """The same model in two bits, made by the engine's own program."""
    path = tmp_path_factory.mktemp("coarse") / "smollm2-q2_k.gguf"
    program = llama_server.with_name("llama-quantize")
    assert program.is_file(), "the engine is of an earlier gemstead: run `gemstead engine install`"
    argv = (str(program), "--allow-requantize", str(smollm2), str(path), "Q2_K", "1")
    subprocess.run(argv, check=True, capture_output=True, timeout=120)
    return path


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, llama_server: Path, smollm2: Path, coarse_file: Path) -> Cli:
    cli = Cli(tmp_path_factory.mktemp("data"), llama_server)
    cli("models", "import", str(smollm2), "--name", FINE, "--how", "link")
    cli("models", "import", str(coarse_file), "--name", COARSE, "--how", "link")
    return cli


def test_a_model_costs_nothing_against_itself(cli: Cli) -> None:
    done = cli.json("bench", "quality", "--model", FINE, "--against", FINE, *CHUNKS)
    figures = done["figures"]
    assert figures["mean_divergence"]["value"] == 0.0
    assert figures["same_top"]["value"] == 1.0
    assert figures["ratio"]["value"] == pytest.approx(1.0)
    assert "costs nothing that shows" in done["in_words"]
    assert not list((cli.data / "state" / "servers").iterdir())


def test_two_bits_cost_what_llama_perplexity_itself_says(
    cli: Cli, llama_server: Path, smollm2: Path, coarse_file: Path, tmp_path: Path
) -> None:
    figures = cli.json("bench", "quality", "--model", COARSE, "--against", FINE, *CHUNKS)["figures"]
    assert figures["ratio"]["ci_low"] > 1.0
    assert figures["mean_divergence"]["ci_low"] > 0.05
    assert figures["same_top"]["value"] < 0.9
    text = Path(__file__).parents[2] / "src" / "gemstead" / "bench" / "quality_text.txt"
    program, base = str(llama_server.with_name("llama-perplexity")), str(tmp_path / "base")
    size = ("--ctx-size", "256", "--batch-size", "256", "--chunks", "2")
    said = _run(program, "--model", str(smollm2), "--file", str(text), *size, "--save-all-logits", base)
    assert figures["base_perplexity"]["value"] == pytest.approx(
        _found(r"Final estimate: PPL = +([\d.]+)", said), rel=1e-3
    )
    said = _run(program, "--model", str(coarse_file), *size, "--kl-divergence", "--kl-divergence-base", base)
    assert figures["perplexity"]["value"] == pytest.approx(_found(r"Mean PPL\(Q\) +: +([\d.]+)", said), rel=1e-3)
    assert figures["mean_divergence"]["value"] == pytest.approx(_found(r"Mean +KLD: +([\d.]+)", said), rel=0.01)
    assert figures["p99_divergence"]["value"] == pytest.approx(_found(r"99\.0% +KLD: +([\d.]+)", said), rel=0.02)


def test_an_interrupted_run_is_finished_by_the_same_command_and_leaves_nothing(cli: Cli, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"prompt": "Say yes.", "answer": "yes", "match": "contains", "max_tokens": 4}\n')
    arguments = ("bench", "quality", "--model", FINE, "--tasks", str(tasks), "--parts", "perplexity,tasks")
    sizes = ("--chunks", "6", "--chunk-tokens", "128")
    store = QualityStore(cli.data)
    num_before = len(store.runs())
    with subprocess.Popen(
        cli.argv(*arguments, *sizes), env=cli.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        children: list[psutil.Process] = []
        while len(store.runs()) == num_before or not children:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
            children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert psutil.wait_procs(children, timeout=30)[1] == []
    cut = store.require("last")
    assert "perplexity" in cut.missing
    finished = cli.json(*arguments, *sizes)["run"]
    assert finished["start"]["run"] == cut.start.run
    assert store.require("last").missing == ()
    assert len(finished["tasks"]["answers"]) == 1
    assert not list((cli.data / "state" / "servers").iterdir())


def test_greedy_answers_are_the_same_the_second_time(cli: Cli, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    prompts = ("Write a sentence about the sea.", "What is 2 + 3?")
    tasks.write_text("".join(f'{{"prompt": "{prompt}", "max_tokens": 6}}\n' for prompt in prompts))
    arguments = ("bench", "quality", "--model", FINE, "--tasks", str(tasks), "--parts", "tasks")
    first = cli.json(*arguments)["run"]
    second = cli.json(*arguments)
    assert second["since"]["a"] == first["start"]["run"]
    assert second["since"]["num_asked"] == second["since"]["num_equal"] == 2
    assert all(answer["text"] for answer in first["tasks"]["answers"])


def test_models_that_read_text_otherwise_are_not_held_against_each_other(cli: Cli, tiny_e2b: Path) -> None:
    cli("models", "import", str(tiny_e2b), "--name", "tiny-gemma", "--how", "link")
    done = cli("bench", "quality", "--model", FINE, "--against", "tiny-gemma", *CHUNKS, status=2)
    assert "different tokens" in done.stderr


def test_a_text_that_is_too_short_is_refused(cli: Cli, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("Only a few words.")
    done = cli("bench", "quality", "--model", FINE, "--text", str(text), *CHUNKS, status=2)
    assert "--chunk-tokens" in done.stderr


def test_an_engine_without_the_program_is_told_before_anything_runs(
    cli: Cli, tmp_path: Path, llama_server: Path
) -> None:
    lonely = tmp_path / "llama-server"
    lonely.symlink_to(llama_server)
    done = cli("bench", "quality", "--model", FINE, *CHUNKS, status=3, GEMSTEAD_ENGINE_PROGRAM=str(lonely))
    assert "gemstead engine install" in done.stderr


def _run(*argv: str) -> str:
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True, timeout=200)
    return done.stdout


def _found(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    assert found, said[-500:]
    return float(found[1])
