"""Generated models into the store: a variant's exact shapes, or all of its features at toy size."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from gemstead.app.setup import Setup, ensure_engine
from gemstead.catalog.manifests import Manifest, StoredFile, now_utc
from gemstead.catalog.names import Form, ModelName
from gemstead.catalog.partial import hash_file
from gemstead.catalog.quant_mixes import find_quant_mix
from gemstead.catalog.shapes import GEMMA4_SHAPES, tiny_shape
from gemstead.catalog.store import Store
from gemstead.catalog.synthetic import write_synthetic
from gemstead.core.errors import ModelMissing, NameUnknown, RequestInvalid
from gemstead.core.progress import Progress, no_progress
from gemstead.engines.base import Installation
from gemstead.engines.llama_cpp_references import VOCABULARY
from gemstead.planner.candidate import Candidate

TINY_VOCABULARY = 2048
"""Tokens a tiny model keeps, besides control tokens and single characters: a few MB instead of hundreds."""
DEFAULT_QUANT = "q4_0"
PUBLISHED_MIX = {"q4_0": "ggml-org/Q4_0"}
"""Where the files people pull differ from a plain quantization, the generated ones follow them."""


def synthesize(setup: Setup, text: str, quant: str, *, is_tiny: bool, seed: int = 0) -> Manifest:
    """Writes the model and publishes it; one that is here already is kept.

    Raises: NameUnknown, RequestInvalid if it is not a Gemma 4 variant; ModelMissing without a vocabulary; DiskFull.
    """
    name = generated_name(setup.store, text, quant, is_tiny=is_tiny)
    if (found := next((one for one in setup.store.list() if one.name == str(name)), None)) is not None:
        return found
    vocabulary = vocabulary_of(ensure_engine(setup))
    return write_generated(setup.store, name, vocabulary, seed=seed, progress=setup.progress)


def generated_name(store: Store, text: str, quant: str, *, is_tiny: bool) -> ModelName:
    """`gemma4:e2b`, with or without `@synthetic` or `@tiny`, as the full name of a generated model."""
    name = store.parse(text)
    if name.form == "weights" and name.tag is not None:
        quant = name.tag
    entry = None if name.is_own else store.catalog.model(name.model)
    if entry is None or entry.shape is None:
        shaped = [model.name for model in store.catalog.models if model.shape]
        raise NameUnknown("Gemma 4 variant", name.model, shaped)
    find_quant_mix(PUBLISHED_MIX.get(quant.lower(), quant))
    form: Form = "tiny" if is_tiny or name.form == "tiny" else "synthetic"
    tag = (name.tag if name.form != "weights" else None) or quant
    return ModelName(name.model, tag.lower(), form)


def generated_candidate(name: ModelName, shape: str) -> Candidate:
    """A generated model before it is written, for a plan. `name` has a tag, `shape` names one of Gemma 4's shapes."""
    assert name.tag is not None
    mix = PUBLISHED_MIX.get(name.tag, name.tag)
    return Candidate(str(name), mix.rpartition("/")[2].upper(), GEMMA4_SHAPES[shape], mix=mix)


def vocabulary_of(installation: Installation) -> Path:
    """Gemma 4's vocabulary, which comes with the engine's source. Raises: ModelMissing."""
    path = installation.program.parent.parent / VOCABULARY
    if not path.is_file():
        raise ModelMissing(
            f"there is no Gemma 4 vocabulary with {installation.program}",
            why="it comes with the engine that gemstead builds, not with other programs",
            hint="gemstead engine install",
        )
    return path


def write_generated(
    store: Store, name: ModelName, vocabulary: Path, *, seed: int = 0, progress: Progress = no_progress
) -> Manifest:
    """Writes the model called `name` and publishes it. Raises: as `write_synthetic`."""
    entry, tag = store.catalog.model(name.model), name.tag
    if entry.shape is None or tag is None:
        raise RequestInvalid(f"{name} is no generated model")
    mix = PUBLISHED_MIX.get(tag, tag)
    is_tiny = name.form == "tiny"
    shape = tiny_shape(entry.shape) if is_tiny else GEMMA4_SHAPES[entry.shape]
    folder = store.incoming / f"synth-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / f"{shape.name}-{name.form}-{tag}.gguf"
    try:
        keep = TINY_VOCABULARY if is_tiny else None
        write_synthetic(shape, mix, path, vocab_source=vocabulary, seed=seed, keep_vocab=keep, progress=progress)
        sha256, size_bytes = hash_file(path), path.stat().st_size
        store.add_blob(path, sha256)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return store.publish(
        Manifest(
            name=str(name),
            model=name.model,
            tag=tag,
            form=name.form,
            format="gguf",
            quant=mix.rpartition("/")[2].upper(),
            source="synthetic",
            place=f"generated here, seed {seed}",
            files=(StoredFile(path.name, "model", sha256, size_bytes),),
            stored_at=now_utc(),
        )
    )
