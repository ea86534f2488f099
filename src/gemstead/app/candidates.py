"""What could run: the planner's candidates out of the catalogue and the store."""

from __future__ import annotations

from gemstead.catalog.entries import Artefact, ModelEntry
from gemstead.catalog.gguf import read_gguf
from gemstead.catalog.manifests import Manifest
from gemstead.catalog.names import ModelName
from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.catalog.store import Store
from gemstead.planner.candidate import Candidate

FAMILY = "gemma4"


def catalogue_candidates(store: Store, formats: tuple[str, ...]) -> list[Candidate]:
    """Every main Gemma 4 file of the catalogue that the engine takes, as it would be after a download."""
    return [
        candidate_of(entry, artefact)
        for entry in store.catalog.models
        if entry.family == FAMILY and entry.shape
        for artefact in entry.choices(formats)
    ]


def candidate_of(entry: ModelEntry, artefact: Artefact) -> Candidate:
    """A model that is not here yet. The entry must have a shape."""
    assert entry.shape is not None
    return Candidate(
        model=str(ModelName(entry.name, artefact.tag)),
        quant=artefact.quant,
        shape=GEMMA4_SHAPES[entry.shape],
        mix=artefact.mix,
        file_bytes=artefact.size_bytes,
        is_qat=artefact.is_qat,
    )


def stored_gemma4(store: Store, formats: tuple[str, ...]) -> list[Candidate]:
    """The Gemma 4 weights that are here; generated ones do not count."""
    return [
        stored_candidate(store, manifest)
        for manifest in store.list()
        if manifest.form == "weights" and manifest.format in formats and manifest.model.startswith(f"{FAMILY}:")
    ]


def stored_candidate(store: Store, manifest: Manifest) -> Candidate:
    """A model that is here: shape and tensors come from the file's own header.

    Raises: ModelMissing if its bytes are gone; FileDamaged.
    """
    path = store.path_of(manifest)
    assert path is not None, f"{manifest.name} has no main file"
    gguf = read_gguf(path)
    mmproj = manifest.files_of("mmproj")
    files = manifest.files_of("model")
    artefact = _artefact_of(store, manifest)
    return Candidate(
        model=manifest.name,
        quant=manifest.quant or gguf.quant or "unknown",
        shape=gguf.shape(),
        # A split file's header lists only its own part's tensors: its size must do.
        tensors=gguf.tensors if len(files) == 1 else None,
        file_bytes=sum(file.size_bytes for file in files),
        mmproj_bytes=mmproj[0].size_bytes if mmproj else None,
        model_path=str(path),
        mmproj_path=str(store.path_of(manifest, "mmproj")) if mmproj else None,
        is_qat=artefact is not None and artefact.is_qat,
    )


def _artefact_of(store: Store, manifest: Manifest) -> Artefact | None:
    entry = next((model for model in store.catalog.models if model.name == (manifest.base or manifest.model)), None)
    return next((found for found in entry.artefacts if found.tag == manifest.tag), None) if entry else None
