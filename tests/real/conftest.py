"""The real parts that tests share: the installed engine, real weights, generated models. Nothing here is a stand-in.

The engine is the user's own installation (`make test` puts it there); models live in `.work/models` of the repository,
so that a second run finds them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock

from gemstead.app.synthesize import generated_name, vocabulary_of, write_generated
from gemstead.catalog.pull import pull_first, requests_for
from gemstead.catalog.shapes import tiny_shape
from gemstead.catalog.source import SourceOptions
from gemstead.catalog.store import Store
from gemstead.catalog.synthetic import write_synthetic
from gemstead.engines.base import Installation
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.settings.paths import resolve_paths

WORK = Path(__file__).parents[2] / ".work"


@pytest.fixture(scope="session")
def installation() -> Installation:
    found = ENGINE.find(None, resolve_paths(os.environ).engines)
    assert found is not None, "no engine is installed: run `make test`, or `gemstead engine install`"
    return found


@pytest.fixture(scope="session")
def llama_server(installation: Installation) -> Path:
    return installation.program


@pytest.fixture(scope="session")
def vocab_gguf(installation: Installation) -> Path:
    return vocabulary_of(installation)


@pytest.fixture(scope="session")
def shared_store() -> Store:
    WORK.mkdir(exist_ok=True)
    return Store(WORK / "models")


def generated(store: Store, vocabulary: Path, text: str, *, is_tiny: bool) -> Path:
    name = generated_name(store, text, "q4_0", is_tiny=is_tiny)
    # The workers of a parallel run share the store: one of them writes, the others wait for it.
    with FileLock(WORK / "models.lock"):
        found = store.find(str(name)) or write_generated(store, name, vocabulary)
    path = store.path_of(found)
    assert path is not None
    return path


@pytest.fixture(scope="session")
def smollm2(shared_store: Store) -> Path:
    options = SourceOptions(pip_environ=dict(os.environ))
    path = shared_store.path_of(pull_first(shared_store, requests_for(shared_store, "smollm2:135m"), options))
    assert path is not None
    return path


@pytest.fixture(scope="session")
def tiny_e2b(shared_store: Store, vocab_gguf: Path) -> Path:
    return generated(shared_store, vocab_gguf, "gemma4:e2b", is_tiny=True)


@pytest.fixture(scope="session")
def whole_vocabulary_e2b(vocab_gguf: Path) -> Path:
    """A tiny Gemma 4 with all of its 262,144 tokens under their own numbers: 200 MB."""
    path = WORK / "gemma-4-e2b-tiny-whole-vocabulary.gguf"
    WORK.mkdir(exist_ok=True)
    with FileLock(WORK / "models.lock"):
        if not path.is_file():
            write_synthetic(tiny_shape("e2b"), "ggml-org/Q4_0", path, vocab_source=vocab_gguf)
    return path


@pytest.fixture(scope="session")
def tiny_26b(shared_store: Store, vocab_gguf: Path) -> Path:
    return generated(shared_store, vocab_gguf, "gemma4:26b", is_tiny=True)


@pytest.fixture(scope="session")
def synthetic_e2b(shared_store: Store, vocab_gguf: Path) -> Path:
    return generated(shared_store, vocab_gguf, "gemma4:e2b", is_tiny=False)
