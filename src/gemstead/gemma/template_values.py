"""JSON values as Gemma 4's prompt spells them: strings between quote tokens, nothing escaped, keys in order.

Source: the macro `format_argument` of Google's chat template for Gemma 4, published 2026-07-09.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from gemstead.gemma.depth import check_depth
from gemstead.gemma.tokens import QUOTE

T = TypeVar("T")


def quoted(text: str) -> str:
    return f"{QUOTE}{text}{QUOTE}"


def by_key(mapping: dict[str, T]) -> list[tuple[str, T]]:
    """The items in the order of jinja's `dictsort`: by key, capitals like small letters."""
    return sorted(mapping.items(), key=lambda item: item[0].lower())


def value_text(value: Any, *, has_quoted_keys: bool, depth: int = 0) -> str:
    """`value` as arguments and results spell it, or with quoted keys, as enums and odd corners of schemas do.

    Raises: RequestInvalid if it is nested too deeply.
    """
    match value:
        case None:
            return "null"
        case str():
            return quoted(value)
        case bool():
            return "true" if value else "false"
        case dict():
            check_depth(depth)
            return braced(
                (
                    quoted(key) if has_quoted_keys else key,
                    value_text(item, has_quoted_keys=has_quoted_keys, depth=depth + 1),
                )
                for key, item in by_key(value)
            )
        case list() | tuple():
            check_depth(depth)
            items = (value_text(item, has_quoted_keys=has_quoted_keys, depth=depth + 1) for item in value)
            return f"[{','.join(items)}]"
    return str(value)


def braced(fields: Iterable[tuple[str, str]]) -> str:
    return f"{{{','.join(f'{name}:{text}' for name, text in fields)}}}"
