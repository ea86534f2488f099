"""Which results of the store teach the planner something, and which do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench_parts import MACHINE, QUIET, SUBJECT, records
from gemstead.app.corrections import corrections_from, with_corrections
from gemstead.app.costs import predicted_speeds
from gemstead.app.machine_note import machine_note
from gemstead.bench.predictions import speed_checks
from gemstead.bench.results import Record, Run, RunEnd, RunStart, Subject, gather_runs
from gemstead.bench.store import ResultStore
from gemstead.core.errors import NameUnknown
from gemstead.core.figures import Figure
from gemstead.hardware.profiles import load_profile

HERE = load_profile("laptop-32gb")


def rows_of(name: str, rate: float, calibration: str | None = "a", **how: Any) -> list[Record]:
    """A run that was predicted to decode at 20 tokens/s and prefill at 80, and prefilled at 100."""
    rows = records(name, {128: [99.0], 512: [rate]}, **how)
    start = rows[0]
    assert isinstance(start, RunStart)
    assert start.prediction is not None
    prefill = Figure(80.0, "computed", 0.2)
    prediction = msgspec.structs.replace(start.prediction, prefill_tok_per_s=prefill, calibration=calibration)
    return [msgspec.structs.replace(start, prediction=prediction), *rows[1:]]


def run_of(name: str, rate: float, calibration: str | None = "a", **how: Any) -> Run:
    return gather_runs(rows_of(name, rate, calibration, **how))[0]


def subject(**changes: Any) -> Subject:
    return msgspec.structs.replace(SUBJECT, **changes)


def test_a_run_is_held_against_its_prediction_at_the_nearest_length() -> None:
    decode, prefill = speed_checks(run_of("r", 16.0))
    assert (decode.what, decode.prompt_tokens, decode.ratio) == ("decode", 512, pytest.approx(0.8))
    assert not decode.is_within_bar
    assert (prefill.what, prefill.ratio) == ("prefill", pytest.approx(1.25))
    assert speed_checks(run_of("r", 17.5))[0].is_within_bar


def test_a_run_at_other_lengths_only_is_not_held_against_the_prediction() -> None:
    run = gather_runs(records("r", {128: [16.0]}))[0]
    assert speed_checks(run) == []
    assert speed_checks(msgspec.structs.replace(run, start=msgspec.structs.replace(run.start, prediction=None))) == []


def test_each_model_counts_once_with_its_newest_run() -> None:
    runs = [run_of("r1", 5.0), run_of("r2", 16.0), run_of("r3", 16.0, subject=subject(model="gemma4:e4b-q4_0"))]
    (found,) = corrections_from(runs)
    assert (found.calibration, found.engine_version) == ("a", "1")
    assert found.decode is not None
    assert found.decode.num_measurements == 2
    assert found.decode.factor == pytest.approx(0.8 ** (2 / 3))
    assert found.prefill is not None
    assert found.prefill.factor == pytest.approx(1.25 ** (2 / 3))


def test_calibrations_are_kept_apart() -> None:
    found = corrections_from([run_of("r1", 10.0), run_of("r2", 40.0, "b")])
    assert [one.calibration for one in found] == ["a", "b"]
    assert found[0].decode != found[1].decode


def test_another_build_of_the_engine_does_not_count_once_the_new_one_is_measured() -> None:
    old = run_of("r1", 5.0, subject=subject(model="gemma4:12b-q4_0", engine_version="0"))
    (before,) = corrections_from([old])
    (after,) = corrections_from([old, run_of("r2", 16.0)])
    assert before.decode is not None
    assert after.decode is not None
    assert (before.engine_version, after.engine_version) == ("0", "1")
    assert after.decode.num_measurements == 1


def test_disturbed_interrupted_cached_and_unnamed_runs_teach_nothing() -> None:
    noisy = run_of("r1", 16.0, noise=msgspec.structs.replace(QUIET, others_share=0.9))
    cut = run_of("r2", 16.0, is_finished=False)
    cached = run_of("r3", 16.0)
    assert isinstance(cached.end, RunEnd)
    cached = msgspec.structs.replace(cached, end=msgspec.structs.replace(cached.end, warnings=("from a cache",)))
    assert corrections_from([noisy, cut, cached, run_of("r4", 16.0, None)]) == []


def test_only_results_of_this_machine_are_handed_to_the_planner(tmp_path: Path) -> None:
    store, note = ResultStore(tmp_path), machine_note(HERE)
    rows = [*rows_of("r1", 16.0, subject=subject(machine=note)), *rows_of("r2", 4.0, "b")]
    for row in rows:
        store.append(row)
    assert MACHINE.fingerprint != note.fingerprint
    assert [one.calibration for one in with_corrections(HERE, tmp_path).corrections] == ["a"]
    assert with_corrections(load_profile("rtx-4090"), tmp_path).corrections == ()


def test_without_results_nothing_changes_and_unreadable_ones_are_named(tmp_path: Path) -> None:
    assert with_corrections(HERE, tmp_path) == HERE
    ResultStore(tmp_path).path.mkdir(parents=True)
    machine = with_corrections(HERE, tmp_path)
    assert machine.corrections == ()
    assert any("not corrected" in note for note in machine.notes)


def test_a_speed_nobody_measured_or_published_is_predicted() -> None:
    found = predicted_speeds("gemma4:31b", load_profile("h100-80gb"))
    assert found is not None
    assert found.decode_tok_per_s.basis == "computed"
    assert "gemstead plan for gemma4:31b-q4_0 on h100-80gb" in (found.decode_tok_per_s.source or "")
    assert found.prefill_tok_per_s.value > found.decode_tok_per_s.value
    slower = predicted_speeds("gemma4:31b-q8_0", load_profile("h100-80gb"))
    assert slower is not None
    assert slower.decode_tok_per_s.value < found.decode_tok_per_s.value


def test_what_does_not_fit_or_has_no_known_shape_has_no_predicted_speed() -> None:
    pi = load_profile("raspberry-pi-5-8gb")
    assert predicted_speeds("gemma4:31b", pi) is None
    assert predicted_speeds("gemma4:e2b-fp8", pi) is None
    assert predicted_speeds("smollm2:135m", pi) is None
    with pytest.raises(NameUnknown):
        predicted_speeds("nothing:1b", pi)
