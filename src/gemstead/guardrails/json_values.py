"""JSON past the guards: its keys, texts and whole numbers, each as what it means and not as it is escaped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from gemstead.core.errors import RequestInvalid

Look: TypeAlias = Callable[[str], Awaitable[str]]
"""A text past the guards."""

MAX_DEPTH = 64
"""Deeper than anybody means it."""


async def screened_json(text: str, look: Look) -> str:
    """`text`, written anew if something in it has changed. What is no JSON is looked at as it stands."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return await look(text)
    given = await screened_value(value, look)
    return text if given == value else msgspec.json.encode(given).decode()


async def screened_value(value: Any, look: Look, depth: int = 0) -> Any:
    """A number with something in it becomes a text. A key may be the word that says what its value is.

    Raises: RequestInvalid for what is nested too deeply; whatever `look` raises.
    """
    if depth > MAX_DEPTH:
        raise RequestInvalid("a JSON value is nested too deeply", hint="flatten it")
    if isinstance(value, dict):
        return {await look(str(key)): await _keyed(str(key), item, look, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [await screened_value(item, look, depth + 1) for item in value]
    if isinstance(value, str):
        return await look(value)
    if isinstance(value, int) and not isinstance(value, bool):
        given = await look(str(value))
        return value if given == str(value) else given
    return value


async def _keyed(key: str, item: Any, look: Look, depth: int) -> Any:
    if isinstance(item, bool) or not isinstance(item, str | int):
        return await screened_value(item, look, depth)
    label = f"{key}: "
    given = await look(f"{label}{item}")
    if given == f"{label}{item}":
        return item
    return given.removeprefix(label) if given.startswith(label) else await screened_value(item, look, depth)
