"""The OpenAPI 3.1 document of the whole door, made from its routes and the Structs that decode and encode bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gemstead import __version__
from gemstead.api.call import JSON, Call
from gemstead.api.dialect import Dialect
from gemstead.api.operations import OWN_OPERATIONS, Operation, Replies, operations_of, types_of

ROOT_PREFIX = "/"

_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")

_UNTYPED: dict[str, dict[str, Any]] = {
    JSON: {},
    "text/event-stream": {
        "type": "object",
        "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
        "required": ["data"],
    },
}
"""What is said of a reply without types; of a stream, what is said of each event."""


class OpenApiEndpoint:
    """Written when it is first asked for: no start waits for it."""

    def __init__(self, dialects: tuple[Dialect, ...]) -> None:
        self._dialects = dialects
        self._body = b""

    async def __call__(self, call: Call) -> None:
        call.require_method("GET", "HEAD")
        self._body = self._body or msgspec.json.encode(document(self._dialects))
        await call.answer(200, JSON, self._body)


def document(dialects: Sequence[Dialect]) -> dict[str, Any]:
    """Every route of every dialect and of the door itself. A path that dialects share has one operation for all."""
    entries = [*_entries(dialects)]
    schemas = _Schemas(entries)
    paths: dict[str, dict[str, Any]] = {}
    for dialect, operation in entries:
        methods = paths.setdefault(_PARAMETER.sub(r"{\1}", operation.path), {})
        described = schemas.describe(dialect, operation)
        known = methods.get(operation.method)
        methods[operation.method] = described if known is None else _merged(known, described)
    return {
        "openapi": "3.1.0",
        "info": {"title": "gemstead", "version": __version__},
        "tags": [{"name": dialect.name, "description": dialect.source} for dialect in dialects],
        "paths": paths,
        "components": {"schemas": schemas.components},
    }


def _entries(dialects: Sequence[Dialect]) -> Iterator[tuple[Dialect, Operation]]:
    for dialect in dialects:
        for route in dialect.routes:
            for operation in operations_of(route):
                yield dialect, operation
    root = next(dialect for dialect in dialects if dialect.path_prefix == ROOT_PREFIX)
    for operation in OWN_OPERATIONS:
        yield root, operation


class _Schemas:
    """The schemas of all bodies, made at once so that two Structs of one name get two names."""

    def __init__(self, entries: Sequence[tuple[Dialect, Operation]]) -> None:
        kinds = [kind for dialect, operation in entries for kind in _kinds(dialect, operation)]
        self._kinds = list({id(kind): kind for kind in kinds}.values())
        made, self.components = msgspec.json.schema_components(self._kinds, ref_template="#/components/schemas/{name}")
        self._schemas = dict(zip(map(id, self._kinds), made, strict=True))

    def describe(self, dialect: Dialect, operation: Operation) -> dict[str, Any]:
        replies = {status: self._content(media) for status, media in operation.replies.items()}
        error = self._content({JSON: types_of(dialect.error_type)})
        for status in operation.errors:
            replies[status] = _with_content(replies.get(status, {}), error)
        described: dict[str, Any] = {
            "tags": [dialect.name],
            "summary": operation.summary,
            "parameters": [*_parameters(dialect, operation)],
            "responses": {
                str(status): {"description": "An error" if status >= 400 else "Done as asked", "content": content}
                for status, content in sorted(replies.items())
            },
        }
        if operation.has_body:
            body = self._content({operation.request_media_type: operation.requests})
            described["requestBody"] = {"required": True, "content": body}
        return described

    def _content(self, replies: Replies) -> dict[str, Any]:
        return {media_type: {"schema": self._schema(kinds, media_type)} for media_type, kinds in replies.items()}

    def _schema(self, kinds: tuple[Any, ...], media_type: str) -> dict[str, Any]:
        if not kinds:
            return _UNTYPED.get(media_type, {"type": "string"})
        return _any_of([self._schemas[id(kind)] for kind in kinds])


def _kinds(dialect: Dialect, operation: Operation) -> Iterator[Any]:
    yield from types_of(dialect.error_type)
    yield from operation.requests
    for replies in operation.replies.values():
        for kinds in replies.values():
            yield from kinds


def _parameters(dialect: Dialect, operation: Operation) -> Iterator[dict[str, Any]]:
    for name in _PARAMETER.findall(operation.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    if dialect.client_header is not None:
        yield {"name": dialect.client_header.decode(), "in": "header", "schema": {"type": "string"}}


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """One operation that does what either does."""
    responses = {**one["responses"]}
    for status, response in other["responses"].items():
        known = responses.get(status, {"content": {}})
        responses[status] = {**response, "content": _with_content(known["content"], response["content"])}
    parameters = {(item["name"], item["in"]): item for item in (*one["parameters"], *other["parameters"])}
    return {
        **one,
        "tags": [*one["tags"], *other["tags"]],
        "parameters": list(parameters.values()),
        "responses": responses,
    }


def _with_content(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """By media type, a body of either."""
    merged = {**one}
    for media_type, body in other.items():
        known = [merged[media_type]["schema"]] if media_type in merged else []
        merged[media_type] = {"schema": _any_of([*known, body["schema"]])}
    return merged


def _any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    distinct = [schema for index, schema in enumerate(schemas) if schema not in schemas[:index]]
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}
