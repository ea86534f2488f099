"""Whether a GGUF file may serve as a main model, told by what is in it: names can be anything."""

from __future__ import annotations

from pathlib import Path

from gemstead.catalog.gguf import GgufFile, read_gguf
from gemstead.catalog.roles import ROLE_WORDS, Role, role_of
from gemstead.core.errors import RequestInvalid

_PROJECTOR_ARCHITECTURES = {"clip", "mmproj"}


def role_inside(gguf: GgufFile) -> Role:
    """The role by architecture: llama.cpp calls every projector `clip`, and Gemma's drafters end in `-assistant`."""
    architecture = gguf.architecture or ""
    if architecture in _PROJECTOR_ARCHITECTURES:
        return "mmproj"
    return "drafter" if architecture.endswith("-assistant") or architecture.startswith("eagle") else "model"


def read_as(path: Path, role: Role) -> GgufFile:
    """The header of the file at `path`, which has to be fit for `role`.

    Raises: FileDamaged if it is not a sound GGUF file; RequestInvalid if it is something else than `role`.
    """
    gguf = read_gguf(path)
    found = role_of(path.name) if role_of(path.name) != "model" else role_inside(gguf)
    if found != role:
        what = ROLE_WORDS.get(found, "a main model")
        raise RequestInvalid(
            f"{path.name} is {what}, not {ROLE_WORDS.get(role, 'a main model')}",
            why=f"its architecture is {gguf.architecture}",
            hint="import the main model file, and give a projector with --mmproj" if role == "model" else None,
        )
    return gguf
