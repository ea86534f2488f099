"""Model files: gone, replaced, other than published; their templates; what is left over, and cleaning it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from filelock import FileLock

from doctor_parts import add, look, subject, worst
from gemstead.catalog.clean import clean_store
from gemstead.catalog.gguf_parse import STRING
from gemstead.catalog.manifests import StoredFile
from gemstead.catalog.store import Store
from gemstead.doctor.subject import Subject
from gemstead.doctor.superseded import SUPERSEDED, superseded_as
from gemstead.doctor.template_version import template_line

LAUNCH = "<|turn>user {{- '<|tool_call>call:' -}}"
APRIL = LAUNCH + "{#- OpenAI Chat Completions: forward-scan -#}"
CANONICAL = "{# Published: 2026-07-09 #}" + APRIL


def gguf_with(template: str | None) -> bytes:
    """A GGUF header with a chat template and no tensor."""

    def text(value: str) -> bytes:
        return len(value.encode()).to_bytes(8, "little") + value.encode()

    def record(key: str, value: str) -> bytes:
        return text(key) + STRING.to_bytes(4, "little") + text(value)

    records = [record("general.architecture", "gemma4")]
    if template is not None:
        records.append(record("tokenizer.chat_template", template))
    counts = (0).to_bytes(8, "little") + len(records).to_bytes(8, "little")
    return b"GGUF" + (3).to_bytes(4, "little") + counts + b"".join(records)


@pytest.fixture
def examined(tmp_path: Path) -> Subject:
    return subject(tmp_path)


def test_an_empty_store_says_how_to_begin(examined: Subject, tmp_path: Path) -> None:
    (finding,) = look("files", examined)
    assert (finding.severity, finding.fix) == ("note", "gemstead up")
    offline = subject(tmp_path, environ={"HF_HUB_OFFLINE": "1"})
    assert look("files", offline)[0].severity == "warning"


def test_whole_files_are_fine(examined: Subject) -> None:
    model = add(examined.store, "mine:1b")
    (finding,) = look("files", examined)
    assert finding.severity == "ok"
    assert finding.evidence[model.name] == model.files[0].sha256


def test_a_file_that_is_gone_or_cut_is_an_error(examined: Subject) -> None:
    model = add(examined.store, "mine:1b")
    blob = examined.store.blob(model.files[0].sha256)
    blob.write_bytes(b"wei")
    assert worst(look("files", examined)).severity == "error"
    blob.unlink()
    found = worst(look("files", examined))
    assert (found.severity, found.fix) == ("error", "gemstead models rm mine:1b && gemstead models pull mine:1b")


@pytest.mark.parametrize("known", SUPERSEDED)
def test_each_replaced_upload_is_recognised_and_its_neighbour_is_not(known: msgspec.Struct) -> None:
    stored = StoredFile(known.file, "model", known.sha256 or "0" * 64, known.size_bytes or 1)
    found = superseded_as(stored)
    assert found is not None
    assert found.place.startswith("https://huggingface.co/")
    assert superseded_as(msgspec.structs.replace(stored, sha256="f" * 64, size_bytes=3)) is None


def test_a_replaced_upload_in_the_store_is_a_warning(examined: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    model = add(examined.store, "gemma4:e2b-unsloth-q4_k_m", file="gemma-4-E2B-it-Q4_K_M.gguf")
    small = msgspec.structs.replace(SUPERSEDED[2], size_bytes=model.size_bytes)
    monkeypatch.setattr("gemstead.doctor.superseded.SUPERSEDED", (small,))
    found = worst(look("files", examined))
    assert (found.severity, found.what.split(" of ")[0]) == ("warning", "gemma-4-E2B-it-Q4_K_M.gguf")


def test_a_file_that_is_not_the_published_one_is_a_warning(examined: Subject) -> None:
    add(examined.store, "gemma4:e4b-q4_0")
    found = worst(look("files", examined))
    assert found.severity == "warning"
    assert found.evidence["expected_size_bytes"] == 4590807392
    assert found.evidence["size_bytes"] == len(b"weights")


def test_generated_models_are_not_compared_with_published_ones(examined: Subject) -> None:
    add(examined.store, "gemma4:e4b-q4_0@tiny", model="gemma4:e4b", tag="q4_0", form="tiny")
    assert worst(look("files", examined)).severity == "ok"


@pytest.mark.parametrize(
    ("template", "line"),
    [
        (None, "none"),
        (LAUNCH, "launch"),
        (APRIL, "april"),
        (CANONICAL, "canonical"),
        (CANONICAL.replace("2026-07-09", "2027-01-01"), "canonical"),
        (CANONICAL.replace("2026-07-09", "2026-05-01"), "april"),
        ("<|im_start|>user", "foreign"),
        ("<|turn>user", "foreign"),
    ],
)
def test_the_line_of_a_template_is_told_by_its_text(template: str | None, line: str) -> None:
    assert template_line(template) == line


@pytest.mark.parametrize(
    ("template", "severity"),
    [(None, "note"), (LAUNCH, "warning"), (APRIL, "note"), (CANONICAL, "ok"), ("<|im_start|>", "warning")],
)
def test_the_template_inside_a_file_is_judged(examined: Subject, template: str | None, severity: str) -> None:
    add(examined.store, "gemma4:e4b-q8_0", gguf_with(template))
    (finding,) = look("template", examined)
    assert finding.severity == severity


def test_generated_weights_and_other_families_are_not_judged_by_their_template(examined: Subject) -> None:
    add(examined.store, "other:1b", gguf_with(LAUNCH))
    add(examined.store, "gemma4:e2b-q4_0@tiny", gguf_with(LAUNCH), model="gemma4:e2b", form="tiny")
    assert [finding.severity for finding in look("template", examined)] == ["ok"]


def test_a_damaged_file_is_an_error_and_the_next_is_looked_at(examined: Subject) -> None:
    add(examined.store, "gemma4:e2b-q8_0", b"no GGUF at all, though long enough for a header")
    add(examined.store, "gemma4:e4b-q8_0", gguf_with(CANONICAL))
    assert [finding.severity for finding in look("template", examined)] == ["error", "ok"]


def leave_behind(store: Store) -> list[Path]:
    """A cut pull, a quarantined file, bytes without a record."""
    paths = [store.incoming / "abc" / "m.gguf.part", store.quarantine / "bad.1", store.blob("0" * 64)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    return paths


def test_leftovers_are_noted_with_their_size(examined: Subject) -> None:
    assert look("leftovers", examined)[0].severity == "ok"
    leave_behind(examined.store)
    (finding,) = look("leftovers", examined)
    assert (finding.severity, finding.evidence["num_bytes"]) == ("note", 15)


def test_cleaning_removes_leftovers_and_nothing_else(examined: Subject) -> None:
    store = examined.store
    model = add(store, "mine:1b")
    paths = leave_behind(store)
    planned = clean_store(store, is_dry_run=True)
    assert planned.freed_bytes == 15
    assert all(path.exists() for path in paths)
    assert clean_store(store) == planned
    assert not any(path.exists() for path in paths)
    assert store.leftovers() == ()
    assert store.is_complete(model)


def test_cleaning_spares_what_another_process_works_on(examined: Subject) -> None:
    store = examined.store
    part, bad, blob = leave_behind(store)
    store.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(store.locks / "abc.lock", thread_local=False, is_singleton=False):
        cleaning = clean_store(store)
    assert part.exists()
    assert blob.exists()
    assert not bad.exists()
    assert set(cleaning.kept) == {store.incoming / "abc", blob}


def test_cleaning_spares_the_folder_of_a_living_import(examined: Subject) -> None:
    store = examined.store
    living = store.incoming / f"import-{os.getpid()}"
    living.mkdir(parents=True)
    dead = store.incoming / "synth-999999999"
    dead.mkdir()
    assert clean_store(store).removed == (dead,)
    assert living.exists()


def test_cleaning_an_empty_store_makes_no_folder(examined: Subject) -> None:
    assert clean_store(examined.store).removed == ()
    assert not examined.store.root.exists()
