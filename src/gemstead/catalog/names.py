"""What a model is called: `gemma4:e4b`, `gemma4:e4b-q8_0`, `gemma4:26b@synthetic`, or a name its owner chose.

    FAMILY:VARIANT[-QUANT][@synthetic|@tiny]

Habits from other tools are understood: any case, `-` for `_`, an `it` that means what is meant anyway
(`gemma4:e4b-it-q8_0`), `latest`, and addresses (`hf:OWNER/REPO[:QUANT]`, an https URL).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

import msgspec

from gemstead.catalog.entries import Artefact, Catalog, ModelEntry, load_catalog
from gemstead.core.errors import NameUnknown, RequestInvalid

Form: TypeAlias = Literal["weights", "synthetic", "tiny"]
"""`synthetic`: the exact shapes with generated weights. `tiny`: every feature at toy size."""

MAX_NAME_CHARS = 200
MAX_OWN_NAME_CHARS = 63
_OWN_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}(:[a-z0-9][a-z0-9._-]{0,62})?")
_HF_ADDRESS = re.compile(
    r"(?:hf:|(?:https?://)?(?:hf\.co|huggingface\.co)/)(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<quant>[\w.-]+))?",
    re.IGNORECASE,
)


class ModelName(msgspec.Struct, frozen=True):
    """A parsed name. `model` is the catalogue's name, or the owner's own; `tag` chooses an artefact, None: any.

    With form `synthetic` or `tiny`, `tag` is a quantization in lower case (`q4_k_m`), not an artefact.
    """

    model: str
    tag: str | None = None
    form: Form = "weights"
    is_own: bool = False
    """True: a name its owner chose at import; the catalogue does not know it."""

    def __str__(self) -> str:
        tag = f"-{self.tag}" if self.tag else ""
        return f"{self.model}{tag}" + ("" if self.form == "weights" else f"@{self.form}")


def parse_name(text: str, *, own_names: Iterable[str] = (), catalog: Catalog | None = None) -> ModelName:
    """`own_names` are the names of imported models; they win over the catalogue.

    Raises: NameUnknown with the nearest valid name.
    """
    catalog = catalog or load_catalog()
    own = list(own_names)
    if text in own:
        return ModelName(text, is_own=True)
    if len(text) > MAX_NAME_CHARS:
        raise RequestInvalid(f"a model name of {len(text)} characters", hint="run: gemstead models list")
    base, has_form, form = text.strip().lower().partition("@")
    if has_form and form not in get_args(Form)[1:]:
        raise NameUnknown("form of a model", form, list(get_args(Form)[1:]), hint=f"as in {base}@synthetic")
    model, rest = _model_of(base, catalog, own)
    if has_form:
        return ModelName(model.name, _plain(rest) or None, "tiny" if form == "tiny" else "synthetic")
    return ModelName(model.name, _tag_of(rest, model) if rest else None)


def _model_of(base: str, catalog: Catalog, own: list[str]) -> tuple[ModelEntry, str]:
    """The model whose longest name or alias begins `base`, and what follows it."""
    spellings = {spelling: model for model in catalog.models for spelling in (model.name, *model.aliases)}
    for spelling in sorted(spellings, key=len, reverse=True):
        rest = base[len(spelling) :]
        if base.startswith(spelling) and (not rest or (rest[0] in "-_" and ":" in spelling)):
            return spellings[spelling], rest[1:]
    raise NameUnknown("model", base, [*own, *(model.name for model in catalog.models)])


def _tag_of(rest: str, model: ModelEntry) -> str:
    """The artefact's tag that `rest` means: itself, or the beginning of one (`qat` for `qat-q4_0`)."""
    tags = [artefact.tag for artefact in model.artefacts if artefact.role == "model"]
    by_preference = [*model.preferred, *(tag for tag in tags if tag not in model.preferred)]
    wanted = _plain(rest)
    for tag in by_preference:
        if _plain(tag) == wanted:
            return tag
    for tag in by_preference:
        if _plain(tag).startswith(f"{wanted}_"):
            return tag
    raise NameUnknown(f"form of {model.name}", rest, by_preference, hint=f"as in {model.name}-{by_preference[0]}")


def _plain(tag: str) -> str:
    return re.sub(r"[-._]+", "_", tag).removeprefix("it_")


def check_own_name(name: str, catalog: Catalog | None = None) -> str:
    """`name` if it may be given to an imported model.

    Raises: RequestInvalid if it is malformed or belongs to the catalogue.
    """
    if not _OWN_NAME.fullmatch(name):
        raise RequestInvalid(
            f"{name!r} is not a model name",
            why="a name has lower-case letters, digits, '.', '_' and '-', and at most one ':'",
            param="name",
            hint="use a name such as my-model:7b",
        )
    families = {model.family for model in (catalog or load_catalog()).models}
    if name.partition(":")[0] in families:
        raise RequestInvalid(
            f"the name {name!r} belongs to the catalogue",
            param="name",
            hint=f"use another name, such as my-{name}",
        )
    return name


def name_of_address(text: str, artefact: Artefact) -> str:
    """What a model from an address is called if its owner does not say: a repository's address, a file's own name.

    Addresses of files may carry passwords and keys, which are no part of a name.
    """
    if artefact.source == "hf":
        return f"hf:{artefact.repo}" + (f":{artefact.quant}" if artefact.quant else "")
    stem = (artefact.file or text).lower().removesuffix(".gguf")
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._")[:MAX_OWN_NAME_CHARS] or "model"


def artefact_of_address(text: str) -> Artefact | None:
    """The artefact that `hf:OWNER/REPO[:QUANT]`, `hf.co/OWNER/REPO[:QUANT]` or an https URL of a GGUF file names.

    None if `text` is no address. What the repository holds is looked up when it is pulled.
    """
    if match := _HF_ADDRESS.fullmatch(text.strip()):
        owner = match["repo"].partition("/")[0]
        return Artefact(
            tag=(match["quant"] or "gguf").lower(),
            format="gguf",
            quant=match["quant"] or "",
            publisher=owner,
            source="hf",
            repo=match["repo"],
        )
    if re.match(r"https?://", text, re.IGNORECASE):
        path = text.partition("?")[0].partition("#")[0]
        file = path.rpartition("/")[2]
        if not file.lower().endswith(".gguf"):
            raise RequestInvalid(f"{path} does not name a GGUF file", hint="give the address of a .gguf file")
        host = path.partition("://")[2].partition("/")[0].rpartition("@")[2]
        return Artefact(tag="gguf", format="gguf", quant="", publisher=host, source="url", url=text, file=file)
    return None
