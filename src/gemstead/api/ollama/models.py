"""What Ollama says about models: tags, ps, show, and the steps of pull and create."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.desk import Capability, LoadedModel, ModelDetails, StoredModel, WorkProgress
from gemstead.api.ollama.reply import Extension, timestamp
from gemstead.core.types import Sampling, Warning

NEVER = "9999-12-31T23:59:59Z"
"""When a model that stays loaded expires: clients show any time so far away as "Forever"."""


class DetailsBody(msgspec.Struct, frozen=True):
    parent_model: str
    format: str
    family: str
    families: tuple[str, ...]
    parameter_size: str
    quantization_level: str


class TagBody(msgspec.Struct, frozen=True):
    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: DetailsBody


class TagsBody(msgspec.Struct, frozen=True):
    models: tuple[TagBody, ...]


class LoadedBody(msgspec.Struct, frozen=True):
    name: str
    model: str
    size: int
    digest: str
    details: DetailsBody
    expires_at: str
    size_vram: int
    context_length: int


class LoadedListBody(msgspec.Struct, frozen=True):
    models: tuple[LoadedBody, ...]


class ShowBody(msgspec.Struct, frozen=True, kw_only=True):
    modelfile: str
    parameters: str
    template: str
    details: DetailsBody
    model_info: dict[str, Any]
    capabilities: tuple[Capability, ...]
    modified_at: str
    license: str | UnsetType = UNSET
    system: str | UnsetType = UNSET


class StepBody(msgspec.Struct, frozen=True):
    status: str
    digest: str | UnsetType = UNSET
    total: int | UnsetType = UNSET
    completed: int | UnsetType = UNSET
    gemstead: Extension | UnsetType = UNSET


def encode_tags(models: tuple[StoredModel, ...]) -> bytes:
    return msgspec.json.encode(TagsBody(tuple(_tag(model) for model in models)))


def encode_loaded(models: tuple[LoadedModel, ...]) -> bytes:
    return msgspec.json.encode(LoadedListBody(tuple(_loaded(model) for model in models)))


def encode_show(shown: ModelDetails) -> bytes:
    parameters = _parameters(shown)
    return msgspec.json.encode(
        ShowBody(
            modelfile=_modelfile(shown, parameters),
            parameters="\n".join(f"{name:<30} {value}" for name, value in parameters),
            template=shown.template or "",
            details=_details(shown.model),
            model_info=_model_info(shown),
            capabilities=shown.capabilities,
            modified_at=_modified_at(shown.model),
            license=shown.licence or UNSET,
            system=shown.system or UNSET,
        )
    )


def encode_success(_answer: None) -> bytes:
    """For copy and delete, whose status alone is what clients read."""
    return msgspec.json.encode(StepBody("success"))


def encode_step(step: WorkProgress) -> bytes:
    body = StepBody(
        status=step.status,
        digest=f"sha256:{step.sha256}" if step.sha256 else UNSET,
        total=UNSET if step.total_bytes is None else step.total_bytes,
        completed=UNSET if step.done_bytes is None else step.done_bytes,
    )
    return msgspec.json.encode(body) + b"\n"


def encode_done(warnings: tuple[Warning, ...]) -> bytes:
    return msgspec.json.encode(StepBody("success", gemstead=Extension(warnings) if warnings else UNSET)) + b"\n"


def _tag(model: StoredModel) -> TagBody:
    return TagBody(
        name=model.name,
        model=model.name,
        modified_at=_modified_at(model),
        size=model.size_bytes,
        digest=model.sha256,
        details=_details(model),
    )


def _loaded(loaded: LoadedModel) -> LoadedBody:
    model = loaded.model
    return LoadedBody(
        name=model.name,
        model=model.name,
        size=loaded.resident_bytes,
        digest=model.sha256,
        details=_details(model),
        expires_at=NEVER if loaded.expires_at_s is None else timestamp(loaded.expires_at_s),
        size_vram=loaded.gpu_bytes,
        context_length=loaded.context_length,
    )


def _details(model: StoredModel) -> DetailsBody:
    """Empty texts, as this API has it, for what is not known."""
    family = model.architecture or ""
    return DetailsBody(
        parent_model=model.made_from or "",
        format=model.format,
        family=family,
        families=(family,) if family else (),
        parameter_size=_parameter_size(model.num_parameters),
        quantization_level=model.quant or "",
    )


def _parameter_size(count: int | None) -> str:
    if count is None:
        return ""
    return f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.2f}M"


def _modified_at(model: StoredModel) -> str:
    return model.stored_at.replace("+00:00", "Z")


def _model_info(shown: ModelDetails) -> dict[str, Any]:
    info: dict[str, Any] = dict(shown.metadata)
    if shown.model.architecture:
        info["general.architecture"] = shown.model.architecture
    if shown.model.num_parameters is not None:
        info["general.parameter_count"] = shown.model.num_parameters
    return info


def _parameters(shown: ModelDetails) -> list[tuple[str, str]]:
    """What the model's own record sets, under Ollama's names."""
    sampling: Sampling = shown.sampling
    known: list[tuple[str, object]] = [
        ("num_ctx", shown.wanted_context),
        ("num_predict", sampling.max_tokens),
        ("seed", sampling.seed),
        ("temperature", sampling.temperature),
        ("top_k", sampling.top_k),
        ("top_p", sampling.top_p),
        ("min_p", sampling.min_p),
        ("repeat_penalty", sampling.repeat_penalty),
        ("presence_penalty", sampling.presence_penalty),
        ("frequency_penalty", sampling.frequency_penalty),
    ]
    stops = [("stop", f'"{text}"') for text in sampling.stop]
    return [
        (name, f"{value:g}" if isinstance(value, float) else str(value)) for name, value in known if value is not None
    ] + stops


def _modelfile(shown: ModelDetails, parameters: list[tuple[str, str]]) -> str:
    lines = [f"FROM {shown.model.made_from or shown.model.name}"]
    if shown.system:
        lines.append(f'SYSTEM """{shown.system}"""')
    lines += [f"PARAMETER {name} {value}" for name, value in parameters]
    return "\n".join([*lines, ""])
