"""The model desk as the API sees it: what is in the store, what is loaded, and the orders that change the store.

A dialect decodes its bytes to one of the orders here and encodes the answer; the wiring implements `ModelDesk`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Literal, Protocol, TypeAlias

import msgspec

from gemstead.core.types import Sampling


class StoredModel(msgspec.Struct, frozen=True):
    """A model of the store. `sha256` is its main file's, `stored_at` UTC, ISO 8601; `made_from` names the model whose
    files it shares. What its file does not tell is None.
    """

    name: str
    sha256: str
    size_bytes: int
    stored_at: str
    format: str
    quant: str | None = None
    architecture: str | None = None
    num_parameters: int | None = None
    made_from: str | None = None


Capability: TypeAlias = Literal["completion", "tools", "thinking", "vision", "audio"]


class ModelDetails(msgspec.Struct, frozen=True):
    """All about one model. `metadata` are the plain values of its file's header, as its publisher wrote them;
    `template` is Jinja; `sampling` and `system` are what its own record says, not what its authors recommend.
    """

    model: StoredModel
    licence: str | None = None
    template: str | None = None
    system: str | None = None
    sampling: Sampling = Sampling()
    wanted_context: int | None = None
    capabilities: tuple[Capability, ...] = ()
    metadata: dict[str, str | int | float | bool] = {}


class LoadedModel(msgspec.Struct, frozen=True):
    """A model an engine holds. `expires_at_s` (Unix time) is when it is unloaded if nobody uses it; None: never."""

    model: StoredModel
    context_length: int
    resident_bytes: int
    gpu_bytes: int = 0
    expires_at_s: float | None = None


class WorkProgress(msgspec.Struct, frozen=True):
    """One step of long work. `sha256` is that of the file on its way, where it is known before it is here."""

    status: str
    done_bytes: int | None = None
    total_bytes: int | None = None
    sha256: str | None = None


class ListModels(msgspec.Struct, frozen=True):
    pass


class ListLoaded(msgspec.Struct, frozen=True):
    pass


class ShowModel(msgspec.Struct, frozen=True):
    name: str


class CopyModel(msgspec.Struct, frozen=True):
    source: str
    name: str


class RemoveModel(msgspec.Struct, frozen=True):
    name: str


class PullModel(msgspec.Struct, frozen=True):
    name: str


class CreateModel(msgspec.Struct, frozen=True):
    """A model with the files of `source` that says something by itself, where a request says nothing."""

    name: str
    source: str
    system: str | None = None
    sampling: Sampling = Sampling()
    wanted_context: int | None = None
    licence: str | None = None


Order: TypeAlias = ListModels | ListLoaded | ShowModel | CopyModel | RemoveModel
"""Answered at once."""

Work: TypeAlias = PullModel | CreateModel
"""Takes a while and tells how far it is."""


class ModelDesk(Protocol):
    """Every method that names a model raises NameUnknown or ModelMissing. Those that change the store raise
    PolicyRefused if the operator does not allow that over HTTP, or if a server uses the model.
    """

    async def list_models(self) -> tuple[StoredModel, ...]: ...

    async def list_loaded(self) -> tuple[LoadedModel, ...]: ...

    async def show(self, name: str) -> ModelDetails: ...

    async def copy(self, source: str, name: str) -> None:
        """Raises: RequestInvalid if `name` is malformed or taken."""
        ...

    async def remove(self, name: str) -> None: ...

    def pull(self, name: str) -> AsyncGenerator[WorkProgress]:
        """Closing it stops the download, which a later pull resumes.

        Raises: PolicyRefused also for a licence that must be accepted first; the errors of sources and downloads.
        """
        ...

    def create(self, order: CreateModel) -> AsyncGenerator[WorkProgress]:
        """Raises: RequestInvalid if the name is malformed or taken by a model with files of its own."""
        ...
