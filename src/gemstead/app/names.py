"""Which names mean the model that is served, and what a request under such a name leaves to the model's own record."""

from __future__ import annotations

import asyncio

import msgspec

from gemstead.catalog.manifests import Manifest, Preset
from gemstead.catalog.names import ModelName, artefact_of_address, name_of_address, parse_name
from gemstead.catalog.store import Store
from gemstead.core.errors import GemsteadError, ModelMissing, NameUnknown, RequestInvalid
from gemstead.core.types import ChatRequest, Message, TextPart, Warning


class Meant(msgspec.Struct, frozen=True):
    """`preset` is what the name's own record says; `warning` tells that the name usually means something else."""

    preset: Preset | None = None
    warning: Warning | None = None


class ServedNames:
    """The names of one served model: its own, the catalogue's for it, and those of models with the same files."""

    def __init__(self, store: Store, served: Manifest) -> None:
        self._store = store
        self._served = served
        self._own = Meant(served.preset)

    async def meant_by(self, name: str) -> Meant | None:
        """None: another model, or none. Names besides the served model's own are looked up in the store each time."""
        plain = name.removesuffix(":latest")
        if self._served.name in (plain, name):
            return self._own
        if (family := self._family_name(plain)) is not None:
            return family
        if (parsed := self._in_catalogue(name)) is not None and self._is_served(parsed):
            return self._own
        found = await asyncio.to_thread(self._find, plain)
        if found is not None and _files(found) == _files(self._served):
            return Meant(found.preset)
        return None

    async def refusal(self, name: str) -> GemsteadError:
        """Why a name that does not mean the served model is not answered, and what to do."""
        served = self._served.name
        found = await asyncio.to_thread(self._find, name.removesuffix(":latest"))
        if found is not None:
            return ModelMissing(
                f"{found.name} is in the store, but this server serves {served}",
                hint=f"gemstead serve --model {found.name} --port 0",
            )
        if (parsed := self._in_catalogue(name)) is not None and parsed.form == "weights":
            return ModelMissing(
                f"{parsed} is not in the store, and this server serves {served}", hint=f"gemstead models pull {parsed}"
            )
        return NameUnknown("model", name, [served], param="model")

    def _family_name(self, plain: str) -> Meant | None:
        """A family's bare name means the served model of that family, whichever the catalogue would choose."""
        model = self._served.base or self._served.model
        if plain != model.partition(":")[0]:
            return None
        usual = self._in_catalogue(plain)
        if usual is None or usual.model == model:
            return self._own
        message = f"{plain} usually means {usual.model}; here it is {self._served.name}, which is served"
        return Meant(self._served.preset, Warning(code="model_resolved", message=message, param="model"))

    def _in_catalogue(self, name: str) -> ModelName | None:
        try:
            return parse_name(name, catalog=self._store.catalog)
        except (NameUnknown, RequestInvalid):
            return None

    def _is_served(self, name: ModelName) -> bool:
        served = self._served
        return name.model == served.model and name.form == served.form and name.tag in (None, served.tag)

    def _find(self, plain: str) -> Manifest | None:
        try:
            address = artefact_of_address(plain)
            return self._store.find(plain if address is None else name_of_address(plain, address))
        except RequestInvalid:
            return None


def with_preset(request: ChatRequest, preset: Preset | None) -> ChatRequest:
    """`request`, with what it leaves open as the model's own record says."""
    if preset is None:
        return request
    messages = request.messages
    has_system = any(message.role == "system" for message in messages)
    if preset.system and messages and not has_system:
        messages = (Message("system", (TextPart(preset.system),)), *messages)
    return msgspec.structs.replace(
        request,
        messages=messages,
        sampling=request.sampling.filled(preset.sampling),
        wanted_context=request.wanted_context or preset.wanted_context,
    )


def _files(manifest: Manifest) -> set[str]:
    return {file.sha256 for file in manifest.files}
