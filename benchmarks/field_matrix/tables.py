"""The tables of fields that the matrix holds against what happens: those of every endpoint that an engine answers."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.api.anthropic.fields import ALL_FIELDS
from gemstead.api.dialect import Field
from gemstead.api.gemstead.tokenize import TEXT_FIELDS
from gemstead.api.ollama.fields import OPTION_FIELDS
from gemstead.api.ollama.fields import TABLES as OLLAMA_TABLES
from gemstead.api.openai.field_page import ENDPOINTS

OPTIONS = "/api/chat options"
"""The object inside a request that Ollama has a table of its own for."""

OF_THE_STORE = frozenset(("/api/show", "/api/pull", "/api/create", "/api/copy", "/api/delete"))
"""They ask about the models of the store, whatever engine runs: not in the matrix."""


def field_tables() -> dict[str, dict[str, Field]]:
    """By endpoint, in the order of the page."""
    return dict(_tables())


def _tables() -> Iterator[tuple[str, dict[str, Field]]]:
    for path, (own, extra) in ENDPOINTS.items():
        yield path, own | extra
    for title, fields in OLLAMA_TABLES.items():
        path = title.partition(" ")[2]
        if fields is OPTION_FIELDS:
            yield OPTIONS, fields
        elif path not in OF_THE_STORE:
            yield path, fields
    yield "/v1/messages", ALL_FIELDS
    yield "/tokenize", TEXT_FIELDS
