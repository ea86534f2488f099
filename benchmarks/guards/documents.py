"""Texts that nobody wrote for guards: Python's own language reference and licence, and our documents, in windows."""

from __future__ import annotations

import pydoc_data.topics
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from gemstead.guardrails.evaluation.sets import Sample

WINDOW_CHARS = 400
ROOT = Path(__file__).parents[2]


def samples() -> list[Sample]:
    return list(chain(_windows("Python reference", "\n".join(pydoc_data.topics.topics.values())), *_ours()))


def _ours() -> Iterator[Iterator[Sample]]:
    for path in sorted(ROOT.glob("docs/**/*.md")):
        if path.name != "guards.md":
            yield _windows("our documents", path.read_text(encoding="utf-8"))
    for path in sorted(ROOT.glob("src/gemstead/bench/*.txt")):
        yield _windows("our prose", path.read_text(encoding="utf-8"))


def _windows(source: str, text: str) -> Iterator[Sample]:
    for begin in range(0, len(text) - WINDOW_CHARS // 2, WINDOW_CHARS):
        yield Sample(text[begin : begin + WINDOW_CHARS], None, source, "en")
