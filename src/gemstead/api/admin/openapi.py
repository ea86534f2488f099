"""The OpenAPI 3.1 document of the admin API, made from its routes and the Structs of their bodies."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gemstead import __version__
from gemstead.api.admin.routes import ROOT, ROUTES, AdminRoute
from gemstead.api.admin.shapes import ErrorReply
from gemstead.api.call import JSON

_PARAMETER = re.compile(r"{(\w+)}")

ERRORS = (400, 401, 403, 404, 405, 408, 413, 415, 429, 500, 503)


def document() -> dict[str, Any]:
    """Every route of the admin API, and no other."""
    kinds = [kind for route in ROUTES for kind in (route.request_type, route.reply_type) if kind is not None]
    kinds = [*dict.fromkeys([*kinds, ErrorReply])]
    made, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas = dict(zip(kinds, made, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(ROOT + route.path, {})[route.method.lower()] = _described(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "gemstead admin", "version": __version__},
        "security": [{"key": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _described(route: AdminRoute, schemas: dict[Any, Any]) -> dict[str, Any]:
    def content(kind: Any) -> dict[str, Any]:
        return {JSON: {"schema": schemas[kind]}}

    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(route.path)
    ]
    parameters += [
        {"name": name, "in": "query", "description": sentence, "schema": {"type": "string"}}
        for name, sentence in route.query.items()
    ]
    described: dict[str, Any] = {
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done as asked", "content": content(route.reply_type)},
            **{str(status): {"description": "An error", "content": content(ErrorReply)} for status in ERRORS},
        },
    }
    if route.request_type is not None:
        described["requestBody"] = {"required": True, "content": content(route.request_type)}
    return described
