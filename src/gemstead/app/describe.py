"""One model of the store, described: what its record and its file's own header say."""

from __future__ import annotations

from typing import Any

import msgspec

from gemstead.catalog.gguf import read_gguf
from gemstead.catalog.manifests import Manifest
from gemstead.catalog.store import Store
from gemstead.core.units import format_bytes


class Description(msgspec.Struct, frozen=True):
    """`parameters` counts every tensor of the (first) file; `has_chat_template` None where the format does not tell."""

    manifest: Manifest
    path: str
    architecture: str | None = None
    parameters: int | None = None
    max_context: int | None = None
    tokenizer: str | None = None
    has_chat_template: bool | None = None

    def rows(self) -> list[tuple[str, Any]]:
        """For people, one line each; what is not known is left out."""
        manifest = self.manifest
        known = [
            ("name", manifest.name),
            ("size", format_bytes(manifest.size_bytes)),
            ("quantization", manifest.quant),
            ("architecture", self.architecture),
            ("parameters", f"{self.parameters / 1e9:.3g} billion" if self.parameters else None),
            ("longest context", f"{self.max_context} tokens" if self.max_context else None),
            ("tokenizer", self.tokenizer),
            ("chat template", {True: "yes", False: "no: a base model"}.get(bool(self.has_chat_template))),
            ("licence", manifest.licence),
            ("made from", manifest.made_from),
            ("from", manifest.place),
            ("revision", manifest.revision),
            ("stored", manifest.stored_at),
            ("path", self.path),
            *((f"sha256 of {file.name}", file.sha256) for file in manifest.files),
        ]
        return [(name, value) for name, value in known if value is not None]


def describe_model(store: Store, name: str) -> Description:
    """Raises: NameUnknown; ModelMissing if it is not here; FileDamaged."""
    manifest = store.require(name)
    path = store.path_of(manifest)
    if path is None or manifest.format != "gguf":
        return Description(manifest, str(store.folder_of(manifest)))
    gguf = read_gguf(path)
    return Description(
        manifest,
        str(path),
        architecture=gguf.architecture,
        parameters=gguf.parameter_count,
        max_context=gguf.context_length,
        tokenizer=gguf.tokenizer,
        has_chat_template=gguf.chat_template is not None,
    )
