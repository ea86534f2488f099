"""The part of a Modelfile that can be honoured: FROM, SYSTEM, PARAMETER, LICENSE.

Source: docs/modelfile.md of https://github.com/ollama/ollama (read 2026-11).
"""

from __future__ import annotations

import re
from typing import Any

from gemstead.core.errors import RequestInvalid

MAX_CHARS = 256 * 1024

_BLANK = re.compile(r"(?:[ \t\r]*(?:#[^\n]*)?(?:\n|\Z))*")
_INSTRUCTION = re.compile(r"[ \t]*([A-Za-z]+)[ \t]+")
_VALUE = re.compile(r'"""(.*?)"""|"((?:[^"\n])*)"[ \t]*$|([^\n]*)', re.DOTALL | re.MULTILINE)
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_DECIMAL = re.compile(r"[+-]?(\d{1,18}\.\d{0,18}|\.\d{1,18})(e[+-]?\d{1,2})?", re.IGNORECASE)
_LIST_PARAMETERS = ("stop",)


def read_modelfile(text: str) -> dict[str, Any]:
    """The same as fields of a create request: from, system, parameters, license.

    Raises: RequestInvalid naming the instruction that cannot be honoured or read.
    """
    if len(text) > MAX_CHARS:
        raise RequestInvalid(f"a Modelfile of {len(text)} characters", param="modelfile")
    fields: dict[str, Any] = {}
    position = _after(_BLANK, text, 0)
    while position < len(text):
        match = _INSTRUCTION.match(text, position)
        if match is None:
            line = text[position:].partition("\n")[0]
            raise RequestInvalid(f"the line {line[:80]!r} has no instruction", param="modelfile")
        value = _VALUE.match(text, match.end())
        assert value is not None, "its last alternative matches anything"
        _take(fields, match[1].upper(), _content(value))
        position = _after(_BLANK, text, value.end())
    return fields


def _after(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _content(value: re.Match[str]) -> str:
    if value[3] is not None and value[3].startswith('"""'):
        raise RequestInvalid('a text that begins with """ does not end with it', param="modelfile")
    return next(group for group in value.groups() if group is not None).strip()


def _take(fields: dict[str, Any], instruction: str, value: str) -> None:
    match instruction:
        case "FROM" | "SYSTEM":
            fields[instruction.lower()] = value
        case "LICENSE":
            fields["license"] = f"{fields['license']}\n{value}" if "license" in fields else value
        case "PARAMETER":
            _take_parameter(fields.setdefault("parameters", {}), value)
        case _:
            raise RequestInvalid(
                f"{instruction[:40]} is not supported in a Modelfile",
                param="modelfile",
                hint="FROM, SYSTEM, PARAMETER and LICENSE are",
            )


def _take_parameter(parameters: dict[str, Any], text: str) -> None:
    name, _, value = text.partition(" ")
    value = value.strip().strip('"')
    if not value:
        raise RequestInvalid(f"PARAMETER {name[:40]} has no value", param="modelfile")
    if name in _LIST_PARAMETERS:
        parameters.setdefault(name, []).append(value)
    else:
        parameters[name] = _number(value)


def _number(text: str) -> int | float | bool | str:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return {"true": True, "false": False}.get(text.lower(), text)
