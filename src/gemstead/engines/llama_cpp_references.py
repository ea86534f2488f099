"""What stays of llama.cpp's source beside the program: how Gemma 4 is to be tokenized and its chats to be written.

The vocabulary is what synthetic models are made with. The tokenizer cases (texts, and the tokens each must give) and
the chat templates are what the engine and gemstead's own renderer can be checked against.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from gemstead.core.progress import Progress
from gemstead.engines.llama_cpp_source import ARCHIVE_NAME, SOURCE_PREFIX, fetch_archive, unpack

VOCABULARY = "models/ggml-vocab-gemma-4.gguf"
TOKENIZER_TEXTS = f"{VOCABULARY}.inp"
"""Texts, each followed by a line that ends it."""
TOKENIZER_TOKENS = f"{VOCABULARY}.out"
"""A line of token ids for each of the texts."""
TEMPLATES = "models/templates/google-gemma-4-"

_NEEDED = (VOCABULARY, TOKENIZER_TEXTS, TOKENIZER_TOKENS)


def is_reference(name: str) -> bool:
    """Whether `name`, in the source tree, is one of the files that stay."""
    return name in _NEEDED or name.startswith(TEMPLATES)


def copy_references(source: Path, target: Path) -> None:
    """From a source tree into an installation; a file that is cut while it is copied does not appear there."""
    for name in (*_NEEDED, *(str(path.relative_to(source)) for path in source.glob(f"{TEMPLATES}*.jinja"))):
        partial = target / f"{name}.partial"
        partial.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, partial)
        partial.replace(target / name)


def add_missing_references(target: Path, work: Path, environ: Mapping[str, str], progress: Progress) -> None:
    """Gives an installation made by an earlier gemstead the files it lacks; nothing is built.

    Raises: as `fetch_archive` and `unpack`.
    """
    if all((target / name).is_file() for name in _NEEDED):
        return
    work.mkdir(exist_ok=True)
    fetch_archive(work / ARCHIVE_NAME, environ, progress)
    unpack(work / ARCHIVE_NAME, work / "references", SOURCE_PREFIX, is_wanted=is_reference)
    copy_references(work / "references", target)
    shutil.rmtree(work, ignore_errors=True)
