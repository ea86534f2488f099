"""The tables of fields: complete, in the docs, and true."""

from pathlib import Path
from typing import Any

import msgspec
import ollama._types as client
import pytest

from gemstead.api.body import apply_fields
from gemstead.api.dialect import Field
from gemstead.api.ollama import fields as tables
from gemstead.api.ollama.embed import OllamaEmbeddingsRequest, OllamaEmbedRequest
from gemstead.api.ollama.field_page import render_page
from gemstead.api.ollama.options import Options
from gemstead.api.ollama.orders import NamedRequest, OllamaCopyRequest, OllamaCreateRequest, OllamaPullRequest
from gemstead.api.ollama.request import OllamaChatRequest, OllamaGenerateRequest
from gemstead.core.errors import RequestInvalid

DOCS = Path(__file__).parents[2] / "docs" / "ollama-fields.md"

DECODED: list[tuple[dict[str, Field], type[msgspec.Struct]]] = [
    (tables.CHAT_FIELDS, OllamaChatRequest),
    (tables.GENERATE_FIELDS, OllamaGenerateRequest),
    (tables.OPTION_FIELDS, Options),
    (tables.EMBED_FIELDS, OllamaEmbedRequest),
    (tables.EMBEDDINGS_FIELDS, OllamaEmbeddingsRequest),
    (tables.PULL_FIELDS, OllamaPullRequest),
    (tables.SHOW_FIELDS, NamedRequest),
    (tables.DELETE_FIELDS, NamedRequest),
    (tables.COPY_FIELDS, OllamaCopyRequest),
    (tables.CREATE_FIELDS, OllamaCreateRequest),
]

DOCUMENTED: list[tuple[dict[str, Field], Any]] = [
    (tables.CHAT_FIELDS, client.ChatRequest),
    (tables.GENERATE_FIELDS, client.GenerateRequest),
    (tables.OPTION_FIELDS, client.Options),
    (tables.EMBED_FIELDS, client.EmbedRequest),
    (tables.EMBEDDINGS_FIELDS, client.EmbeddingsRequest),
    (tables.PULL_FIELDS, client.PullRequest),
    (tables.SHOW_FIELDS, client.ShowRequest),
    (tables.DELETE_FIELDS, client.DeleteRequest),
    (tables.COPY_FIELDS, client.CopyRequest),
    (tables.CREATE_FIELDS, client.CreateRequest),
]


def rows(*handlings: str) -> list[Any]:
    return [
        pytest.param(table, name, id=f"{title} {name}")
        for title, table in tables.TABLES.items()
        for name, field in table.items()
        if field.handling in handlings
    ]


@pytest.mark.parametrize(("table", "request_type"), DOCUMENTED)
def test_every_field_the_official_client_sends_is_in_the_table(table: dict[str, Field], request_type: Any) -> None:
    assert {name.rstrip("_") for name in request_type.model_fields} <= set(table)


@pytest.mark.parametrize(("table", "struct"), DECODED)
def test_the_fields_decoded_are_those_said_to_be_honoured(
    table: dict[str, Field], struct: type[msgspec.Struct]
) -> None:
    assert set(struct.__struct_encode_fields__) == {
        name for name, field in table.items() if field.handling == "honoured"
    }


@pytest.mark.parametrize(("table", "name"), rows("refused"))
def test_a_refused_field_is_refused_by_name(table: dict[str, Field], name: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        list(apply_fields({name: {"asked": "for"}}, table))
    assert caught.value.param == name


@pytest.mark.parametrize(("table", "name"), rows("warned"))
def test_a_warned_field_is_warned_about_by_name(table: dict[str, Field], name: str) -> None:
    (warning,) = apply_fields({name: {"asked": "for"}}, table)
    assert warning.param == name


@pytest.mark.parametrize(("table", "name"), rows("refused", "warned"))
def test_a_value_that_asks_for_nothing_passes_in_silence(table: dict[str, Field], name: str) -> None:
    for neutral in (None, *table[name].neutral):
        assert list(apply_fields({name: neutral}, table)) == []


def test_the_page_in_the_docs_is_the_table() -> None:
    assert DOCS.read_text() == render_page(), "write it anew: python -m gemstead.api.ollama.field_page"
