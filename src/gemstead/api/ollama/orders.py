"""The bodies that ask for something about models: show, copy, delete, pull, create."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from gemstead.api.body import apply_fields, bounded, decode_json, take_fields
from gemstead.api.desk import CopyModel, CreateModel, ListLoaded, ListModels, PullModel, RemoveModel, ShowModel
from gemstead.api.dialect import DecodedOrder, DecodedWork, Field
from gemstead.api.ollama.fields import (
    COPY_FIELDS,
    CREATE_FIELDS,
    DELETE_FIELDS,
    OPTION_FIELDS,
    PULL_FIELDS,
    SHOW_FIELDS,
)
from gemstead.api.ollama.modelfile import read_modelfile
from gemstead.api.ollama.options import Options, sampling_of, take_options
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Warning

T = TypeVar("T")

NameText: TypeAlias = Annotated[str, msgspec.Meta(max_length=256)]
LongText: TypeAlias = Annotated[str, msgspec.Meta(max_length=256 * 1024)]


class NamedRequest(msgspec.Struct, frozen=True):
    """`name` is what `model` was once called."""

    model: NameText | None = None
    name: NameText | None = None


class OllamaPullRequest(NamedRequest, frozen=True):
    stream: bool | None = None


class OllamaCopyRequest(msgspec.Struct, frozen=True):
    source: NameText
    destination: NameText


class OllamaCreateRequest(NamedRequest, frozen=True, rename={"from_": "from"}):
    from_: NameText | None = None
    system: LongText | None = None
    parameters: dict[str, Any] | None = None
    license: LongText | Annotated[list[LongText], msgspec.Meta(max_length=16)] | None = None
    modelfile: LongText | None = None
    stream: bool | None = None


def decode_list(_payload: bytes) -> DecodedOrder:
    return DecodedOrder(ListModels())


def decode_loaded(_payload: bytes) -> DecodedOrder:
    return DecodedOrder(ListLoaded())


def decode_show(payload: bytes) -> DecodedOrder:
    """Raises: RequestInvalid naming the field, as all of these."""
    asked, warnings = _take(payload, SHOW_FIELDS, NamedRequest)
    return DecodedOrder(ShowModel(_name(asked)), warnings)


def decode_delete(payload: bytes) -> DecodedOrder:
    asked, warnings = _take(payload, DELETE_FIELDS, NamedRequest)
    return DecodedOrder(RemoveModel(_name(asked)), warnings)


def decode_copy(payload: bytes) -> DecodedOrder:
    asked, warnings = _take(payload, COPY_FIELDS, OllamaCopyRequest)
    return DecodedOrder(CopyModel(_plain(asked.source, "source"), _plain(asked.destination, "destination")), warnings)


def decode_pull(payload: bytes) -> DecodedWork:
    asked, warnings = _take(payload, PULL_FIELDS, OllamaPullRequest)
    return DecodedWork(PullModel(_name(asked)), asked.stream is not False, warnings)


def decode_create(payload: bytes) -> DecodedWork:
    """What a Modelfile says counts where the body itself says nothing."""
    asked, warnings = _take(payload, CREATE_FIELDS, OllamaCreateRequest)
    told = read_modelfile(asked.modelfile) if asked.modelfile else {}
    source = asked.from_ or told.get("from")
    if not source:
        raise RequestInvalid("from is missing", param="from", hint='name a model of the store: "from": "gemma4:e2b"')
    options = _parameters({**told.get("parameters", {}), **(asked.parameters or {})})
    licence = asked.license or told.get("license")
    work = CreateModel(
        name=_name(asked),
        source=_plain(source, "from"),
        system=asked.system or told.get("system") or None,
        sampling=sampling_of(options),
        wanted_context=options.num_ctx,
        licence="\n".join(licence) if isinstance(licence, list) else licence or None,
    )
    return DecodedWork(work, asked.stream is not False, warnings)


def _take(payload: bytes, fields: dict[str, Field], kind: type[T]) -> tuple[T, tuple[Warning, ...]]:
    body = decode_json(payload, example='{"model": ...}')
    warnings = bounded(list(apply_fields(body, fields)))
    return take_fields(body, kind), warnings


def _name(asked: NamedRequest) -> str:
    if asked.model and asked.name and asked.model != asked.name:
        raise RequestInvalid("model and name contradict each other", param="name", hint="send model")
    return _plain(asked.model or asked.name or "", "model")


def _plain(text: str, param: str) -> str:
    """A name without `:latest`, which every name may carry here."""
    name = text.strip().removesuffix(":latest")
    if not name:
        raise RequestInvalid(f"{param} is missing", param=param)
    return name


def _parameters(given: dict[str, Any]) -> Options:
    """Raises: RequestInvalid naming a parameter that could not be honoured later: nobody would see the warning."""
    for name, value in given.items():
        field = OPTION_FIELDS.get(name)
        if value is not None and (field is None or field.handling != "honoured"):
            why = field.note if field else "it is not a parameter of this API"
            raise RequestInvalid(
                f"parameters.{name[:80]} is not supported",
                param=f"parameters.{name[:80]}",
                why=why,
                hint="leave it out",
            )
    return take_options(given, "parameters")
