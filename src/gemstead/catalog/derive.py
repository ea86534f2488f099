"""Models made from others: a second name for the same files, with or without something to say by themselves."""

from __future__ import annotations

import msgspec

from gemstead.catalog.manifests import Manifest, Preset, now_utc
from gemstead.catalog.names import check_own_name
from gemstead.catalog.store import Store
from gemstead.core.errors import RequestInvalid


def derive_model(store: Store, source: str, name: str, preset: Preset | None = None) -> Manifest:
    """Publishes the files of `source` under `name`; what `preset` leaves open is as `source` has it.

    A model made from another may be made anew; its files stay with the other.
    Raises: NameUnknown, ModelMissing; RequestInvalid if `name` is malformed, or taken by a model with files of its own.
    """
    made_from = store.require(source)
    check_own_name(name, store.catalog)
    _require_free(store, name, made_from)
    derived = msgspec.structs.replace(
        made_from,
        name=name,
        model=name,
        stored_at=now_utc(),
        made_from=made_from.name,
        base=made_from.base or made_from.model,
        preset=_merged(preset or Preset(), made_from.preset or Preset()),
    )
    return store.publish(derived)


def _merged(preset: Preset, inherited: Preset) -> Preset | None:
    merged = Preset(
        system=preset.system or inherited.system,
        sampling=preset.sampling.filled(inherited.sampling),
        wanted_context=preset.wanted_context or inherited.wanted_context,
        licence=preset.licence or inherited.licence,
    )
    return None if merged == Preset() else merged


def _require_free(store: Store, name: str, made_from: Manifest) -> None:
    models = store.list()
    taken = next((found for found in models if found.name == name), None)
    if taken is None:
        return
    others = {file.sha256 for found in models if found.name != name for file in found.files}
    is_shared = all(file.sha256 in others for file in taken.files)
    if taken.made_from is None or made_from.name == name or not is_shared:
        raise RequestInvalid(
            f"the name {name} is taken", param="name", hint=f"choose another, or run: gemstead models rm {name}"
        )
