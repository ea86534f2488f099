"""`gemstead tune` and `bench speculation` on the real engine with real weights; what they find is used by a plan."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from cli_runner import Cli
from gemstead.app.setup import make_setup, this_machine
from gemstead.app.tuned import tune_key
from gemstead.bench.changes import Changes
from gemstead.bench.tune_figures import FigureLine
from gemstead.bench.tune_store import TuneEnd, TuneStore
from gemstead.engines.base import Installation
from gemstead.settings.load import load_settings

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("bench")]

MODEL = ("--model", "smollm2:135m")
TUNE = ("tune", *MODEL, "--minutes", "0.1", "--context", "2048")
"""So little time that one factor is tried, and those after it are named as untried."""


@pytest.fixture
def cli(tmp_path: Path, llama_server: Path, smollm2: Path) -> Cli:
    cli = Cli(tmp_path, llama_server)
    cli("models", "import", str(smollm2), "--name", "smollm2:135m", "--how", "link")
    return cli


def keep(cli: Cli, installation: Installation, winner: Changes) -> TuneEnd:
    """A verdict as `tune` would leave it for this model, engine and machine."""
    setup = make_setup(load_settings(environ={**os.environ, **cli.environ}))
    found = setup.kind.find(str(installation.program), setup.loaded.paths.engines)
    assert found is not None
    key = tune_key(setup.store.require("smollm2:135m"), found, this_machine(setup.loaded))
    line = FigureLine("edit decode", 70.0, 190.0, 2.7, 2.6, 2.8)
    end = TuneEnd("s", "2026-11-24T08:00:00+00:00", key, "code-edit", winner, "better", (line,))
    TuneStore(cli.data).append(end)
    return end


def test_speculation_guesses_right_in_code_edits_and_leaves_prose_alone(cli: Cli) -> None:
    done = cli.json("bench", "speculation", *MODEL, "--pairs", "1", "--context", "2048")
    assert {line["figure"] for line in done["lines"]} >= {"edit decode", "decode", "TTFT", "memory"}
    assert done["num_texts"] == 2
    ((without, _guessing),) = done["pairs"]
    assert without.get("drafted_tokens", 0) == 0
    assert 0 < done["accepted_tokens"] <= done["drafted_tokens"]


def test_what_was_tuned_is_in_the_plan_and_on_the_engines_command_line(cli: Cli, installation: Installation) -> None:
    keep(cli, installation, Changes(speculation="ngram", num_threads=1))
    shown = cli("plan", *MODEL).stdout
    assert "tuned here on 2026-11-24: threads 1, speculation ngram (edit decode x2.70)" in shown
    command = cli("serve", *MODEL, "--dry-run").stdout
    assert "--spec-type ngram-mod" in command
    assert "--threads 1" in command


@pytest.mark.parametrize("flag", ["--no-tuned", "--speculation=off"])
def test_a_flag_goes_before_what_was_tuned(cli: Cli, installation: Installation, flag: str) -> None:
    keep(cli, installation, Changes(speculation="ngram"))
    assert "--spec-type" not in cli("serve", *MODEL, "--dry-run", flag).stdout


def test_slots_that_were_tuned_give_way_to_slots_that_are_asked_for(cli: Cli, installation: Installation) -> None:
    keep(cli, installation, Changes(num_slots=4))
    assert "--parallel 4" in cli("serve", *MODEL, "--context", "1024", "--dry-run").stdout
    assert "--parallel 2" in cli("serve", *MODEL, "--context", "1024", "--parallel", "2", "--dry-run").stdout


def test_what_was_forgotten_is_not_planned_with(cli: Cli, installation: Installation) -> None:
    keep(cli, installation, Changes(speculation="ngram"))
    cli("tune", "--forget", *MODEL)
    assert "--spec-type" not in cli("serve", *MODEL, "--dry-run").stdout


def test_speculation_is_also_had_by_asking(cli: Cli) -> None:
    assert "--spec-type ngram-mod" in cli("serve", *MODEL, "--speculation", "ngram", "--dry-run").stdout
    assert "no drafter" in cli("serve", *MODEL, "--speculation", "draft", "--dry-run", status=3).stderr


def test_a_server_brought_up_with_what_was_tuned_answers_and_says_so(cli: Cli, installation: Installation) -> None:
    keep(cli, installation, Changes(speculation="ngram"))
    up = cli("up", *MODEL, "--port", "0", "--context", "1024")
    try:
        assert "tuned here on 2026-11-24: speculation ngram" in up.stdout
        (server,) = cli.json("ps")["items"]
        engine = [process.cmdline() for process in psutil.Process(server["record"]["pid"]).children(recursive=True)]
        assert any("ngram-mod" in argv for argv in engine)
        assert cli("run", *MODEL, "--max-tokens", "4", "hello").stdout.strip()
    finally:
        cli("stop", "smollm2:135m-q4_1", status=None)
        for server in cli.json("ps")["items"]:
            cli("stop", str(server["record"]["pid"]), status=None)
