"""The cases: one small schema for each feature, and a question that tempts the model to break it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).parent / "cases"


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`ask` invites an answer that breaks the schema: a model that is only polite would give it."""

    feature: str
    ask: str
    schema: dict[str, Any]


def load_cases() -> dict[str, tuple[Case, ...]]:
    """By group, in the order of the files and of the rows in them."""
    return {
        path.stem: msgspec.json.decode(path.read_bytes(), type=tuple[Case, ...])
        for path in sorted(FOLDER.glob("*.json"))
    }
