"""A dialect's table of fields as its page in the docs prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gemstead.api.dialect import Field


def table_rows(fields: Mapping[str, Field]) -> Iterator[str]:
    """Lines of Markdown, the fields by name."""
    yield "| field | | what it does, or why not |"
    yield "|---|---|---|"
    for name, field in sorted(fields.items()):
        yield f"| `{name}` | {field.handling} | {field.note} |"
