"""Measurements with real processes: the fake engine (faults and exact pace), and the real engine with real weights."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from cli_runner import Cli
from gemstead.bench.corpus import own_corpus
from gemstead.bench.load import Shape, loader
from gemstead.bench.load_summary import Limits, summarise
from gemstead.bench.measures import measure
from gemstead.bench.store import ResultStore
from gemstead.bench.stream import Question, ask
from gemstead.bench.target import Target, open_session
from gemstead.core.errors import EngineFailed, EngineRefused, EngineTimeout

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("bench")]

FAKE_ENGINE = Path(__file__).parents[1] / "fake_engine.py"


@contextmanager
def fake_engine(*faults: str) -> Iterator[Target]:
    """The fake engine on a loopback port: it answers at the pace its flags say and computes nothing."""
    argv = [sys.executable, str(FAKE_ENGINE), "--port", "0", *faults]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines = iter(process.stdout.readline, "")
            port = next(line for line in lines if line.startswith("listening")).split()[-1]
            yield Target("fake", f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


async def test_what_a_client_sees_is_never_faster_than_the_engine_sends() -> None:
    with fake_engine("--ttft-s", "0.2", "--itl-s", "0.05", "--tokens", "9") as target:
        async with open_session(target) as session:
            answer = measure(await ask(session, target, Question("fake", "hello there", 9)))
    assert answer.completion_tokens == 9
    assert answer.ttft_s is not None
    assert answer.ttft_s >= 0.2
    assert len(answer.itl_s) == 8
    assert answer.tpot_s is not None
    assert 0.04 < answer.tpot_s == pytest.approx(sum(answer.itl_s) / 8)


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (("--status", "500"), EngineRefused),
        (("--cut-after", "2"), EngineFailed),
        (("--break-after", "2"), EngineFailed),
        (("--crash-after", "2"), EngineFailed),
        (("--flood-bytes", "8000000"), EngineFailed),
    ],
)
async def test_each_way_to_fail_is_told_apart(faults: tuple[str, ...], error: type[Exception]) -> None:
    with fake_engine(*faults) as target:
        async with open_session(target) as session:
            with pytest.raises(error):
                await ask(session, target, Question("fake", "hello", 8))


async def test_an_engine_that_hangs_is_given_up() -> None:
    with fake_engine("--hang-after", "2") as target:
        async with open_session(target) as session:
            with pytest.raises(EngineTimeout):
                await ask(session, target, Question("fake", "hello", 8), limit_s=1.0)


async def test_an_open_loop_sends_on_however_slow_the_server() -> None:
    shape = Shape(arrival="constant", duration_s=2.0, rate_per_s=10.0, prompt_tokens=32, answer_tokens=4)
    with fake_engine("--ttft-s", "1.5") as target:
        async with loader(target, "fake", own_corpus()) as generator:
            requests = await generator.run(shape, lambda _number: None)
    level = summarise(shape, requests, Limits(ttft_s=0.5))
    # Floating point may put the twentieth request just past the end.
    assert level.num_sent in (19, 20)
    assert level.num_completed == level.num_sent
    assert level.goodput_per_s == 0.0


async def test_a_closed_loop_waits_for_its_answers_and_treats_users_alike() -> None:
    shape = Shape(arrival="closed", duration_s=2.0, num_users=3, prompt_tokens=32, answer_tokens=4)
    with fake_engine("--ttft-s", "0.5") as target:
        async with loader(target, "fake", own_corpus()) as generator:
            requests = await generator.run(shape, lambda _number: None)
    level = summarise(shape, requests, Limits())
    assert 3 <= level.num_sent <= 12
    assert level.failures == {}
    assert level.fairness is not None
    assert level.fairness > 0.8


async def test_failures_under_load_are_counted_by_kind_and_end_nothing() -> None:
    shape = Shape(arrival="closed", duration_s=1.0, num_users=2, prompt_tokens=3000, answer_tokens=4)
    with fake_engine("--context", "1000") as target:
        async with loader(target, "fake", own_corpus()) as generator:
            requests = await generator.run(shape, lambda _number: None)
    level = summarise(shape, requests, Limits())
    assert set(level.failures) == {"context_overflow"}
    assert level.num_completed == 0


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, llama_server: Path, smollm2: Path) -> Cli:
    cli = Cli(tmp_path_factory.mktemp("data"), llama_server)
    cli("models", "import", str(smollm2), "--name", "smollm2:135m", "--how", "link")
    return cli


RUN = ("bench", "run", "--model", "smollm2:135m", "--answer-tokens", "8", "--repeats", "2", "--watts", "50")


def test_a_model_is_measured_and_the_result_kept(cli: Cli) -> None:
    done: dict[str, Any] = cli.json(*RUN, "--depths", "64,128")
    assert done["schema"] == "gemstead/bench-run/1"
    assert [point["prompt_tokens"] for point in done["run"]["points"]] == [64, 128]
    for point in done["run"]["points"]:
        for answer in point["answers"]:
            assert answer["completion_tokens"] == 8
            assert answer["prefill_tokens"] >= 0.8 * point["prompt_tokens"]
            assert answer["ttfr_s"] <= answer["ttft_s"] <= answer["latency_s"]
    end = done["run"]["end"]
    assert end["memory"]["rss_bytes"] > 50 << 20
    assert end["power"]["assumed"]["value"] == 50
    assert done["run"]["start"]["subject"]["model_sha256"]
    listed = cli.json("bench", "list")["items"]
    assert listed[-1]["run"] == done["run"]["start"]["run"]
    assert not list((cli.data / "state" / "servers").iterdir())


def test_the_prompts_that_the_engine_keeps_are_counted_by_its_own_word(cli: Cli) -> None:
    memory = cli.json(*RUN, "--depths", "256", "--fresh")["run"]["end"]["memory"]
    assert 0 < memory["kept_bytes"] < memory["pss_bytes"]
    # Each is the highest of its own: together they are no less than the highest of the sum.
    assert memory["anon_bytes"] + memory["file_bytes"] + memory["shmem_bytes"] >= 0.99 * memory["pss_bytes"]


def test_every_token_of_generated_weights_can_be_seen(cli: Cli) -> None:
    cli("models", "synth", "gemma4:e2b", "--tiny")
    flags = ("--context", "2048", "--depths", "64", "--answer-tokens", "24", "--repeats", "2")
    (point,) = cli.json("bench", "run", "--model", "gemma4:e2b@tiny", *flags)["run"]["points"]
    for answer in point["answers"]:
        assert len(answer["itl_s"]) == answer["completion_tokens"] - 1 == 23
        assert "has_hidden_tokens" not in answer


def test_an_interrupted_run_keeps_its_points_and_is_finished_by_the_same_command(cli: Cli) -> None:
    arguments = (*RUN, "--depths", "16,1500")
    store = ResultStore(cli.data)
    with subprocess.Popen(
        cli.argv(*arguments), env=cli.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while not (store.read().runs and store.read().runs[-1].missing == (1500,)):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        engines = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert psutil.wait_procs(engines, timeout=30)[1] == []
    cut = store.find_run("last")
    assert cut.end is None
    finished = cli.json(*arguments)["run"]
    assert finished["start"]["run"] == cut.start.run
    assert [point["prompt_tokens"] for point in finished["points"]] == [16, 1500]
    assert finished["end"] is not None


def test_a_prompt_the_context_does_not_hold_is_refused(cli: Cli) -> None:
    done = cli(*RUN, "--context", "512", "--depths", "1000", status=2)
    assert "--context" in done.stderr


def test_a_server_is_started_for_the_load_and_ended(cli: Cli) -> None:
    flags = ("--users", "2", "--duration", "1", "--prompt-tokens", "32", "--answer-tokens", "4")
    done = cli.json("bench", "load", "--model", "smollm2:135m", *flags)
    (level,) = done["levels"]
    assert level["num_completed"] >= 2
    assert level["failures"] == {}
    assert cli.json("ps")["items"] == []
    assert cli("bench", "show", done["run"]).stdout.startswith("smollm2:135m")


def test_two_settings_are_measured_in_turn(cli: Cli) -> None:
    flags = ("--model", "smollm2:135m", "--depths", "32", "--answer-tokens", "8", "--repeats", "2")
    done = cli.json("bench", "compare", "--live", "", "threads=1", *flags)
    assert done["is_paired"]
    assert {line["line"]["metric"] for line in done["lines"]} >= {"decode", "prefill", "TTFT"}


def test_agreement_with_the_engines_own_timings_is_told(cli: Cli) -> None:
    done = cli.json("bench", "agree", "--model", "smollm2:135m", "--rounds", "1")
    assert done["agreement"]["decode"]["ratio"] > 0
    assert done["agreement"]["peer"]
    assert done["agreement"]["theirs"]["prefill_tok_per_s"] > 0


def test_a_setting_that_opens_a_door_is_refused(cli: Cli) -> None:
    done = cli("bench", "compare", "--live", "args=--host 0.0.0.0", "", "--model", "smollm2:135m", status=2)
    assert "--host" in done.stderr


def test_the_dry_run_prints_the_engines_command(cli: Cli) -> None:
    assert "--model" in cli(*RUN, "--dry-run").stdout


def test_all_results_are_one_document(cli: Cli) -> None:
    assert json.loads(cli("bench", "report", "--json").stdout)["schema"] == "gemstead/bench-report/1"
