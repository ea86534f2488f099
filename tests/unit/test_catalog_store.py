"""The store on small files: what is published, shared, removed and found again."""

import hashlib
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gemstead.catalog.known_digests import recall_digest, record_digest
from gemstead.catalog.manifests import Manifest, StoredFile, checked_file_name
from gemstead.catalog.store import Store
from gemstead.core.errors import DigestMismatch, FileDamaged, ModelMissing, NameUnknown, RequestInvalid


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def add(store: Store, name: str, *contents: bytes, model: str | None = None, tag: str | None = None) -> Manifest:
    files = []
    for number, content in enumerate(contents, start=1):
        sha256 = hashlib.sha256(content).hexdigest()
        store.incoming.mkdir(parents=True, exist_ok=True)
        path = store.incoming / "new"
        path.write_bytes(content)
        store.add_blob(path, sha256)
        file_name = f"m-{number:05d}-of-{len(contents):05d}.gguf" if len(contents) > 1 else "m.gguf"
        files.append(StoredFile(file_name, "model", sha256, len(content)))
    return store.publish(
        Manifest(
            name=name,
            model=model or name,
            tag=tag,
            format="gguf",
            source="file",
            place="here",
            files=tuple(files),
            stored_at="2026-11-24T00:00:00+00:00",
        )
    )


def test_looking_at_an_empty_store_writes_nothing(store: Store) -> None:
    assert store.list() == []
    assert store.find("gemma4:e2b") is None
    assert store.leftovers() == ()
    assert not store.root.exists()


def test_a_published_model_is_found_and_opens_under_its_own_name(store: Store) -> None:
    manifest = add(store, "mine:1b", b"weights")
    assert store.find("mine:1b") == manifest
    path = store.path_of(manifest)
    assert path is not None
    assert (path.name, path.read_bytes()) == ("m.gguf", b"weights")
    assert store.path_of(manifest, "mmproj") is None


def test_parts_of_a_split_model_lie_together_and_the_first_is_opened(store: Store) -> None:
    manifest = add(store, "split:1b", b"one", b"two", b"three")
    path = store.path_of(manifest)
    assert path is not None
    assert path.name == "m-00001-of-00003.gguf"
    assert [part.read_bytes() for part in sorted(path.parent.iterdir())] == [b"one", b"two", b"three"]


def test_a_view_that_was_deleted_or_spoiled_is_made_again(store: Store) -> None:
    manifest = add(store, "mine:1b", b"weights")
    path = store.path_of(manifest)
    assert path is not None
    path.unlink()
    path.write_bytes(b"something else")
    assert store.path_of(manifest) == path
    assert path.read_bytes() == b"weights"
    assert list(path.parent.iterdir()) == [path]


def test_a_name_without_quantization_means_the_best_liked_one_here(store: Store) -> None:
    add(store, "gemma4:e2b-q8_0", b"8", model="gemma4:e2b", tag="q8_0")
    add(store, "gemma4:e2b-qat-q4_0", b"4", model="gemma4:e2b", tag="qat-q4_0")
    found = store.find("gemma4:e2b")
    assert found is not None
    assert found.tag == "qat-q4_0"
    exact = store.find("gemma4:e2b-it-q8_0")
    assert exact is not None
    assert exact.tag == "q8_0"
    assert store.find("gemma4:e2b-q4_0") is None
    assert store.find("gemma4:e2b@synthetic") is None


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("gemma4:e2b", "gemstead models pull gemma4:e2b"),
        ("gemma4:e2b@tiny", "gemstead models synth gemma4:e2b --tiny"),
        ("gemma4:e2b-q8_0@synthetic", "gemstead models synth gemma4:e2b --quant q8_0"),
    ],
)
def test_what_is_missing_comes_with_the_command_that_brings_it(store: Store, name: str, command: str) -> None:
    with pytest.raises(ModelMissing) as caught:
        store.require(name)
    assert caught.value.hint == command


def test_an_unknown_name_is_suggested_from_the_store_too(store: Store) -> None:
    add(store, "mine:1b", b"weights")
    with pytest.raises(NameUnknown) as caught:
        store.require("mein:1b")
    assert caught.value.nearest == "mine:1b"


def test_removing_frees_only_what_no_other_model_uses(store: Store) -> None:
    add(store, "one:1b", b"shared", b"only one")
    two = add(store, "two:1b", b"shared", b"only two")
    removal = store.remove("one:1b")
    assert (removal.freed_bytes, removal.kept_bytes) == (len(b"only one"), len(b"shared"))
    assert store.list() == [two]
    assert store.verify("two:1b") == two
    assert not any(blob.exists() for blob in removal.blobs)
    assert store.remove("two:1b").kept_bytes == 0
    assert list((store.root / "blobs").iterdir()) == []


def test_a_dry_run_removes_nothing(store: Store) -> None:
    manifest = add(store, "mine:1b", b"weights")
    removal = store.remove("mine:1b", is_dry_run=True)
    assert removal.freed_bytes == 7
    assert store.verify("mine:1b") == manifest


def test_verifying_finds_a_flipped_bit_and_sets_the_file_aside(store: Store) -> None:
    manifest = add(store, "mine:1b", b"weights")
    store.blob(manifest.files[0].sha256).write_bytes(b"weightz")
    with pytest.raises(DigestMismatch, match="changed on the disk"):
        store.verify("mine:1b")
    assert [path.read_bytes() for path in store.quarantine.iterdir()] == [b"weightz"]
    with pytest.raises(ModelMissing, match="gone from the store"):
        store.path_of(manifest)


def test_a_model_whose_bytes_are_cut_short_is_not_complete(store: Store) -> None:
    manifest = add(store, "mine:1b", b"weights")
    assert store.is_complete(manifest)
    store.blob(manifest.files[0].sha256).write_bytes(b"weig")
    assert not store.is_complete(manifest)


def test_a_model_without_its_bytes_is_not_published(store: Store) -> None:
    manifest = add(store, "mine:1b", b"weights")
    store.remove("mine:1b")
    with pytest.raises(FileDamaged, match="vanished"):
        store.publish(manifest)
    assert store.list() == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": "x"}', b'{"name": "x", "unexpected": 1}'])
def test_a_damaged_record_is_named(store: Store, content: bytes) -> None:
    store.manifests.mkdir(parents=True)
    (store.manifests / "x.json").write_bytes(content)
    with pytest.raises(FileDamaged, match=r"x\.json"):
        store.list()


def test_a_record_of_a_later_gemstead_is_not_guessed_at(store: Store) -> None:
    manifest = add(store, "mine:1b", b"weights")
    later = msgspec.to_builtins(manifest) | {"something_new": True}
    (store.manifests / "mine%3A1b.json").write_bytes(msgspec.json.encode(later))
    with pytest.raises(FileDamaged):
        store.list()


def test_leftovers_are_what_no_model_uses(store: Store) -> None:
    add(store, "mine:1b", b"weights")
    assert store.leftovers() == ()
    orphan = store.blob("0" * 64)
    orphan.write_bytes(b"orphan")
    assert store.leftovers() == (orphan,)


def test_names_that_differ_are_different_files(store: Store) -> None:
    names = ["a:b", "a-b", "a_b", "a%3ab"]
    for name in names:
        add(store, name, name.encode())
    assert [manifest.name for manifest in store.list()] == sorted(names)


def test_digests_are_recalled_by_place_file_and_revision(tmp_path: Path) -> None:
    record_digest(tmp_path, "owner/repo", "f.gguf", "abc", "1" * 64)
    assert recall_digest(tmp_path, "owner/repo", "f.gguf", "abc") == "1" * 64
    assert recall_digest(tmp_path, "owner/repo", "f.gguf", "abd") is None
    assert recall_digest(tmp_path, "owner/repo", "g.gguf", "abc") is None
    record_digest(tmp_path, "owner/repo", "f.gguf", "abc", "2" * 64)
    assert recall_digest(tmp_path, "owner/repo", "f.gguf", "abc") == "2" * 64
    next(tmp_path.glob("*.json")).write_bytes(b"{")
    with pytest.raises(FileDamaged):
        recall_digest(tmp_path, "owner/repo", "f.gguf", "abc")


@pytest.mark.parametrize("name", ["a.gguf", "MTP/a.gguf", "a b-c_d.gguf", "..a.gguf"])
def test_a_file_name_of_a_source_may_have_folders(name: str) -> None:
    assert checked_file_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/../../b", "/etc/a", "a\\b", "C:a", "a\0b", "x/.."])
def test_a_file_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(RequestInvalid):
        checked_file_name(name)


def test_reading_the_store_loads_no_http_client() -> None:
    heavy = ["httpx2", "huggingface_hub", "filelock", "numpy", "gguf", "ssl"]
    program = (
        "import sys, gemstead.catalog.pull, gemstead.catalog.local_import; from gemstead.catalog.store import Store; "
        f"Store(__import__('pathlib').Path('/nonexistent')).list(); print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
