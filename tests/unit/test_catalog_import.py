"""Files that are already on this machine, taken into the store."""

import hashlib
from pathlib import Path

import pytest

from gemstead.catalog.local_import import ImportRequest, import_model
from gemstead.catalog.store import Store
from gemstead.core.errors import DigestMismatch, FileDamaged, RequestInvalid, SourceNotFound
from small_gguf import gguf_bytes

WEIGHTS = gguf_bytes(4000)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def put(folder: Path, name: str, content: bytes = WEIGHTS) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def assert_nothing_stored(store: Store) -> None:
    assert store.list() == []
    assert list((store.root / "blobs").glob("*")) == []
    assert list(store.incoming.glob("*")) == []


@pytest.mark.parametrize("how", ["copy", "link", "move"])
def test_a_file_is_copied_linked_or_moved(tmp_path: Path, store: Store, how: str) -> None:
    path = put(tmp_path / "in", "any-Q4_0.gguf")
    manifest = import_model(store, ImportRequest(path, "mine:1b", how))  # type: ignore[arg-type]
    assert (manifest.name, manifest.source, manifest.tag) == ("mine:1b", "file", None)
    stored = store.path_of(manifest)
    assert stored is not None
    assert stored.read_bytes() == WEIGHTS
    assert path.exists() == (how != "move")
    assert how == "move" or path.samefile(stored) == (how == "link")
    assert store.verify("mine:1b") == manifest
    assert list(store.incoming.glob("*")) == []


def test_all_parts_of_a_split_model_are_taken_from_any_of_them(tmp_path: Path, store: Store) -> None:
    parts = [put(tmp_path / "in", f"a-0000{n}-of-00002.gguf", gguf_bytes(4000, seed=n)) for n in (1, 2)]
    manifest = import_model(store, ImportRequest(parts[1], "mine:1b"))
    assert [file.name for file in manifest.files] == [part.name for part in parts]
    parts[0].unlink()
    with pytest.raises(SourceNotFound, match="00001-of-00002"):
        import_model(store, ImportRequest(parts[1], "mine:2b"))


def test_a_folder_gives_its_one_main_model(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "in"
    put(folder, "model-Q8_0.gguf")
    put(folder, "mmproj-model.gguf", gguf_bytes(1000, "clip"))
    put(folder, "mtp-model.gguf")
    put(folder, "notes.txt", b"")
    assert import_model(store, ImportRequest(folder, "mine:1b")).files[0].name == "model-Q8_0.gguf"
    put(folder, "other-Q4_0.gguf")
    with pytest.raises(RequestInvalid, match="holds 2 models"):
        import_model(store, ImportRequest(folder, "mine:2b"))


@pytest.mark.parametrize(
    ("name", "architecture", "what"),
    [
        ("mmproj-a.gguf", "clip", "projector"),
        ("looks-like-a-model.gguf", "clip", "projector"),
        ("mtp-a.gguf", "gemma4", "drafter"),
        ("looks-like-a-model.gguf", "gemma4-assistant", "drafter"),
    ],
)
def test_a_projector_or_drafter_is_no_main_model(
    tmp_path: Path, store: Store, name: str, architecture: str, what: str
) -> None:
    path = put(tmp_path / "in", name, gguf_bytes(1000, architecture))
    with pytest.raises(RequestInvalid, match=what):
        import_model(store, ImportRequest(path, "mine:1b"))
    assert_nothing_stored(store)


def test_a_projector_comes_along_when_it_is_given(tmp_path: Path, store: Store) -> None:
    path = put(tmp_path / "in", "a.gguf")
    mmproj = put(tmp_path / "in", "eyes.gguf", gguf_bytes(1000, "clip"))
    manifest = import_model(store, ImportRequest(path, "mine:1b", mmproj=mmproj))
    stored = store.path_of(manifest, "mmproj")
    assert stored is not None
    assert stored.name == "eyes.gguf"
    with pytest.raises(RequestInvalid, match="a main model, not a projector"):
        import_model(store, ImportRequest(path, "mine:2b", mmproj=path))


@pytest.mark.parametrize("content", [b"", b"GGUF", b"<html>" * 100, WEIGHTS[:-2000]])
def test_a_damaged_file_is_refused(tmp_path: Path, store: Store, content: bytes) -> None:
    with pytest.raises(FileDamaged):
        import_model(store, ImportRequest(put(tmp_path / "in", "a.gguf", content), "mine:1b"))
    assert_nothing_stored(store)


def test_a_damaged_later_part_is_refused(tmp_path: Path, store: Store) -> None:
    first = put(tmp_path / "in", "a-00001-of-00002.gguf")
    put(tmp_path / "in", "a-00002-of-00002.gguf", b"GGUF")
    with pytest.raises(FileDamaged):
        import_model(store, ImportRequest(first, "mine:1b"))
    assert_nothing_stored(store)


def test_a_taken_or_foreign_name_is_refused(tmp_path: Path, store: Store) -> None:
    path = put(tmp_path / "in", "a.gguf")
    import_model(store, ImportRequest(path, "mine:1b"))
    with pytest.raises(RequestInvalid, match="is taken"):
        import_model(store, ImportRequest(path, "mine:1b"))
    with pytest.raises(RequestInvalid, match="belongs to the catalogue"):
        import_model(store, ImportRequest(path, "gemma4:mine"))


def test_a_catalogue_name_takes_a_model_of_its_architecture_only(tmp_path: Path, store: Store) -> None:
    ours, other = put(tmp_path / "in", "a.gguf"), put(tmp_path / "in", "b.gguf", gguf_bytes(4000, "llama"))
    manifest = import_model(store, ImportRequest(ours, "gemma4:e2b"))
    assert (manifest.model, manifest.tag, manifest.licence) == ("gemma4:e2b", "f32", "Apache-2.0")
    assert not manifest.is_digest_published
    assert store.find("gemma4:e2b") == manifest
    with pytest.raises(RequestInvalid, match="gemma4:e2b-f32 is taken"):
        import_model(store, ImportRequest(ours, "gemma4:e2b"))
    with pytest.raises(RequestInvalid, match="its architecture is llama"):
        import_model(store, ImportRequest(other, "gemma4:e4b"))


def test_a_generated_model_keeps_its_form_apart_from_real_weights(tmp_path: Path, store: Store) -> None:
    manifest = import_model(store, ImportRequest(put(tmp_path / "in", "a.gguf"), "gemma4:e2b@tiny", "move"))
    assert (manifest.name, manifest.form, manifest.licence) == ("gemma4:e2b@tiny", "tiny", None)
    assert store.find("gemma4:e2b") is None
    assert store.find("gemma4:e2b@tiny") == manifest


def test_a_file_named_like_a_published_one_must_be_it(tmp_path: Path, store: Store) -> None:
    path = put(tmp_path / "in", "gemma-4-E4B-it-Q4_0.gguf")
    with pytest.raises(DigestMismatch, match="not the file ggml-org published"):
        import_model(store, ImportRequest(path, "gemma4:e4b"))
    assert_nothing_stored(store)
    manifest = import_model(store, ImportRequest(path, "gemma4:e4b", accepts_new_digest=True))
    assert (manifest.name, manifest.is_digest_published) == ("gemma4:e4b-q4_0", False)
    assert manifest.files[0].sha256 == hashlib.sha256(WEIGHTS).hexdigest()


def test_a_file_that_is_not_there_is_named(tmp_path: Path, store: Store) -> None:
    with pytest.raises(SourceNotFound, match=r"none\.gguf"):
        import_model(store, ImportRequest(tmp_path / "none.gguf", "mine:1b"))
