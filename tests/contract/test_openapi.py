"""The OpenAPI document says all that the door serves, and nothing it does not."""

from typing import Any

import jsonschema_rs
import pytest
from starlette.routing import Route, Router

from door_fakes import FakeEngine, fake_services
from gemstead.api.admin.routes import ROOT, ROUTES
from gemstead.api.asgi import DIALECTS, build_api
from gemstead.api.dialect import Dialect
from gemstead.api.openapi import document
from gemstead.core.plugins import load_plugin, plugin_names

ALL = tuple(load_plugin(DIALECTS, name, "DIALECT", Dialect) for name in plugin_names(DIALECTS))


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    return document(ALL)


def served_paths() -> set[str]:
    door: Any = build_api(fake_services(FakeEngine()))
    router: Router = door.router
    patterns = {route.path.replace(":path}", "}") for route in router.routes if isinstance(route, Route)}
    return patterns | set(door.apps)


def test_every_path_the_door_serves_is_in_the_document_and_no_other(written: dict[str, Any]) -> None:
    assert set(written["paths"]) == served_paths()


def test_every_route_of_every_dialect_is_described_under_its_name(written: dict[str, Any]) -> None:
    for dialect in ALL:
        for route in dialect.routes:
            operations = written["paths"][route.path.replace(":path}", "}")].values()
            assert any(dialect.name in operation["tags"] for operation in operations), route.path


@pytest.mark.parametrize("dialect", ALL, ids=lambda dialect: dialect.name)
def test_every_route_has_a_summary_and_every_dialect_a_shape_for_its_errors(dialect: Dialect) -> None:
    assert dialect.error_type is not None
    assert [route.path for route in dialect.routes if not route.summary] == []


def test_every_reference_in_the_document_leads_somewhere(written: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    names = {reference.removeprefix("#/components/schemas/") for reference in references(written)}
    assert names
    assert names <= set(written["components"]["schemas"])


def test_every_schema_in_the_document_is_a_valid_one(written: dict[str, Any]) -> None:
    for name, schema in written["components"]["schemas"].items():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        assert schema.get("title") or schema.get("enum"), name


def test_an_error_is_described_in_the_words_of_its_dialect(written: dict[str, Any]) -> None:
    shared = written["paths"]["/v1/models"]["get"]["responses"]["404"]["content"]["application/json"]["schema"]
    alone = written["paths"]["/v1/messages"]["post"]["responses"]["400"]["content"]["application/json"]["schema"]
    assert len(shared["anyOf"]) == 2
    assert alone["$ref"].endswith("ErrorReply")


def test_no_route_of_the_admin_api_is_on_the_door() -> None:
    assert not {ROOT + route.path for route in ROUTES} & served_paths()
    assert not [path for path in served_paths() if "admin" in path]
