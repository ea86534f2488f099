"""The catalogue: which models gemstead knows, their files, and who publishes them. The data is `catalog.toml`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

import msgspec

from gemstead.catalog.roles import Role
from gemstead.catalog.transport import without_secrets
from gemstead.core.errors import NameUnknown

ArtefactFormat: TypeAlias = Literal["gguf", "safetensors", "litertlm", "mlx", "task"]
Modality: TypeAlias = Literal["text", "image", "audio", "video"]

FULL_REVISION_CHARS = 40


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Data from a file people edit: an unknown key is a spelling mistake."""


class WheelMember(_Entry, frozen=True):
    """One file inside one wheel. `member_bytes` bounds what is unpacked."""

    project: str
    version: str
    wheel: str
    wheel_bytes: int
    wheel_sha256: str
    member: str
    member_bytes: int


class Artefact(_Entry, frozen=True):
    """One downloadable form of a model.

    `tag` is unique among the artefacts of its model and chooses it in a name (`gemma4:e4b-q8_0`). `quant` is spelled as
    its publisher spells it. `file` None: the source is looked through (or all its files are taken, unless the format is
    one file). Unknown sizes and digests are None: they are recorded at the first pull and compared ever after.
    `revision` shorter than a whole commit id is a record of what was seen and cannot be asked for.
    """

    tag: str
    format: ArtefactFormat
    quant: str
    publisher: str
    source: str = "hf"
    role: Role = "model"
    repo: str | None = None
    file: str | None = None
    revision: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    url: str | None = None
    wheels: tuple[WheelMember, ...] = ()
    mix: str | None = None
    """The publisher's own mix of tensor types, by its name in `quant_mixes.py`; None: a plain quantization."""
    is_qat: bool = False
    """True: trained for this quantization, so that it loses less than its bits say."""
    note: str | None = None

    @property
    def place(self) -> str:
        """Where it comes from, for people and as its identity: repository and file, package, or address."""
        if self.url is not None:
            return without_secrets(self.url)
        base = self.repo or "".join(f"{part.project}=={part.version}" for part in self.wheels[:1])
        return f"{base}/{self.file}" if self.file else base

    @property
    def whole_revision(self) -> str | None:
        """The commit to ask for, or None: the newest."""
        return self.revision if self.revision and len(self.revision) == FULL_REVISION_CHARS else None


class Sampling(_Entry, frozen=True):
    """What the model's authors recommend; None where they say nothing."""

    temperature: float
    top_p: float
    top_k: int | None = None


class Licence(_Entry, frozen=True):
    """`must_accept`: the authors ask for agreement before the files are taken."""

    id: str
    title: str
    url: str
    must_accept: bool = False


class ModelEntry(_Entry, frozen=True):
    """One model. `shape` names its dimensions in `catalog/shapes.py`; None: only its files tell.

    `max_context` in tokens. `preferred` are tags of main models, first choice first: the ones tried in this order.
    `policy_url` is what the authors ask for beside the licence: shown, not a licence term.
    """

    name: str
    title: str
    licence: str
    modalities: tuple[Modality, ...]
    max_context: int
    sampling: Sampling
    artefacts: tuple[Artefact, ...]
    preferred: tuple[str, ...]
    facts: tuple[str, ...]
    """Public sources of what is said here."""
    aliases: tuple[str, ...] = ()
    shape: str | None = None
    policy_url: str | None = None
    note: str | None = None
    can_chat: bool = True
    """False: a base model without a chat template; it continues text."""

    @property
    def family(self) -> str:
        return self.name.partition(":")[0]

    def artefact(self, tag: str) -> Artefact:
        """Raises: NameUnknown."""
        found = next((artefact for artefact in self.artefacts if artefact.tag == tag), None)
        if found is None:
            raise NameUnknown(f"form of {self.name}", tag, [artefact.tag for artefact in self.artefacts])
        return found

    def choices(self, formats: tuple[str, ...] = ("gguf",)) -> list[Artefact]:
        """The main models in the order they are tried, of the formats an engine takes."""
        return [found for tag in self.preferred if (found := self.artefact(tag)).format in formats]

    def companion(self, artefact: Artefact, role: Role) -> Artefact | None:
        """The projector or drafter that goes with `artefact`: from its own publisher if there is one."""
        fitting = [other for other in self.artefacts if other.role == role and other.format == artefact.format]
        fitting.sort(key=lambda other: (other.repo != artefact.repo, other.publisher != artefact.publisher))
        return fitting[0] if fitting else None


class Catalog(_Entry, frozen=True):
    licences: tuple[Licence, ...]
    models: tuple[ModelEntry, ...]

    def model(self, name: str) -> ModelEntry:
        """By its name or an alias. Raises: NameUnknown."""
        for model in self.models:
            if name == model.name or name in model.aliases:
                return model
        raise NameUnknown("model", name, [model.name for model in self.models])

    def licence(self, identifier: str) -> Licence:
        """Raises: NameUnknown."""
        for licence in self.licences:
            if licence.id == identifier:
                return licence
        raise NameUnknown("licence", identifier, [licence.id for licence in self.licences])

    def recognise(self, sha256: str) -> tuple[ModelEntry, Artefact] | None:
        """The model and artefact whose file has this digest, however the file is called."""
        for model in self.models:
            for artefact in model.artefacts:
                if artefact.sha256 == sha256:
                    return model, artefact
        return None


@cache
def load_catalog() -> Catalog:
    """The catalogue that comes with gemstead."""
    content = files("gemstead.catalog").joinpath("catalog.toml").read_bytes()
    return msgspec.toml.decode(content, type=Catalog)
