"""When evidence is kept, and what commands and a server leave in it."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from door_fakes import FakeEngine, ask, fake_exchange
from fake_engine import small_plan
from fake_ledger import chain_of
from gemstead.access.lock import FailedAttempt
from gemstead.access.policy_file import PolicyText
from gemstead.access.records import KeyFields
from gemstead.api.metrics import DoorMetrics
from gemstead.app import server_evidence
from gemstead.app.evidence import is_recording, write_event
from gemstead.app.keys import key_store
from gemstead.app.server_evidence import ServerEvidence, is_alive, opened_evidence, own_run
from gemstead.app.setup import Setup, make_setup
from gemstead.catalog.derive import derive_model
from gemstead.core.errors import EvidenceUnavailable
from gemstead.engines.base import Installation
from gemstead.engines.process import EngineChange
from gemstead.evidence import records
from gemstead.evidence.canonical import canonical
from gemstead.evidence.records import Closing, Opening
from gemstead.settings.load import Loaded, load_settings
from policy_makers import policy, rule
from small_store import add_model

ENGINE = Installation("llama_cpp", Path("/engine"), "b1", "test", "ee" * 32)


def loaded(data: Path, is_on: str = "auto", **settings: str) -> Loaded:
    environ = {f"GEMSTEAD_{name.upper()}": value for name, value in settings.items()}
    return load_settings(environ={"GEMSTEAD_DATA_DIR": str(data), "GEMSTEAD_EVIDENCE_IS_ON": is_on, **environ})


def kinds(data: Path) -> list[str]:
    return [str(record["kind"]) for record in chain_of(data)]


def make_key(where: Loaded, name: str = "laptop", owner: str = "Ada Lovelace") -> str:
    with key_store(where) as store:
        _, record = store.create(KeyFields(name=name, owner=owner), now_s=time.time(), created_by="root")
    return record.id


def test_evidence_is_kept_from_the_first_key_on_or_with_an_identity_provider_or_as_told(tmp_path: Path) -> None:
    assert not is_recording(loaded(tmp_path))
    assert not (tmp_path / "gemstead.db").exists()
    assert is_recording(loaded(tmp_path, "on"))
    assert is_recording(loaded(tmp_path, oidc_issuer="https://login.example.org"))
    make_key(loaded(tmp_path))
    assert is_recording(loaded(tmp_path))
    assert not is_recording(loaded(tmp_path, "off"))


def test_where_none_is_kept_nothing_is_written(tmp_path: Path) -> None:
    assert write_event(loaded(tmp_path), records.event("tool.run", 1.0)) is None
    assert not (tmp_path / "evidence.db").exists()


def test_every_change_of_a_key_is_in_the_chain_without_names(tmp_path: Path) -> None:
    where = loaded(tmp_path)
    key = make_key(where)
    with key_store(where) as store:
        _, new = store.rotate(key, overlap_s=1.0, now_s=time.time(), created_by="root")
        store.revoke(new.id, now_s=time.time())
    assert kinds(tmp_path) == ["evidence.begun", "key.created", "key.rotated", "key.revoked"]
    _, created, rotated, revoked = chain_of(tmp_path)
    assert (created["key"], rotated["key"], rotated["rotated_from"], revoked["key"]) == (key, new.id, key, new.id)
    assert created["actor"] == rotated["actor"]
    assert str(created["by"]).startswith("p-")
    for record in chain_of(tmp_path)[1:]:
        for name in (b"Ada", b"Lovelace", b"root", b"laptop"):
            assert name not in canonical(record)


def test_a_key_whose_making_cannot_be_recorded_is_shown_to_nobody(tmp_path: Path) -> None:
    where = loaded(tmp_path)
    make_key(where)
    # Another installation's key: nothing may be signed, so nothing recorded.
    (tmp_path / "secrets" / "evidence.key").unlink()
    with pytest.raises(Exception, match="key"):
        make_key(where, "second")


def test_models_that_come_and_go_and_licences_are_in_the_chain(tmp_path: Path) -> None:
    setup = make_setup(loaded(tmp_path, "on"))
    manifest = add_model(setup.store, "mine")
    derive_model(setup.store, "mine", "parrot")
    setup.store.remove("parrot", is_dry_run=True)
    setup.store.remove("parrot")
    licence = setup.store.catalog.licences[0]
    setup.store.accept(licence)
    setup.store.accept(licence)
    assert kinds(tmp_path) == ["evidence.begun", "model.pulled", "model.created", "model.removed", "licence.accepted"]
    _, pulled, created, removed, accepted = chain_of(tmp_path)
    digest = manifest.files[0].sha256
    assert pulled["files"] == [{"name": "m.gguf", "sha256": digest, "bytes": 4}]
    assert (pulled["model"], created["made_from"], removed["model"]) == ("mine", "mine", "parrot")
    assert accepted["licence"] == licence.id


def test_a_model_whose_coming_cannot_be_recorded_does_not_come(tmp_path: Path) -> None:
    setup = make_setup(loaded(tmp_path, "on"))
    add_model(setup.store, "mine")
    (tmp_path / "evidence.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match=r"evidence\.db"):
        derive_model(setup.store, "mine", "parrot")
    assert [found.name for found in setup.store.list()] == ["mine"]


def setup_of(data: Path, is_on: str = "on") -> Setup:
    setup = make_setup(loaded(data, is_on))
    if not setup.store.list():
        add_model(setup.store, "tiny")
    return setup


@asynccontextmanager
async def server(data: Path, is_on: str = "on") -> AsyncIterator[ServerEvidence]:
    async with opened_evidence(setup_of(data, is_on), small_plan("tiny"), ENGINE) as evidence:
        yield evidence


async def ask_once(evidence: ServerEvidence) -> None:
    exchange = msgspec.structs.replace(fake_exchange(FakeEngine()), recorder=evidence.recorder)
    async for _event in exchange.chat(ask()):
        pass


async def test_a_servers_life_is_in_the_chain_from_start_to_stop(tmp_path: Path) -> None:
    setup_of(tmp_path)
    text = policy(rule("r"))
    async with server(tmp_path) as evidence:
        evidence.note_policy(PolicyText(text.file, "ab" * 32, ""))
        evidence.note_engine(EngineChange("started", 7))
        await ask_once(evidence)
        evidence.note_engine(EngineChange("crashed", why="killed by SIGKILL"))
        evidence.note_engine(EngineChange("stopped"))
    assert kinds(tmp_path)[2:] == [
        "server.started",
        "policy.applied",
        "engine.started",
        "exchange.opened",
        "exchange.closed",
        "engine.crashed",
        "engine.stopped",
        "server.stopped",
    ]
    _, pulled, started, applied, ready, opened, _, crashed, *_ = chain_of(tmp_path)
    digest = pulled["files"][0]["sha256"]  # type: ignore[index, call-overload]
    assert (started["run"], started["cut"], started["num_cut"]) == (own_run(), [], 0)
    assert (applied["policy"], applied["rules"]) == ("ab" * 32, 1)
    assert (ready["pid"], ready["program_digest"], ready["engine_build"]) == (7, "ee" * 32, "llama_cpp-b1")
    assert (opened["model_digest"], opened["engine_build"], opened["run"]) == (digest, "llama_cpp-b1", own_run())
    assert crashed["why"] == "killed by SIGKILL"


async def test_where_none_is_kept_a_server_writes_nothing_until_the_first_key_is_made(tmp_path: Path) -> None:
    async with server(tmp_path, "auto") as evidence:
        evidence.note_policy(PolicyText(policy().file, "ab" * 32, ""))
        evidence.note_engine(EngineChange("started", 7))
        has_keys = False
        async with evidence.watching(lambda: has_keys):
            await ask_once(evidence)
            assert evidence.recorder() is None
            assert not (tmp_path / "evidence.db").exists()
            has_keys = True
            await ask_once(evidence)
    assert kinds(tmp_path) == [
        "evidence.begun",
        "server.started",
        "policy.applied",
        "engine.started",
        "exchange.opened",
        "exchange.closed",
        "server.stopped",
    ]


async def test_a_server_told_off_stays_off_whatever_keys_there_are(tmp_path: Path) -> None:
    make_key(loaded(tmp_path, "off"))
    async with server(tmp_path, "off") as evidence, evidence.watching(lambda: True):
        await ask_once(evidence)
    assert not (tmp_path / "evidence.db").exists()


async def test_evidence_that_cannot_be_opened_refuses_requests(tmp_path: Path) -> None:
    async with server(tmp_path, "auto") as evidence:
        (tmp_path / "evidence.db").write_bytes(b"no database" * 1000)
        async with evidence.watching(lambda: True):
            with pytest.raises(EvidenceUnavailable):
                await ask_once(evidence)


async def test_failed_sign_ins_are_counted_and_written_at_the_end_at_the_latest(tmp_path: Path) -> None:
    async with server(tmp_path) as evidence:
        for moment in range(1000):
            evidence.note_sign_in_failure(FailedAttempt("unknown", "192.0.2.0/24", float(moment)))
        evidence.note_sign_in_failure(FailedAttempt("revoked", "192.0.2.0/24", 5.0, "k1"))
    told = [
        (record["network"], record["reason"], record["num"], record["key"])
        for record in chain_of(tmp_path)
        if record["kind"] == "sign_in.failed"
    ]
    assert told == [("192.0.2.0/24", "unknown", 1000, None), ("192.0.2.0/24", "revoked", 1, "k1")]


def write_exchange(where: Loaded, run: str, exchange: str, *, is_closed: bool) -> int:
    opening = Opening(run=run, exchange=exchange, action="chat", model="tiny")
    position = write_event(where, records.exchange_opened(opening, 1.0))
    assert position is not None
    if is_closed:
        write_event(where, records.exchange_closed(opening, position, Closing(status="stop"), 2.0))
    return position


async def test_a_start_names_what_a_run_that_is_no_more_left_open_and_names_it_once(tmp_path: Path) -> None:
    where = setup_of(tmp_path).loaded
    write_exchange(where, "r-999999999-1", "req_1", is_closed=True)
    # Callers choose their ids: one that was used before must not pass for closed.
    cut = write_exchange(where, "r-999999999-1", "req_1", is_closed=False)
    async with server(tmp_path):
        pass
    async with server(tmp_path):
        pass
    first, second = [record for record in chain_of(tmp_path) if record["kind"] == "server.started"]
    assert (first["cut"], first["num_cut"]) == ([{"opened": cut, "exchange": "req_1"}], 1)
    assert (second["cut"], second["num_cut"]) == ([], 0)


async def test_what_another_server_is_still_answering_is_no_cut_until_that_one_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = setup_of(tmp_path).loaded
    alive = {"r-1-1"}
    monkeypatch.setattr(server_evidence, "is_alive", lambda run: run in alive)
    going_on = write_exchange(where, "r-1-1", "req_1", is_closed=False)
    async with server(tmp_path):
        pass
    alive.clear()
    async with server(tmp_path):
        pass
    first, second = [record for record in chain_of(tmp_path) if record["kind"] == "server.started"]
    assert (first["num_cut"], first["settled"]) == (0, going_on)
    assert second["cut"] == [{"opened": going_on, "exchange": "req_1"}]


def test_a_run_is_alive_as_long_as_its_process() -> None:
    assert is_alive(own_run())
    _, pid, started = own_run().split("-")
    assert int(pid) == os.getpid()
    for other in (f"r-{pid}-{int(started) - 60_000}", "r-999999999-1", "r-1", "", "r-x-1", f"r-{'9' * 40}-1"):
        assert not is_alive(other)


async def test_records_that_are_older_than_they_are_kept_go(tmp_path: Path) -> None:
    where = setup_of(tmp_path).loaded
    write_event(where, records.event("tool.run", 1.0))
    async with server(tmp_path) as evidence:
        await asyncio.to_thread(evidence.let_go)
    connection = sqlite3.connect(tmp_path / "evidence.db")
    blank = connection.execute("SELECT position FROM records WHERE record IS NULL").fetchall()
    connection.close()
    assert blank == [(2,)]
    assert "evidence.expired" in kinds(tmp_path)


def test_the_metrics_count_records_waits_and_failures() -> None:
    metrics = DoorMetrics()
    metrics.evidence.count_record("opening")
    metrics.evidence.count_record_wait("opening", 0.002)
    metrics.evidence.count_record_failure("closing")
    text = metrics.render().decode()
    assert 'gemstead_evidence_records_total{record="opening"} 1.0' in text
    assert 'gemstead_evidence_wait_seconds_count{record="opening"} 1.0' in text
    assert 'gemstead_evidence_failures_total{record="closing"} 1.0' in text
