"""The golden files of a dialect, as parameters of a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"


def golden(folder: str, kind: str) -> list[Any]:
    """The cases of `golden/FOLDER/KIND_*.json`; there must be some."""
    paths = sorted((GOLDEN / folder).glob(f"{kind}_*.json"))
    assert paths
    return [pytest.param(json.loads(path.read_text()), id=path.stem) for path in paths]


def golden_error(folder: str, name: str) -> Any:
    """What the file of a dialect's errors has under a name."""
    return json.loads((GOLDEN / folder / "errors.json").read_text())[name]
