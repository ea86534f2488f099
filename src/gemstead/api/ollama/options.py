"""The `options` of a request: sampling, and what a caller asks about the loaded model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

import msgspec

from gemstead.api.body import apply_fields, take_fields
from gemstead.api.ollama.fields import OPTION_FIELDS
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Sampling, Warning

StopText: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
Penalty: TypeAlias = Annotated[float, msgspec.Meta(ge=-2, le=2)]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class Options(msgspec.Struct, frozen=True):
    """The honoured options only; `fields.OPTION_FIELDS` deals with the others."""

    num_ctx: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    num_predict: Count | None = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=10)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    top_p: Share | None = None
    min_p: Share | None = None
    repeat_penalty: Annotated[float, msgspec.Meta(gt=0, le=10)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    stop: StopText | Annotated[list[StopText], msgspec.Meta(max_length=16)] | None = None


def take_options(given: dict[str, Any], path: str = "options") -> Options:
    """The honoured options of `given`. Raises: RequestInvalid whose `param` is the option's path."""
    whole = {name: _whole(value) for name, value in given.items()}
    try:
        return take_fields(whole, Options)
    except RequestInvalid as exc:
        raise RequestInvalid(f"{path}.{exc.what}", param=f"{path}.{exc.param}") from exc


def _whole(value: Any) -> Any:
    """Clients in languages with one kind of number send 10.0 for 10; what wants a float takes either."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def option_warnings(given: dict[str, Any]) -> Iterator[Warning]:
    """Warnings for options that are not honoured. Raises: RequestInvalid naming one that is refused."""
    for warning in _applied(given):
        yield msgspec.structs.replace(warning, message=f"options.{warning.message}", param=f"options.{warning.param}")


def _applied(given: dict[str, Any]) -> list[Warning]:
    try:
        return list(apply_fields(given, OPTION_FIELDS))
    except RequestInvalid as exc:
        raise RequestInvalid(f"options.{exc.what}", param=f"options.{exc.param}", why=exc.why, hint=exc.hint) from exc


def sampling_of(options: Options) -> Sampling:
    unlimited = options.num_predict is None or options.num_predict <= 0
    is_random = options.seed is None or options.seed < 0
    return Sampling(
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        min_p=options.min_p,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        repeat_penalty=options.repeat_penalty,
        seed=None if is_random else options.seed,
        stop=(options.stop,) if isinstance(options.stop, str) else tuple(options.stop or ()),
        max_tokens=None if unlimited else options.num_predict,
    )
