"""The command line as a newcomer uses it: real engine, real weights, real processes, a data folder of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from cli_runner import Cli

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("journey")]

GREEDY = ("--temperature", "0")
QUESTION = "Hello, who are you?"
ANSWER = "Hello, I'm here to help"
"""What SmolLM2-135M-Instruct says first, with no near tie among its first tokens."""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, llama_server: Path, smollm2: Path) -> Iterator[Cli]:
    cli = Cli(tmp_path_factory.mktemp("data"), llama_server)
    cli("models", "import", str(smollm2), "--name", "smollm2:135m", "--how", "link")
    yield cli
    cli("stop", "--all", "--now")


@pytest.fixture(scope="module")
def server(cli: Cli) -> Iterator[dict[str, Any]]:
    """A server that `up` left behind."""
    started = cli.json("up", "--model", "smollm2:135m", "--port", "0")
    assert started["is_new"]
    yield started
    cli("stop", "--all", "--now")


def wait_gone(pids: list[int], limit_s: float) -> list[int]:
    """Those of the processes that are still there after at most `limit_s`."""
    deadline = time.monotonic() + limit_s
    while (left := [pid for pid in pids if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_run_answers_with_the_answer_on_stdout_alone(cli: Cli) -> None:
    done = cli("run", "--model", "smollm2:135m", *GREEDY, "--max-tokens", "24", QUESTION)
    assert done.stdout.startswith(ANSWER)
    assert "tok/s" in done.stderr


def test_stdin_is_context(cli: Cli) -> None:
    report = "The quarterly report says that sales went up. " * 50
    asked = ("run", "--model", "smollm2:135m", *GREEDY, "--max-tokens", "8", "--json", "Summarise this report.")
    reply = cli(*asked, stdin=report)
    assert json.loads(reply.stdout)["usage"]["prompt_tokens"] > 400


def test_run_without_a_question_says_how_to_ask(cli: Cli) -> None:
    done = cli("run", "--model", "smollm2:135m", status=2)
    assert done.stderr.splitlines()[0] == "error: there is nothing to ask"


def test_an_unknown_model_is_an_error_with_a_suggestion(cli: Cli) -> None:
    assert "did you mean 'smollm2:135m'?" in cli("run", "--model", "smolm2:135m", "hi", status=2).stderr


def test_auto_that_cannot_be_pulled_falls_back_and_says_so_in_one_line(cli: Cli) -> None:
    done = cli("run", "--offline", "--fallback", "smollm2:135m", *GREEDY, "--max-tokens", "8", QUESTION)
    (line,) = [line for line in done.stderr.splitlines() if "Using smollm2:135m instead" in line]
    assert line.startswith("gemma4:")
    assert done.stdout.startswith(ANSWER[:5])


def test_auto_without_a_fallback_fails_and_says_how_to_bring_the_file(cli: Cli) -> None:
    assert "gemstead models import" in cli("run", "--offline", "hi", status=4).stderr


def test_a_plan_that_cannot_fit_names_the_missing_bytes_and_what_would(cli: Cli) -> None:
    shown = cli("plan", "--model", "gemma4:31b-q8_0", "--on", "raspberry-pi-5-8gb", status=3).stderr
    assert "more than raspberry-pi-5-8gb has to give" in shown
    assert "hint: use --model gemma4:e2b" in shown or "hint: use --model gemma4:e4b" in shown


def test_a_plan_for_a_named_machine_is_versioned_json(cli: Cli) -> None:
    found = cli.json("plan", "--model", "gemma4:26b", "--context", "32768", "--on", "rtx-4090")
    assert found["schema"] == "gemstead/plan/1"
    assert found["plan"]["context_length"] == 32768
    assert found["plan"]["gpu_layers"] > 0


def test_a_dry_run_prints_the_engines_command_line_and_starts_nothing(cli: Cli) -> None:
    before = cli.json("ps")["items"]
    shown = cli("serve", "--model", "smollm2:135m", "--dry-run").stdout
    assert "--ctx-size" in shown
    assert "--reasoning off" in shown
    assert cli.json("ps")["items"] == before


def test_listening_beyond_loopback_is_refused_until_keys_exist(cli: Cli) -> None:
    done = cli("serve", "--model", "smollm2:135m", "--host", "0.0.0.0", status=5)
    assert "no access keys exist yet" in done.stderr


def test_a_detached_server_cannot_listen_beyond_loopback_either(cli: Cli) -> None:
    assert "no access keys" in cli("up", "--model", "smollm2:135m", "--host", "0.0.0.0", status=5).stderr


def test_the_official_client_gets_whole_and_streamed_answers_from_up(server: dict[str, Any]) -> None:
    with openai.OpenAI(base_url=server["url"], api_key="none needed", max_retries=0) as client:
        model = client.models.list().data[0].id
        asked: Any = {"model": model, "temperature": 0, "max_tokens": 24}
        asked["messages"] = [{"role": "user", "content": QUESTION}]
        whole = client.chat.completions.create(**asked).choices[0].message.content
        chunks = list(client.chat.completions.create(**asked, stream=True))
    assert whole is not None
    assert whole.startswith(ANSWER)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole
    assert len(chunks) > 10


def test_run_uses_the_server_that_is_up(cli: Cli, server: dict[str, Any]) -> None:
    done = cli("run", *GREEDY, "--max-tokens", "24", QUESTION)
    assert done.stdout.startswith(ANSWER)
    assert "start smollm2" not in done.stderr


def test_ps_tells_what_runs_and_how_much_memory_it_takes(cli: Cli, server: dict[str, Any]) -> None:
    (found,) = cli.json("ps")["items"]
    assert found["state"] == "ready"
    assert found["record"]["model"] == "smollm2:135m-q4_1"
    assert found["rss_bytes"] > 100_000_000
    assert found["num_processes"] >= 2


def test_up_again_finds_the_server_that_is_there(cli: Cli, server: dict[str, Any]) -> None:
    port = str(server["record"]["port"])
    again = cli.json("up", "--model", "smollm2:135m", "--port", port)
    assert not again["is_new"]
    assert again["record"]["pid"] == server["record"]["pid"]


def test_a_port_that_another_program_holds_is_a_clear_error(cli: Cli) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port}" in cli("serve", "--model", "smollm2:135m", "--port", port, status=4).stderr


def test_kill_9_of_the_server_leaves_no_engine_behind(cli: Cli) -> None:
    started = cli.json("up", "--model", "smollm2:135m", "--port", "0")
    root = psutil.Process(started["record"]["pid"])
    children = [child.pid for child in root.children(recursive=True)]
    assert children
    root.send_signal(signal.SIGKILL)
    assert wait_gone(children, 5.0) == []
    assert started["record"]["pid"] not in [one["record"]["pid"] for one in cli.json("ps")["items"]]


def test_stop_lets_a_running_answer_finish(cli: Cli) -> None:
    cli.environ["GEMSTEAD_SERVER_DRAIN_S"] = "120"
    started = cli.json("up", "--model", "smollm2:135m", "--port", "0")
    del cli.environ["GEMSTEAD_SERVER_DRAIN_S"]
    stop = cli.argv("stop", str(started["record"]["pid"]))
    with openai.OpenAI(base_url=started["url"], api_key="none needed", max_retries=0) as client:
        stream = client.chat.completions.create(
            model=started["record"]["model"],
            messages=[{"role": "user", "content": "Count to one hundred."}],
            temperature=0,
            max_tokens=60,
            stream=True,
        )
        first = next(stream)
        with subprocess.Popen(stop, env=cli.environ) as stopping:
            rest = list(stream)
            assert stopping.wait(120) == 0
    assert first is not None
    assert [chunk.choices[0].finish_reason for chunk in rest if chunk.choices][-1] in ("length", "stop")
    assert not is_running(started["record"]["pid"])


def test_ctrl_c_ends_a_run_with_130_and_leaves_no_engine(cli: Cli) -> None:
    argv = cli.argv("run", "--model", "smollm2:135m", "--max-tokens", "4000", "--seed", "1", "Write a very long story.")
    # A server that is up would answer; this one needs an engine of its own.
    environ = cli.environ | {"GEMSTEAD_MODEL_CONTEXT_LENGTH": "4096"}
    cli("stop", "--all", "--now")
    process = subprocess.Popen(argv, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.read(20)
        children = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert children
    assert wait_gone(children, 5.0) == []


def test_the_exact_shapes_and_the_toy_size_run_from_the_command_line(cli: Cli) -> None:
    for variant in ("gemma4:e2b", "gemma4:26b"):
        cli("models", "synth", variant, "--tiny")
        done = cli("run", "--model", f"{variant}@tiny", "--max-tokens", "8", "--json", "hi")
        assert json.loads(done.stdout)["usage"]["completion_tokens"] == 8
    assert {item["name"] for item in cli.json("models", "list")["items"]} >= {"gemma4:e2b-q4_0@tiny"}


def test_a_model_is_shown_verified_and_removed(cli: Cli) -> None:
    cli("models", "synth", "gemma4:e4b", "--tiny", "--quant", "q8_0")
    assert cli.json("models", "show", "gemma4:e4b@tiny")["architecture"] == "gemma4"
    assert cli.json("models", "verify", "gemma4:e4b@tiny")["items"][0]["is_intact"]
    assert cli.json("models", "rm", "gemma4:e4b@tiny", "--dry-run")["items"][0]["freed_bytes"] > 1_000_000
    cli("models", "rm", "gemma4:e4b@tiny")
    assert "gemstead models synth" in cli("models", "rm", "gemma4:e4b@tiny", status=3).stderr


def test_a_piped_conversation_remembers_and_obeys_its_commands(cli: Cli, tmp_path: Path) -> None:
    saved = tmp_path / "talk.md"
    lines = ["/system Be brief.", QUESTION, f"/save {saved}", "/nonsense", "/clear", "/quit"]
    done = cli("chat", "--model", "smollm2:135m", "--context", "2048", stdin="\n".join(lines) + "\n")
    assert "unknown command '/nonsense'" in done.stderr
    talk = saved.read_text()
    assert talk.startswith("**system**\n\nBe brief.\n\n**user**\n\nHello, who are you?")
    assert "**assistant**" in talk
