"""The tables of fields: complete, in the docs, and true."""

from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from openai.types.audio.transcription_create_params import TranscriptionCreateParamsStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from openai.types.completion_create_params import CompletionCreateParamsStreaming as RawCompletionParams
from openai.types.embedding_create_params import EmbeddingCreateParams

from gemstead.api.body import apply_fields
from gemstead.api.dialect import Field
from gemstead.api.openai.completions import CompletionRequest
from gemstead.api.openai.embeddings import EmbeddingRequest
from gemstead.api.openai.field_page import render_page
from gemstead.api.openai.fields import CHAT_FIELDS, EXTRA_FIELDS
from gemstead.api.openai.request import ChatCompletionRequest
from gemstead.api.openai.rest_fields import (
    COMPLETION_EXTRA_FIELDS,
    COMPLETION_FIELDS,
    EMBEDDING_FIELDS,
    TRANSCRIPTION_FIELDS,
)
from gemstead.api.openai.transcriptions import TranscriptionForm
from gemstead.core.errors import RequestInvalid

DOCS = Path(__file__).parents[2] / "docs" / "openai-fields.md"

Table = dict[str, Field]

TABLES: dict[str, tuple[Table, Table, Any, type[msgspec.Struct], dict[str, Any]]] = {
    "chat": (
        CHAT_FIELDS,
        EXTRA_FIELDS,
        CompletionCreateParamsStreaming,
        ChatCompletionRequest,
        {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    ),
    "completions": (
        COMPLETION_FIELDS,
        COMPLETION_EXTRA_FIELDS,
        RawCompletionParams,
        CompletionRequest,
        {"model": "m", "prompt": "hi"},
    ),
    "embeddings": (EMBEDDING_FIELDS, {}, EmbeddingCreateParams, EmbeddingRequest, {"model": "m", "input": "hi"}),
    "transcriptions": (
        TRANSCRIPTION_FIELDS,
        {},
        TranscriptionCreateParamsStreaming,
        TranscriptionForm,
        {"model": "m", "file": ""},
    ),
}
"""Of each endpoint: its fields, the extra ones, the official client's parameters, the Struct, the least to ask."""


def names(*handlings: str) -> list[Any]:
    return [
        pytest.param(own | extra, name, id=f"{endpoint}-{name}")
        for endpoint, (own, extra, *_) in TABLES.items()
        for name, field in sorted((own | extra).items())
        if field.handling in handlings
    ]


@pytest.mark.parametrize("endpoint", TABLES)
def test_every_field_the_official_client_documents_is_in_the_table(endpoint: str) -> None:
    own, _, params, *_ = TABLES[endpoint]
    assert set(own) == set(get_type_hints(params))


@pytest.mark.parametrize("endpoint", TABLES)
def test_the_fields_decoded_are_those_said_to_be_honoured(endpoint: str) -> None:
    own, extra, _, struct, _ = TABLES[endpoint]
    honoured = [name for name, field in (own | extra).items() if field.handling == "honoured"]
    assert sorted(struct.__struct_fields__) == sorted(honoured)


@pytest.mark.parametrize(("table", "name"), names("refused"))
def test_a_refused_field_is_refused_by_name(table: Table, name: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        list(apply_fields({name: {"asked": "for"}}, table))
    assert caught.value.param == name


@pytest.mark.parametrize(("table", "name"), names("warned"))
def test_a_warned_field_is_warned_about_by_name(table: Table, name: str) -> None:
    (warning,) = apply_fields({name: {"asked": "for"}}, table)
    assert warning.param == name


@pytest.mark.parametrize(("table", "name"), names("refused", "warned"))
def test_a_value_that_asks_for_nothing_passes_in_silence(table: Table, name: str) -> None:
    for neutral in (None, *table[name].neutral):
        assert list(apply_fields({name: neutral}, table)) == []


def test_the_page_in_the_docs_is_the_tables() -> None:
    again = "write it anew: python -m gemstead.api.openai.field_page > docs/openai-fields.md"
    assert DOCS.read_text() == render_page(), again


@pytest.mark.parametrize("endpoint", ["chat", "completions", "embeddings"])
def test_an_honoured_field_set_to_null_is_as_if_not_given(endpoint: str) -> None:
    *_, struct, asked = TABLES[endpoint]
    optional = {field.encode_name: None for field in msgspec.structs.fields(struct) if not field.required}
    assert msgspec.convert(asked | optional, struct) == msgspec.convert(asked, struct)
