"""The file of `tune`, and what of it holds for a model, an engine and a machine."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gemstead.app.setup import Setup, make_setup
from gemstead.app.tuned import tune_key, tuned_for, without_tuned
from gemstead.bench.changes import Changes
from gemstead.bench.tune_figures import Round
from gemstead.bench.tune_store import TuneEnd, TuneForget, TuneKey, TuneStart, TuneStore, TuneTrial
from gemstead.cli import run
from gemstead.engines.base import Installation
from gemstead.hardware.profiles import load_profile
from gemstead.hardware.snapshot import Machine
from gemstead.settings.load import load_settings
from small_store import add_model

KEY = TuneKey("m:1b", "ab" * 32, "llama_cpp", "1", "cd" * 32, "a machine")
PAIR = (Round({"latency": 2.0}, {"prose": "x"}), Round({"latency": 1.0}, {"prose": "x"}))


def end(key: TuneKey = KEY, winner: Changes | None = None, session: str = "s1") -> TuneEnd:
    return TuneEnd(session, "2026-11-24T08:00:00+00:00", key, "code-edit", winner, "a reason")


def start(session: str = "s1", key: TuneKey = KEY, context_length: int = 4096) -> TuneStart:
    return TuneStart(session, "2026-11-24T08:00:00+00:00", "0", key, "latency", context_length, may_quantize_kv=False)


def test_the_newest_verdict_of_each_key_counts(tmp_path: Path) -> None:
    store, other = TuneStore(tmp_path), msgspec.structs.replace(KEY, model="n:1b")
    for record in (end(winner=Changes(num_threads=1)), end(other), end(winner=Changes(num_threads=3))):
        store.append(record)
    assert [(one.key.model, one.winner) for one in store.verdicts()] == [
        ("n:1b", None),
        ("m:1b", Changes(num_threads=3)),
    ]


def test_what_was_forgotten_holds_no_more_and_may_be_found_again(tmp_path: Path) -> None:
    store, other = TuneStore(tmp_path), msgspec.structs.replace(KEY, model="n:1b")
    for record in (end(), end(other), TuneForget("2026-11-24T09:00:00+00:00", "m:1b")):
        store.append(record)
    assert [one.key.model for one in store.verdicts()] == ["n:1b"]
    store.append(TuneForget("2026-11-24T09:00:00+00:00", None))
    assert store.verdicts() == []
    store.append(end())
    assert [one.key.model for one in store.verdicts()] == ["m:1b"]


def test_an_interrupted_session_is_found_with_its_trials_in_order(tmp_path: Path) -> None:
    store = TuneStore(tmp_path)
    trials = [TuneTrial("s1", Changes(), Changes(num_threads=number), (PAIR,)) for number in (1, 3)]
    for record in (start("s0"), end(session="s0"), start(), *trials):
        store.append(record)
    found = store.unfinished(start("new"))
    assert found is not None
    assert (found[0].session, found[1]) == ("s1", trials)


def test_a_session_given_up_for_a_fresh_one_that_ended_is_not_gone_on_with(tmp_path: Path) -> None:
    store = TuneStore(tmp_path)
    for record in (start("s0"), start("s1"), end(session="s1")):
        store.append(record)
    assert store.unfinished(start("new")) is None


def test_what_was_measured_before_forgetting_is_not_gone_on_with(tmp_path: Path) -> None:
    store = TuneStore(tmp_path)
    store.append(start())
    store.append(TuneForget("2026-11-24T09:00:00+00:00", "m:1b"))
    assert store.unfinished(start("new")) is None


def test_a_session_of_another_context_is_not_gone_on_with(tmp_path: Path) -> None:
    store = TuneStore(tmp_path)
    store.append(start())
    assert store.unfinished(start("new", context_length=8192)) is None


def test_lines_that_were_cut_or_written_by_a_later_version_are_skipped(tmp_path: Path) -> None:
    store = TuneStore(tmp_path)
    store.append(end())
    with store.path.open("ab") as file:
        file.write(msgspec.json.encode({"kind": "end", "schema": 99}) + b"\n" + b'{"kind": "end", "sess')
    store.append(end(winner=Changes(num_threads=3)))
    assert [one.winner for one in store.verdicts()] == [Changes(num_threads=3)]


INSTALLED = Installation("llama_cpp", Path("/opt/llama-server"), "1", "the test", "cd" * 32)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    setup = make_setup(load_settings(environ={"GEMSTEAD_DATA_DIR": str(tmp_path)}))
    add_model(setup.store, "m:1b")
    return msgspec.structs.replace(setup, kind=msgspec.structs.replace(setup.kind, find=lambda *_: INSTALLED))


@pytest.fixture
def machine() -> Machine:
    return msgspec.structs.replace(load_profile("laptop-32gb"), origin="probed")


def keep(setup: Setup, machine: Machine, differing: dict[str, str] | None = None) -> None:
    key = tune_key(setup.store.require("m:1b"), INSTALLED, machine)
    TuneStore(setup.loaded.paths.data).append(
        end(msgspec.structs.replace(key, **(differing or {})), Changes(num_threads=3))
    )


def test_a_verdict_holds_for_the_same_weights_engine_and_machine(setup: Setup, machine: Machine) -> None:
    manifest = setup.store.require("m:1b")
    assert tuned_for(setup, machine, manifest) is None
    keep(setup, machine)
    found = tuned_for(setup, machine, manifest)
    assert found is not None
    assert found.winner == Changes(num_threads=3)


@pytest.mark.parametrize("field", ["model_sha256", "engine_version", "engine_sha256", "machine"])
def test_a_verdict_of_other_weights_another_engine_or_machine_is_not_used(
    setup: Setup, machine: Machine, field: str
) -> None:
    keep(setup, machine, {field: "another"})
    assert tuned_for(setup, machine, setup.store.require("m:1b")) is None


def test_a_described_machine_is_planned_without_what_was_tuned_here(setup: Setup, machine: Machine) -> None:
    keep(setup, machine)
    assert tuned_for(setup, load_profile("laptop-32gb"), setup.store.require("m:1b")) is None


def test_tuning_is_switched_off_by_a_setting(setup: Setup, machine: Machine) -> None:
    keep(setup, machine)
    assert tuned_for(without_tuned(setup), machine, setup.store.require("m:1b")) is None


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEMSTEAD_DATA_DIR", str(tmp_path))
    return tmp_path


def test_verdicts_are_shown_and_forgotten(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TuneStore(data).append(end(winner=Changes(speculation="ngram")))
    assert run(["tune", "--show"]) == 0
    assert "m:1b for code-edit: speculation ngram" in capsys.readouterr().out
    assert run(["tune", "--forget", "--dry-run"]) == 0
    assert len(TuneStore(data).verdicts()) == 1
    assert run(["tune", "--forget"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 verdict(s) forgotten"
    assert TuneStore(data).verdicts() == []


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["tune", "--for", "latncy"], "did you mean 'latency'"),
        (["tune", "--forget", "--model", "nobody:1b"], "nobody:1b"),
        (["bench", "speculation", "--kind", "magic"], "magic"),
        (["plan", "--speculation", "magic"], "speculation"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    data: Path, capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    assert data.is_dir()
    assert run(argv) in (2, 3)
    assert words in capsys.readouterr().err
