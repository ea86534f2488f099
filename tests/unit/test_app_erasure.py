"""Erasing without a server: what is destroyed, what is only said, and what is recorded before it happens."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from gemstead.access.records import KeyFields
from gemstead.app.backup import forget_content_keys, write_content_keys
from gemstead.app.content import opened_vault
from gemstead.app.erasure import erase, would_erase
from gemstead.app.keys import key_store
from gemstead.app.retention import expire
from gemstead.app.subjects import export, held, list_subjects
from gemstead.core.errors import EvidenceUnavailable, NameUnknown, RequestInvalid
from gemstead.evidence.vault.subject import Subject
from gemstead.settings.load import Loaded, load_settings
from gemstead.store.database import open_database
from vaults import ALICE, BOB, DAY_MS, place

CAROL = Subject("alice", "carol")


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    loaded = load_settings(environ={"GEMSTEAD_DATA_DIR": str(tmp_path / "data"), "GEMSTEAD_EVIDENCE_IS_ON": "on"})
    now_ms = round(time.time() * 1000)
    with opened_vault(loaded) as (vault, _connection):
        for opened, subject in enumerate((ALICE, CAROL, BOB)):
            vault.keep(subject, place(opened, now_ms), now_ms + DAY_MS, b'{"of": "%d"}' % opened)
    return loaded


def kinds(loaded: Loaded) -> list[str]:
    with closing(open_database(loaded.paths.evidence, "evidence").raw()) as connection:
        return [row[0] for row in connection.execute("SELECT kind FROM records ORDER BY position")]


def test_a_dry_run_changes_nothing_and_says_what_would_go(loaded: Loaded) -> None:
    would = would_erase(loaded, "alice", has_below=False)
    assert (would.num_texts, would.num_subjects, would.num_below, would.is_dry_run) == (1, 1, 1, True)
    assert len(list_subjects(loaded)) == 3
    assert not loaded.paths.evidence.exists()


def test_an_owner_goes_alone_or_with_everybody_below(loaded: Loaded) -> None:
    done = erase(loaded, "alice", has_below=False)
    assert (done.num_texts, done.is_scrubbed, done.is_complete) == (1, True, True)
    assert [str(one.subject) for one in list_subjects(loaded)] == ["alice/carol", "bob"]
    assert "content.erased" in kinds(loaded)
    erase(loaded, "carol", has_below=False)
    assert [str(one.subject) for one in list_subjects(loaded)] == ["bob"]


def test_what_cannot_be_recorded_is_not_erased(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise EvidenceUnavailable("the disk is full")

    monkeypatch.setattr("gemstead.app.erasure.write_event", refuse)
    monkeypatch.setattr("gemstead.app.retention.write_event", refuse)
    with pytest.raises(EvidenceUnavailable):
        erase(loaded, "alice", has_below=True)
    with pytest.raises(EvidenceUnavailable):
        expire(loaded, older_than_days=0)
    assert len(list_subjects(loaded)) == 3


def test_a_key_file_that_cannot_be_reached_is_named_and_the_erasure_is_not_called_complete(
    loaded: Loaded, tmp_path: Path
) -> None:
    folder = tmp_path / "usb"
    folder.mkdir()
    write_content_keys(loaded, folder / "content.keys")
    write_content_keys(loaded, tmp_path / "here.keys")
    (folder / "content.keys").unlink()
    folder.rmdir()
    done = erase(loaded, "alice", has_below=False)
    assert {one.path: one.why is None for one in done.key_files} == {
        str(folder / "content.keys"): False,
        str(tmp_path / "here.keys"): True,
    }
    assert not done.is_complete
    forget_content_keys(loaded, folder / "content.keys")
    assert erase(loaded, "bob", has_below=False).is_complete
    with pytest.raises(NameUnknown):
        forget_content_keys(loaded, folder / "content.keys")


def test_an_owner_of_keys_without_any_content_can_be_shown_and_erased(loaded: Loaded) -> None:
    with key_store(loaded) as store:
        store.create(KeyFields(name="laptop", owner="dora"), now_s=time.time(), created_by="me")
    found = held(loaded, "dora")
    assert ([key.fields.name for key in found.keys], found.contents, found.num_records) == (["laptop"], (), 1)
    done = erase(loaded, "dora", has_below=False)
    assert any("laptop" in sentence for sentence in done.left)
    with pytest.raises(NameUnknown):
        held(loaded, "nobody-of-that-name")


def test_what_was_typed_into_chat_goes_with_the_local_user_and_is_named_for_others(loaded: Loaded) -> None:
    history = loaded.paths.chat_history
    history.parent.mkdir(parents=True)
    history.write_text("# 2026\n+my secret\n")
    assert any("gemstead chat" in sentence for sentence in erase(loaded, "bob", has_below=False).left)
    assert history.exists()
    assert not any("gemstead chat" in sentence for sentence in erase(loaded, "key:local", has_below=False).left)
    assert not history.exists()


def test_an_export_is_private_whole_and_never_in_the_place_of_another_file(loaded: Loaded, tmp_path: Path) -> None:
    export(loaded, "alice", tmp_path / "alice.json")
    document = msgspec.json.decode((tmp_path / "alice.json").read_bytes())
    assert [one["text"] for one in document["contents"]] == [{"of": "0"}]
    assert (tmp_path / "alice.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(RequestInvalid, match="exists"):
        export(loaded, "bob", tmp_path / "alice.json")


def test_content_that_is_due_is_counted_by_label_in_the_evidence_and_nothing_is_written_where_none_is(
    loaded: Loaded,
) -> None:
    assert expire(loaded).num == 0
    assert not loaded.paths.evidence.exists()
    assert expire(loaded, label="secret", older_than_days=0, is_dry_run=True).num == 0

    assert expire(loaded, label="internal", older_than_days=0).labels == {"internal": 3}
    assert kinds(loaded)[-1] == "content.expired"
