"""What documents are told of an installation is what is there: evidence, content, files, incidents."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from certificates import make_certificate
from gemstead.access.failure_store import FailureCounts, add_failures
from gemstead.app.backup import LIST_FILE, Made
from gemstead.app.evidence import write_event
from gemstead.app.report_facts import gather
from gemstead.catalog.licences import accept_licence
from gemstead.catalog.store import Store
from gemstead.core.errors import SettingInvalid
from gemstead.evidence import records
from gemstead.report.facts import Facts
from gemstead.settings.load import Loaded, load_settings
from gemstead.store.database import open_database
from small_store import add_model

NOW_S = time.time()
POLICY = """
version = 1
[[rules]]
id = "keeps"
effect = "allow"
labels = ["internal"]
keeps_content = true
retention_days = 9
limits = { tokens_per_day = 5 }
[[rules]]
id = "keeps-not"
effect = "allow"
labels = ["secret"]
"""


def loaded(data: Path, **settings: str) -> Loaded:
    environ = {f"GEMSTEAD_{name.upper()}": value for name, value in settings.items()}
    return load_settings(environ={"GEMSTEAD_DATA_DIR": str(data), **environ})


def evident(data: Path) -> Facts:
    """With evidence of what went wrong."""
    where = loaded(data, evidence_is_on="on")
    for record in (
        records.event("engine.crashed", NOW_S - 400, engine="llama_cpp", why="killed"),
        records.event("exchange.refused", NOW_S - 300, key="k1", code="quota_exceeded", num=12),
        records.event("server.started", NOW_S - 200, num_cut=2, cut=[]),
        records.event("server.started", NOW_S - 199, num_cut=0, cut=[]),
        records.event("exchange.closed", NOW_S - 100, error="engine_failed", opened=0),
        records.event("exchange.closed", NOW_S - 99, error="engine_failed", opened=0),
        records.event("exchange.closed", NOW_S - 98, error=None, opened=0),
    ):
        write_event(where, record)
    return gather(where, now_s=NOW_S)


def test_a_bare_installation_is_told_as_it_is_and_left_as_it_was(tmp_path: Path) -> None:
    facts = gather(loaded(tmp_path), now_s=NOW_S)
    assert not facts.door.is_locked
    assert facts.door.is_loopback
    assert (facts.evidence.is_on, facts.evidence.is_there, facts.evidence.verdict) == (False, False, "not_looked")
    assert (facts.models, facts.incidents, facts.running, facts.backup_s) == ((), (), (), None)
    assert facts.policy.sha256 is None
    assert list(tmp_path.iterdir()) == []


def test_what_went_wrong_according_to_the_evidence_is_listed(tmp_path: Path) -> None:
    facts = evident(tmp_path)
    found = {(one.kind, one.number, one.detail) for one in facts.incidents}
    assert found >= {("crash", 1, "llama_cpp killed"), ("refused", 12, "quota_exceeded k1"), ("cut", 2, "")}
    assert sum(one.number for one in facts.incidents if one.kind == "error") == 2
    assert facts.evidence.verdict == "ok"
    assert facts.evidence.num_records == 8
    assert facts.evidence.checkpoint_s is not None


def test_evidence_that_was_changed_is_a_finding_and_an_incident(tmp_path: Path) -> None:
    evident(tmp_path)
    with closing(sqlite3.connect(tmp_path / "evidence.db", isolation_level=None)) as connection:
        connection.execute(
            "UPDATE records SET record = replace(record, 'quota_exceeded', 'nothing') WHERE position = 2"
        )
    facts = gather(loaded(tmp_path, evidence_is_on="on"), now_s=NOW_S)
    assert facts.evidence.verdict == "findings"
    assert any("2" in finding for finding in facts.evidence.findings)
    assert [one.kind for one in facts.incidents if one.kind == "finding"] == ["finding"]


def test_a_checkpoint_elsewhere_shows_that_the_end_is_missing(tmp_path: Path) -> None:
    evident(tmp_path)
    with closing(sqlite3.connect(tmp_path / "evidence.db", isolation_level=None)) as connection:
        note = connection.execute("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()[0]
        connection.execute("DELETE FROM checkpoints WHERE size = (SELECT max(size) FROM checkpoints)")
        connection.execute("DELETE FROM records WHERE position = (SELECT max(position) FROM records)")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(note)
    where = loaded(tmp_path, evidence_is_on="on", evidence_second_place=str(elsewhere))
    assert gather(where, now_s=NOW_S).evidence.verdict == "findings"


def test_failed_sign_ins_are_incidents_of_their_hour(tmp_path: Path) -> None:
    hour_s = int(NOW_S // 3600 * 3600)
    with closing(open_database(tmp_path / "gemstead.db").raw()) as connection:
        add_failures(connection, FailureCounts({(hour_s, "203.0.113.0/24", "unknown"): 7}), NOW_S)
    (incident,) = gather(loaded(tmp_path), now_s=NOW_S).incidents
    assert (incident.at_s, incident.kind, incident.number) == (hour_s, "sign_in", 7)
    assert incident.detail == "203.0.113.0/24 unknown"


def test_content_is_kept_as_the_rules_say_and_only_with_evidence(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    without, with_evidence = gather(loaded(tmp_path)), gather(loaded(tmp_path, evidence_is_on="on"))
    assert not without.content.is_on
    assert with_evidence.content.is_on
    assert with_evidence.content.days_by_label == (("internal", 9),)
    assert [rule.limits for rule in with_evidence.policy.rules] == [("tokens_per_day 5",), ()]


def test_a_broken_policy_is_told_and_no_reason_to_write_nothing(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("version = 2")
    facts = gather(loaded(tmp_path))
    assert "version" in (facts.policy.fault or "")
    assert facts.policy.sha256 is None


def test_files_that_others_can_get_at_are_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "secrets").mkdir(parents=True)
    data.chmod(0o700)
    pepper = data / "secrets" / "pepper"
    pepper.write_bytes(b"x" * 32)
    pepper.chmod(0o644)
    assert gather(loaded(data)).open_files == (str(pepper),)
    pepper.chmod(0o600)
    data.chmod(0o777)
    assert str(data) in gather(loaded(data)).open_files


def test_a_certificate_a_backup_and_a_model_are_told_with_their_dates(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    made = Made("/b", "2026-11-20T10:00:00+00:00", "aa" * 32, 1, has_content=False)
    where = loaded(tmp_path, server_tls_cert=str(certificate[0]), server_tls_key=str(certificate[1]))
    where.paths.state.mkdir(parents=True, exist_ok=True)
    (where.paths.state / LIST_FILE).write_bytes(msgspec.json.encode(made))
    add_model(Store(where.paths.models), "mine:1b")
    facts = gather(where)
    assert facts.door.certificate_ends_s is not None
    assert facts.backup_s == 1_795_168_800.0
    assert len(facts.models) == 1
    assert {"server.tls_cert", "server.tls_key"} == {one.name for one in facts.settings}


def test_a_licence_that_was_agreed_to_is_told_with_its_record(tmp_path: Path) -> None:
    where = loaded(tmp_path, evidence_is_on="on")
    store = Store(where.paths.models)
    licence = next(one for one in store.catalog.licences if one.must_accept)
    accept_licence(store.licences, licence)
    position = write_event(where, records.event("licence.accepted", NOW_S, licence=licence.id))
    manifest = add_model(store, "mine:1b")
    store.publish(msgspec.structs.replace(manifest, licence=licence.id))
    (model,) = gather(where).models
    assert model.accepted_s is not None
    assert (model.licence_url, model.accepted_position) == (licence.url, position)


def test_no_secret_of_the_settings_is_among_the_facts(tmp_path: Path) -> None:
    facts = gather(loaded(tmp_path, access_pepper="a-pepper-of-thirty-two-characters"))
    assert "a-pepper-of" not in repr(facts)
    assert [one.value for one in facts.settings] == ['"***"']


def test_what_cannot_be_read_as_a_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "gemstead.db").mkdir()
    with pytest.raises(SettingInvalid):
        gather(loaded(tmp_path))
