"""A JSON body on its way in: decoded, held against its dialect's table of fields, explained where it is wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from gemstead.api.dialect import Field
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Warning

MAX_WARNINGS = 16
"""Warnings said one by one; a body with a thousand odd fields gets these and a count."""

T = TypeVar("T")


def decode_json(payload: bytes, example: str) -> dict[str, Any]:
    """The object that `payload` is. `example` shows what a good one looks like.

    Raises: RequestInvalid.
    """
    try:
        body = msgspec.json.decode(payload)
    except RecursionError as exc:
        raise RequestInvalid("the body is nested too deep") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise RequestInvalid("the body is not valid JSON", why=str(exc)) from exc
    if not isinstance(body, dict):
        raise RequestInvalid("the body is not a JSON object", hint=example)
    return body


def take_fields(body: dict[str, Any], kind: type[T], *, is_strict: bool = True) -> T:
    """The honoured fields of `body`; not strict: numbers and truth values may be written as text, as in forms.

    Raises: RequestInvalid whose `param` is the bad field's path.
    """
    try:
        return msgspec.convert(body, kind, strict=is_strict)
    except msgspec.ValidationError as exc:
        raise _explain(exc) from exc


def _explain(error: msgspec.ValidationError) -> RequestInvalid:
    """The validator's own sentence, `<what> - at `$.<path>``, taken apart."""
    what, _, place = str(error).partition(" - at `$")
    path = place.rstrip("`").removeprefix(".")
    missing = what.removeprefix("Object missing required field `")
    if missing != what:
        name = missing.rstrip("`")
        path = f"{path}.{name}" if path else name
        return RequestInvalid(f"{path} is missing", param=path)
    return RequestInvalid(f"{path or 'body'}: {what[:1].lower()}{what[1:]}", param=path or None)


def apply_fields(body: dict[str, Any], fields: Mapping[str, Field]) -> Iterator[Warning]:
    """Warnings for the fields of `body` that are answered without, in its order.

    Raises: RequestInvalid naming the first field that is refused.
    """
    for name, value in body.items():
        field = fields.get(name)
        if field is None:
            yield warn_unknown(name)
        elif field.handling == "honoured" or value is None or _is_neutral(value, field):
            continue
        elif field.handling == "refused":
            raise RequestInvalid(f"{name} is not supported", param=name, why=field.note, hint=f"leave {name} out")
        else:
            yield warn_ignored(name, field.note)


def _is_neutral(value: object, field: Field) -> bool:
    """Types count: True is not 1 here."""
    return any(value == neutral and type(value) is type(neutral) for neutral in field.neutral)


def warn_ignored(path: str, why: str) -> Warning:
    return Warning(code="field_ignored", message=f"{path} is ignored: {why}", param=path)


def warn_unknown(path: str) -> Warning:
    """The name is the caller's, so only the start of a long one is given back."""
    shown = path[:120]
    return Warning(code="field_unknown", message=f"{shown} is not a field of this API; ignored", param=shown)


def warn_unknown_below(given: dict[str, Any], taken: msgspec.Struct, prefix: str = "") -> Iterator[Warning]:
    """Warnings for keys without a field in the structs and lists of structs inside `taken`, made of `given`.

    The top level is `apply_fields`'s.
    """
    for name, value in given.items():
        if type(value) is dict:
            if isinstance(inner := getattr(taken, name, None), msgspec.Struct):
                yield from _warn_unknown_in(value, inner, prefix + name)
        elif type(value) is list and isinstance(items := getattr(taken, name, None), list):
            for index, (item, inner) in enumerate(zip(value, items, strict=True)):
                if isinstance(inner, msgspec.Struct):
                    yield from _warn_unknown_in(item, inner, f"{prefix}{name}[{index}]")


def _warn_unknown_in(given: dict[str, Any], taken: msgspec.Struct, path: str) -> Iterator[Warning]:
    known, tag_field = taken.__struct_encode_fields__, taken.__struct_config__.tag_field
    for name in given:
        if name not in known and name != tag_field:
            yield warn_unknown(f"{path}.{name}")
    yield from warn_unknown_below(given, taken, f"{path}.")


def bounded(warnings: list[Warning]) -> tuple[Warning, ...]:
    """The first `MAX_WARNINGS`, and how many more there were."""
    if len(warnings) <= MAX_WARNINGS:
        return tuple(warnings)
    rest = len(warnings) - MAX_WARNINGS
    return (*warnings[:MAX_WARNINGS], Warning(code="more_warnings", message=f"and {rest} more fields were ignored"))
