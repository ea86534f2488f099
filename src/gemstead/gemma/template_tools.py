"""Tools as Gemma 4's prompt declares them: a JSON schema in the model's own spelling, types in capitals.

What the template has no spelling for (`anyOf`, `$ref`, numeric bounds) is not printed, so the model never sees it.
Where it prints an unbalanced brace, so does this: the prompt must be the one the model was trained on.

Source: the macros `format_function_declaration` and `format_parameters` of Google's chat template for Gemma 4,
published 2026-07-09.
"""

from __future__ import annotations

from typing import Any

from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Tool
from gemstead.gemma.depth import check_depth
from gemstead.gemma.template_values import braced, by_key, quoted, value_text
from gemstead.gemma.tokens import QUOTE

NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}
"""What a tool without parameters is declared with."""

_PRINTED_KEYS = frozenset({"description", "type", "properties", "required", "nullable"})
"""Keys of an object's schema that say something about the object. Without `properties`, all others name a field."""


def declaration(tool: Tool) -> str:
    """The text between the tool tokens. Raises: RequestInvalid if `tool.parameters` is no schema of an object."""
    parameters = tool.parameters or NO_PARAMETERS
    text = f"declaration:{tool.name}{{description:{quoted(tool.description)},parameters:{{"
    if properties := parameters.get("properties"):
        text += f"properties:{_properties(_as_mapping(properties), 0)},"
    if required := parameters.get("required"):
        text += f"required:{_names(required)},"
    if kind := parameters.get("type"):
        text += f"type:{quoted(_capitals(kind))}}}"
    return text + "}"


def _properties(properties: dict[str, Any], depth: int) -> str:
    check_depth(depth)
    return braced((key, braced(_property(schema, depth + 1))) for key, schema in by_key(properties))


def _property(schema: Any, depth: int) -> list[tuple[str, str]]:
    """The fields of one property's declaration. A schema that is only true or false has a type without a name."""
    if not isinstance(schema, dict):
        return [("type", quoted(""))]
    kind = _capitals(schema.get("type", ""))
    fields = []
    if description := schema.get("description"):
        fields.append(("description", quoted(str(description))))
    if kind == "STRING" and (choices := schema.get("enum")):
        fields.append(("enum", value_text(choices, has_quoted_keys=True, depth=depth)))
    elif kind == "ARRAY" and isinstance(items := schema.get("items"), dict) and items:
        fields.append(("items", _items(items, depth)))
    if schema.get("nullable"):
        fields.append(("nullable", "true"))
    if kind == "OBJECT":
        fields += _object_fields(schema, depth)
    return [*fields, ("type", quoted(kind))]


def _object_fields(schema: dict[str, Any], depth: int) -> list[tuple[str, str]]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        properties = {key: value for key, value in schema.items() if key not in _PRINTED_KEYS}
    fields = [("properties", _properties(properties, depth))]
    if required := schema.get("required"):
        fields.append(("required", _names(required)))
    return fields


def _items(items: dict[str, Any], depth: int) -> str:
    """The schema of an array's items: unlike a property's it prints every key, in order."""
    check_depth(depth)
    return braced((key, _items_field(key, value, depth + 1)) for key, value in by_key(items) if value is not None)


def _items_field(key: str, value: Any, depth: int) -> str:
    match key:
        case "properties":
            return _properties(value, depth) if isinstance(value, dict) else "{}"
        case "required":
            return _names(value)
        case "type" if isinstance(value, str):
            return quoted(value.upper())
        case "type":
            return value_text([_capitals(kind) for kind in _as_list(value)], has_quoted_keys=True)
    return value_text(value, has_quoted_keys=True, depth=depth)


def _names(names: Any) -> str:
    return f"[{','.join(f'{QUOTE}{name}{QUOTE}' for name in _as_list(names))}]"


def _capitals(kind: Any) -> str:
    """A list of types prints as Python writes it: the template asks for no more."""
    return str(kind).upper()


def _as_mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise RequestInvalid(
        f"`properties` of a tool's parameters is {str(value)[:80]!r}", param="tools", hint="give an object of schemas"
    )


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    raise RequestInvalid(
        f"{str(value)[:80]!r} stands in a tool's parameters for a list of names", param="tools", hint="give a list"
    )
