"""Schemas from callers: bounded, and closed to the outside."""

import itertools
from typing import Any

import pytest

from gemstead.core.errors import RequestInvalid
from gemstead.pipeline.schemas import MAX_SCHEMA_BYTES, first_fault, validator_of


def refusal(schema: dict[str, Any]) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        validator_of(schema, "tools[3].parameters")
    assert caught.value.param == "tools[3].parameters"
    return caught.value


def nested(key: str, depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"properties": {key: schema}}
    return schema


def fan_out(links: int, reference: str = "#/$defs/a{}") -> dict[str, Any]:
    """Every link refers twice to the next one."""
    defs: dict[str, Any] = {
        f"a{link}": {"$anchor": f"a{link}", "allOf": [{"$ref": reference.format(link + 1)}] * 2}
        for link in range(links)
    }
    return {"$ref": "#/$defs/a0", "$defs": defs | {f"a{links}": {"$anchor": f"a{links}", "type": "integer"}}}


def test_a_fault_says_where_and_how() -> None:
    validator = validator_of({"properties": {"a": {"items": {"type": "integer"}}}}, "x")
    assert first_fault(validator, {"a": [1, 2]}) is None
    assert first_fault(validator, {"a": [1, "two"]}) == 'at /a/1: "two" is not of type "integer"'


def test_a_fault_quotes_a_large_value_only_in_part() -> None:
    fault = first_fault(validator_of({"type": "integer"}, "x"), "y" * 100_000)
    assert fault is not None
    assert len(fault) < 1000


def test_references_inside_the_schema_are_followed() -> None:
    tree = {"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}
    validator = validator_of(tree, "x")
    assert first_fault(validator, {"next": {"next": {}}}) is None
    assert first_fault(validator, {"next": {"next": 1}}) is not None


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/s.json", "file:///etc/hostname", "other.json", "#/$defs/none"])
def test_references_to_anything_outside_are_refused_and_not_followed(target: str) -> None:
    assert "not a JSON schema" in refusal({"properties": {"a": {"$ref": target}}}).what


@pytest.mark.parametrize("schema", [{"type": "strin"}, {"minLength": -1}, {"pattern": "("}, {"$schema": "http://x/y"}])
def test_what_is_no_schema_is_refused_with_the_reason(schema: dict[str, Any]) -> None:
    assert refusal(schema).why


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_a_schema_nested_too_deep_is_refused(depth: int) -> None:
    refusal(nested("a", depth))


def test_a_schema_too_large_is_refused() -> None:
    refusal({"description": "x" * MAX_SCHEMA_BYTES})


@pytest.mark.parametrize("reference", ["#/$defs/a{}", "#a{}"])
def test_references_that_fan_out_without_end_are_refused(reference: str) -> None:
    assert "fan out" in str(refusal(fan_out(40, reference)).why)
    assert first_fault(validator_of(fan_out(8, reference), "x"), 1) is None


def test_a_chain_of_references_too_long_to_follow_is_refused() -> None:
    chain = {f"a{link}": {"$ref": f"#/$defs/a{link + 1}"} for link in range(3000)}
    refusal({"$ref": "#/$defs/a0", "$defs": chain | {"a3000": {}}})


def test_a_pattern_that_backtracks_without_end_does_not_match() -> None:
    validator = validator_of({"pattern": "(?=a)(a|a)*(a|a)*(a|a)*$"}, "x")
    assert first_fault(validator, "a" * 500 + "b") is not None


def test_more_schemas_than_are_kept_still_work() -> None:
    for number in itertools.chain(range(100), range(100)):
        validator = validator_of({"const": number}, "x")
        assert first_fault(validator, number) is None
        assert first_fault(validator, number + 1) is not None
