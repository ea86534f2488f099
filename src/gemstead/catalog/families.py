"""Families of local models and what their licences ask for, as data: `families.toml`. It is no legal advice."""

from __future__ import annotations

import datetime
from functools import cache
from importlib.resources import files

import msgspec

from gemstead.catalog.entries import Modality


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`max_context` in tokens, of the family's longest. `read`: when `sources` were read.

    `is_free_for_business`: commercial use has no condition beyond the duties that everyone has. `notes`: what is
    licensed otherwise, and what is disputed.
    """

    name: str
    title: str
    publisher: str
    licence: str
    licence_url: str
    modalities: tuple[Modality, ...]
    max_context: int
    is_free_for_business: bool
    commercial_use: str
    obligations: tuple[str, ...]
    sources: tuple[str, ...]
    read: datetime.date
    notes: tuple[str, ...] = ()


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    families: tuple[Family, ...]


@cache
def load_families() -> tuple[Family, ...]:
    """Gemma 4 first, the others by size."""
    return msgspec.toml.decode(files("gemstead.catalog").joinpath("families.toml").read_bytes(), type=_Table).families
