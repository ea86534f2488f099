"""JSON schemas that callers send, compiled to validators: bounded, cached, and never looking outside themselves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import unquote

import jsonschema_rs
import msgspec

from gemstead.core.errors import RequestInvalid

MAX_SCHEMA_BYTES = 256 * 1024
"""The largest published tool servers stay below a quarter of it."""

MAX_SUBSCHEMAS = 100_000
"""Schemas looked at for one value, references followed. A chain of references that each fan out in two doubles the work
with every link: forty links are a few kilobytes and would never end."""

MAX_CACHED = 64
"""Applications send the same few schemas with every request."""

_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=2000)
"""Look-around is allowed, a pattern that backtracks without end is not: what it would match counts as not matching."""


class Validator(Protocol):
    """What is used of a compiled schema."""

    def is_valid(self, instance: Any) -> bool: ...

    def iter_errors(self, instance: Any) -> Iterator[jsonschema_rs.ValidationError]: ...


def validator_of(schema: dict[str, Any], param: str) -> Validator:
    """A validator for `schema`, which came in the request's field `param`.

    A reference to anything outside the schema is refused: nothing is fetched, from no network and no disk. `format` is
    a remark, as the standard has it, and not checked.

    Raises: RequestInvalid that names `param` if it is no JSON schema, or larger or more branching than is checked here.
    """
    try:
        text = msgspec.json.encode(schema)
    except RecursionError as exc:
        raise RequestInvalid(f"{param} is nested too deep", param=param) from exc
    if len(text) > MAX_SCHEMA_BYTES:
        raise RequestInvalid(f"{param} has {len(text)} bytes, {MAX_SCHEMA_BYTES} are allowed", param=param)
    try:
        return _compile(text)
    except jsonschema_rs.ValidationError as exc:
        place = "".join(f"/{step}" for step in exc.instance_path)
        where = f"at {place[:200]}: " if place else ""
        raise RequestInvalid(f"{param} is not a JSON schema", param=param, why=where + exc.message[:300]) from exc
    except (ValueError, RecursionError) as exc:
        raise RequestInvalid(f"{param} cannot be checked", param=param, why=str(exc)[:300]) from exc


def first_fault(validator: Validator, instance: Any) -> str | None:
    """Where and how `instance`, decoded JSON, breaks the schema, in one short line; None if it does not."""
    if validator.is_valid(instance):
        return None
    error = next(validator.iter_errors(instance))
    place = "".join(f"/{step}" for step in error.instance_path) or "the top"
    return f"at {place[:200]}: {error.message[:300]}"


@lru_cache(maxsize=MAX_CACHED)
def _compile(text: bytes) -> Validator:
    schema = msgspec.json.decode(text)
    validator = jsonschema_rs.validator_for(schema, offline=True, pattern_options=_PATTERNS)
    if _Branching(schema).count(schema) > MAX_SUBSCHEMAS:
        raise ValueError("its references fan out without end")
    return validator


class _Branching:
    """Counts how many schemas one value may be held against."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._named = dict(_references(root, "#"))
        self._counts: dict[int, int] = {}

    def count(self, node: Any) -> int:
        if isinstance(node, list):
            return sum(self.count(item) for item in node)
        if not isinstance(node, dict):
            return 0
        if id(node) not in self._counts:
            # A schema that refers back to itself goes one level down in the value each time, or the validator sees it.
            self._counts[id(node)] = 1
            target = node.get("$ref")
            inside = sum(self.count(value) for value in node.values())
            self._counts[id(node)] = 1 + inside + (self.count(self._named.get(target)) if type(target) is str else 0)
        return self._counts[id(node)]


def _references(node: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    """Every schema under the words that a `$ref` may have for it."""
    if isinstance(node, dict):
        yield unquote(pointer), node
        for key, value in node.items():
            if key in ("$anchor", "$id") and isinstance(value, str):
                yield (f"#{value}" if key == "$anchor" else value), node
            yield from _references(value, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _references(item, f"{pointer}/{index}")
