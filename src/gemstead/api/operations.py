"""Every route as the operations an API document lists: method, path, what goes in, what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from gemstead.api.call import JSON
from gemstead.api.dialect import (
    AnyRoute,
    ChatRoute,
    CountRoute,
    Described,
    EmbedRoute,
    FixedRoute,
    FormRoute,
    ModelsRoute,
    OrderRoute,
    RefusedRoute,
    ResponsesRoute,
    TokenizeRoute,
    WorkRoute,
)
from gemstead.api.errors import STATUS_OF_CODE, http_status
from gemstead.api.readiness import Readiness

Method: TypeAlias = Literal["get", "post", "delete"]

Replies: TypeAlias = dict[str, tuple[Any, ...]]
"""By media type, the types a body of it may have; none: it has no shape of its own."""

BODY_CODES = frozenset({"body_too_slow", "body_too_large", "content_type_refused"})


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`requests` are the types a body may have. `replies` are by status; those of `errors` are the dialect's."""

    method: Method
    path: str
    summary: str
    requests: tuple[Any, ...] = ()
    has_body: bool = False
    request_media_type: str = JSON
    replies: dict[int, Replies]
    errors: tuple[int, ...]


OWN_ERRORS = (401, 403, 405, 429, 500, 503)
"""Refusals of the door itself, before a route is asked, and a method that the route has not."""

OWN_OPERATIONS = (
    Operation(
        method="get",
        path="/healthz",
        summary="Whether this process answers at all",
        replies={200: {JSON: (dict[str, str],)}},
        errors=OWN_ERRORS,
    ),
    Operation(
        method="get",
        path="/readyz",
        summary="Whether every engine is ready to answer",
        replies={200: {JSON: (Readiness,)}, 503: {JSON: (Readiness,)}},
        errors=OWN_ERRORS,
    ),
    Operation(
        method="get",
        path="/metrics",
        summary="What is counted, for Prometheus",
        replies={200: {CONTENT_TYPE_PLAIN_0_0_4: ()}},
        errors=OWN_ERRORS,
    ),
    Operation(
        method="get",
        path="/openapi.json",
        summary="This document",
        replies={200: {JSON: (dict[str, Any],)}},
        errors=OWN_ERRORS,
    ),
)
"""Of the routes that belong to no dialect."""


def operations_of(route: AnyRoute) -> Iterator[Operation]:
    match route:
        case ChatRoute() | WorkRoute():
            yield _post(route, route.path, {JSON: types_of(route.reply_type), route.stream_media_type: ()})
        case CountRoute() | TokenizeRoute() | EmbedRoute():
            yield _post(route, route.path, {JSON: types_of(route.reply_type)})
        case ModelsRoute():
            yield _get(route.path, route.summary, {JSON: types_of(route.reply_type)})
            yield _get(route.path + "/{name}", "One of them", {JSON: types_of(route.item_type)})
        case FormRoute():
            form = _post(route, route.path, {JSON: types_of(route.reply_type), route.stream_media_type: ()})
            yield msgspec.structs.replace(form, request_media_type="multipart/form-data")
        case ResponsesRoute():
            yield from _responses(route)
        case OrderRoute(method="GET"):
            yield _get(route.path, route.summary, {JSON: types_of(route.reply_type)})
        case OrderRoute(method=method):
            operation = _post(route, route.path, {JSON: types_of(route.reply_type)})
            yield msgspec.structs.replace(operation, method="delete" if method == "DELETE" else "post")
        case FixedRoute():
            yield _get(route.path, route.summary, {route.media_type: types_of(route.reply_type)})
        case RefusedRoute():
            statuses = (401, 403, 429, 500, 503, http_status(route.error()))
            yield Operation(
                method="post", path=route.path, summary=route.summary, replies={}, errors=tuple(sorted({*statuses}))
            )


def _responses(route: ResponsesRoute) -> Iterator[Operation]:
    """The paths below the route's own are the endpoint's; what is kept comes back as it was given."""
    kept, reply = route.path + "/{response_id}", {JSON: types_of(route.reply_type)}
    yield _post(route, route.path, {**reply, route.stream_media_type: ()})
    count = _post(route, route.path, {JSON: types_of(route.count_type)})
    yield msgspec.structs.replace(count, path=f"{route.path}/input_tokens", summary="Count the tokens of its prompt")
    yield _get(kept, "An answer that was kept", reply)
    forget = _get(kept, "Forget an answer that was kept", {JSON: types_of(route.deleted_type)})
    yield msgspec.structs.replace(forget, method="delete")
    yield _get(f"{kept}/input_items", "What a kept answer was an answer to", {JSON: types_of(route.items_type)})
    cancel = _get(f"{kept}/cancel", "Refused: nothing runs in the background", {})
    yield msgspec.structs.replace(cancel, method="post", replies={})


def types_of(kind: Any) -> tuple[Any, ...]:
    """Those of a union, one by one: a schema cannot hold a union of untagged Structs."""
    if kind is None:
        return ()
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


def _post(route: Described, path: str, ok: Replies) -> Operation:
    return Operation(
        method="post",
        path=path,
        summary=route.summary,
        requests=types_of(route.request_type),
        has_body=True,
        replies={200: ok},
        errors=tuple(sorted(set(STATUS_OF_CODE.values()))),
    )


def _get(path: str, summary: str, ok: Replies) -> Operation:
    statuses = {status for code, status in STATUS_OF_CODE.items() if code not in BODY_CODES}
    return Operation(method="get", path=path, summary=summary, replies={200: ok}, errors=tuple(sorted(statuses)))
