"""The engine and its logs: builds against the table of known bugs, ends with an error, the nearest plan that fits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from doctor_parts import NOW_S, add, installation, look, machine, raising, subject, worst
from fake_engine import small_plan
from gemstead.catalog.manifests import StoredFile
from gemstead.core.errors import DoesNotFit, EngineMissing, ModelMissing
from gemstead.core.figures import BytesFigure
from gemstead.core.plan import MemoryPart, Plan
from gemstead.core.units import GIB
from gemstead.doctor.engine_logs import read_runs
from gemstead.doctor.known_bugs import LLAMA_CPP_BUGS, bugs_of, build_in
from gemstead.doctor.nearest_plan import smaller_than_planned
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.hardware.snapshot import Gpu

OOM_LINE = "0.01.123.456 E srv  ggml_backend_cpu_buffer: failed to allocate buffer of size 9000000000"
TIMINGS = """\
1.0 I slot print_timing: id 0 | prompt eval time =     100.00 ms /     4 tokens (25 ms per token)
1.0 I slot print_timing: id 0 |        eval time =    2000.00 ms /    50 tokens (40 ms per token)
1.0 I slot print_timing: id 0 | prompt eval time =    5000.00 ms /  1000 tokens (5 ms per token)
"""


def write_log(logs: Path, name: str, text: str, *, age_s: float = 60.0) -> Path:
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / name
    path.write_text(text)
    os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    return path


@pytest.mark.parametrize(("text", "build"), [("b8645", 8645), ("/bin/x is b8645, too old", 8645), ("0.5.0-dev", None)])
def test_a_build_number_is_found_in_a_version(text: str, build: int | None) -> None:
    assert build_in(text) == build


@pytest.mark.parametrize(
    ("build", "symptom", "is_there"),
    [
        (8660, "runs of newlines", True),
        (8661, "runs of newlines", False),
        (8701, "<unused24>", True),
        (8702, "<unused24>", False),
        (9491, "it aborts while it loads the projector", False),
        (9496, "it aborts while it loads the projector", True),
        (9503, "it aborts while it loads the projector", False),
        (9503, "projector of 12B", True),
        (9509, "projector of 12B", False),
        (10106, "<unused49>", False),
        (10107, "<unused49>", True),
        (None, "<unused49>", True),
        (None, "<unused24>", False),
    ],
)
def test_a_bug_is_in_its_range_of_builds_alone(build: int | None, symptom: str, is_there: bool) -> None:
    assert any(symptom in bug.symptom for bug in bugs_of(build)) is is_there


def test_every_known_bug_has_a_public_source_and_a_range() -> None:
    for bug in LLAMA_CPP_BUGS:
        assert bug.source.startswith("https://github.com/")
        assert bug.first_bad or bug.first_good


def test_a_good_engine_is_fine_and_names_what_does_not_matter_here(tmp_path: Path) -> None:
    (finding,) = look("engine", subject(tmp_path))
    assert (finding.severity, finding.what) == ("ok", "llama.cpp 0.5.0-dev, built")
    assert "<unused49>" in str(finding.evidence["known_bugs_that_do_not_matter_here"])


def test_a_program_without_a_build_number_is_not_accused_of_bugs(tmp_path: Path) -> None:
    noted, program = look("engine", subject(tmp_path, find_engine=lambda: installation("b1")))
    assert (noted.severity, program.severity) == ("note", "ok")
    assert "build number" in noted.what


def test_no_engine_is_a_warning(tmp_path: Path) -> None:
    (finding,) = look("engine", subject(tmp_path, find_engine=lambda: None))
    assert (finding.severity, finding.fix) == ("warning", "gemstead engine install")


def test_an_old_build_is_an_error_that_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    refusal = EngineMissing("/bin/llama-server is b8650, Gemma 4 needs b8702 or newer", hint="gemstead engine install")
    (finding,) = look("engine", subject(tmp_path, find_engine=raising(refusal)))
    assert finding.severity == "error"
    assert "runs of newlines become wrong tokens" in str(finding.why)


def test_a_projector_bug_matters_only_where_a_projector_is(tmp_path: Path) -> None:
    bad = subject(tmp_path, find_engine=lambda: installation("b9496"))
    assert worst(look("engine", bad)).severity == "ok"
    model = add(bad.store, "gemma4:e4b-q4_0")
    projector = StoredFile("mmproj.gguf", "mmproj", model.files[0].sha256, model.files[0].size_bytes)
    add(bad.store, "gemma4:e4b-q8_0", files=(*model.files, projector))
    found = worst(look("engine", bad))
    assert (found.severity, found.fix) == ("error", "gemstead engine install")
    assert "issues/24084" in str(found.why)


def test_a_gpu_bug_is_told_where_a_gpu_is_used(tmp_path: Path) -> None:
    card = machine(gpus=(Gpu("a card", "nvidia", 24 * GIB, BytesFigure(20 * GIB, "measured")),))
    with_card = subject(tmp_path, machine=card, find_engine=lambda: installation(can_use_gpu=True))
    assert "<unused49>" in look("engine", with_card)[0].what


def test_logs_that_end_well_are_fine(tmp_path: Path) -> None:
    examined = subject(tmp_path)
    write_log(examined.loaded.paths.logs, "llama_cpp-m.log", "all slots are idle\n")
    (finding,) = look("last_run", examined)
    assert finding.severity == "ok"


def test_out_of_memory_in_the_newest_log_is_an_error_with_a_smaller_plan(tmp_path: Path) -> None:
    examined = subject(tmp_path)
    write_log(examined.loaded.paths.logs, "llama_cpp-m.log", f"loading\n{OOM_LINE}\n")
    (finding,) = look("last_run", examined)
    assert finding.severity == "error"
    assert "there was not enough memory" in str(finding.why)
    assert finding.fix == "gemstead up --model gemma4:e2b-q4_0 --context 4096 --kv q8_0"


def test_a_server_whose_engine_was_killed_ran_out_of_memory(tmp_path: Path) -> None:
    logs = subject(tmp_path).loaded.paths.logs
    write_log(logs, "server-8484.log", "error: llama.cpp with m ended: killed by SIGKILL\n")
    (run,) = read_runs(logs, ENGINE)
    assert run.is_out_of_memory


def test_another_error_comes_with_its_own_fix_and_an_older_one_is_a_note(tmp_path: Path) -> None:
    examined = subject(tmp_path)
    write_log(examined.loaded.paths.logs, "llama_cpp-a.log", "unknown model architecture: 'gemma9'\n", age_s=10)
    write_log(examined.loaded.paths.logs, "llama_cpp-b.log", "invalid magic characters\n", age_s=3600)
    write_log(examined.loaded.paths.logs, "llama_cpp-c.log", "invalid magic characters\n", age_s=7 * 86_400)
    newest, older = look("last_run", examined)
    assert (newest.severity, newest.fix) == ("error", "update it: gemstead engine install llama_cpp")
    assert (older.severity, older.fix) == ("note", "gemstead models verify")


def test_the_speeds_in_a_log_are_those_of_its_longest_prompt(tmp_path: Path) -> None:
    write_log(tmp_path, "llama_cpp-m.log", TIMINGS)
    (run,) = read_runs(tmp_path, ENGINE)
    assert run.prefill_tok_per_s == 200.0
    assert run.decode_tok_per_s == 25.0


def test_more_head_room_gives_a_plan_that_needs_less(tmp_path: Path) -> None:
    def plan(headroom: float | None) -> Plan:
        size = 4 * GIB if headroom is None or headroom < 0.25 else 2 * GIB
        part = MemoryPart("weights", "host", BytesFigure(size, "computed"))
        return small_plan("gemma4:e2b-q4_0", memory=(part,), context_length=size // GIB * 1024)

    assert smaller_than_planned(subject(tmp_path, plan=plan)) == (
        "gemstead up --model gemma4:e2b-q4_0 --context 2048 --kv f16"
    )


def test_where_nothing_fits_the_refusal_is_the_advice(tmp_path: Path) -> None:
    refusal = DoesNotFit("too much", missing_bytes=1, hint="use --model gemma4:e2b (Q4_0, context 2048)")
    advice = smaller_than_planned(subject(tmp_path, plan=raising(refusal)))
    assert advice == "gemstead up --model gemma4:e2b --context 2048"
    assert smaller_than_planned(subject(tmp_path, plan=raising(ModelMissing("no")))) == "gemstead plan"
