"""What the desk tells of a stored model: its record, and what its file's header says."""

from __future__ import annotations

import msgspec

from gemstead.api.desk import Capability, ModelDetails, StoredModel
from gemstead.catalog.gguf import GgufFile, read_gguf
from gemstead.catalog.manifests import Manifest, Preset
from gemstead.catalog.store import Store
from gemstead.core.errors import NameUnknown

MAX_VALUE_CHARS = 1000
"""Longer texts of a header, such as templates, are no plain values."""


class _Brief(msgspec.Struct, frozen=True):
    architecture: str | None
    num_parameters: int


class DescribedFiles:
    """Reads headers (0.1 s with Gemma's vocabulary) and remembers the little that lists need, by digest.

    Blocks; one entry for each file of the store, so its size is the store's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._briefs: dict[str, _Brief] = {}

    def brief(self, manifest: Manifest) -> StoredModel:
        """Raises: FileDamaged, ModelMissing if its file cannot be read."""
        main = manifest.files_of("model")[0]
        known = self._briefs.get(main.sha256)
        if known is None and manifest.format == "gguf":
            gguf = self._header(manifest)
            known = self._briefs[main.sha256] = _Brief(gguf.architecture, gguf.parameter_count)
        return StoredModel(
            name=manifest.name,
            sha256=main.sha256,
            size_bytes=manifest.size_bytes,
            stored_at=manifest.stored_at,
            format=manifest.format,
            quant=manifest.quant,
            architecture=known.architecture if known else None,
            num_parameters=known.num_parameters if known else None,
            made_from=manifest.made_from,
        )

    def details(self, manifest: Manifest) -> ModelDetails:
        """Raises: as `brief`."""
        gguf = self._header(manifest) if manifest.format == "gguf" else None
        preset = manifest.preset or Preset()
        return ModelDetails(
            model=self.brief(manifest),
            licence=self._licence(manifest, preset),
            template=gguf.chat_template if gguf else None,
            system=preset.system,
            sampling=preset.sampling,
            wanted_context=preset.wanted_context,
            capabilities=self._capabilities(manifest, gguf),
            metadata=_plain_values(gguf) if gguf else {},
        )

    def _header(self, manifest: Manifest) -> GgufFile:
        return read_gguf(self._store.blob(manifest.files_of("model")[0].sha256))

    def _licence(self, manifest: Manifest, preset: Preset) -> str | None:
        texts = [preset.licence] if preset.licence else []
        if manifest.licence is not None:
            try:
                known = self._store.catalog.licence(manifest.licence)
            except NameUnknown:
                texts.append(manifest.licence)
            else:
                texts.append(f"{known.title}\n{known.url}")
        return "\n\n".join(texts) or None

    def _capabilities(self, manifest: Manifest, gguf: GgufFile | None) -> tuple[Capability, ...]:
        """As the template and the projector tell; sight and hearing are what the catalogue says the projector gives."""
        template = (gguf.chat_template if gguf else None) or ""
        found: list[Capability] = ["completion"]
        if "tools" in template:
            found.append("tools")
        if "enable_thinking" in template:
            found.append("thinking")
        if manifest.files_of("mmproj"):
            base = manifest.base or manifest.model
            entry = next((entry for entry in self._store.catalog.models if entry.name == base), None)
            modalities = entry.modalities if entry else ("image",)
            senses: tuple[tuple[str, Capability], ...] = (("image", "vision"), ("audio", "audio"))
            found += [capability for modality, capability in senses if modality in modalities]
        return tuple(found)


def _plain_values(gguf: GgufFile) -> dict[str, str | int | float | bool]:
    values = {name: gguf.get(name) for name in gguf.metadata}
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) or (isinstance(value, str) and len(value) <= MAX_VALUE_CHARS)
    }
