"""The table of fields: complete, in the docs, and true."""

from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

from gemstead.api.openai.fields import ALL_FIELDS, CHAT_FIELDS, apply_table, render_fields
from gemstead.api.openai.request import ChatCompletionRequest
from gemstead.core.errors import RequestInvalid

DOCS = Path(__file__).parents[2] / "docs" / "openai-fields.md"


def names(handling: str) -> list[str]:
    return sorted(name for name, field in ALL_FIELDS.items() if field.handling == handling)


def test_every_field_the_official_client_documents_is_in_the_table() -> None:
    assert set(CHAT_FIELDS) == set(get_type_hints(CompletionCreateParamsStreaming))


def test_the_fields_decoded_are_those_said_to_be_honoured() -> None:
    assert sorted(ChatCompletionRequest.__struct_fields__) == names("honoured")


@pytest.mark.parametrize("name", names("refused"))
def test_a_refused_field_is_refused_by_name(name: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        list(apply_table({name: {"asked": "for"}}))
    assert caught.value.param == name


@pytest.mark.parametrize("name", names("warned"))
def test_a_warned_field_is_warned_about_by_name(name: str) -> None:
    (warning,) = apply_table({name: {"asked": "for"}})
    assert warning.param == name


@pytest.mark.parametrize("name", names("refused") + names("warned"))
def test_a_value_that_asks_for_nothing_passes_in_silence(name: str) -> None:
    for neutral in (None, *ALL_FIELDS[name].neutral):
        assert list(apply_table({name: neutral})) == []


def test_the_page_in_the_docs_is_the_table() -> None:
    assert DOCS.read_text() == render_fields(), "write it anew from render_fields()"


def test_an_honoured_field_set_to_null_is_as_if_not_given() -> None:
    optional = {
        field.encode_name: None for field in msgspec.structs.fields(ChatCompletionRequest) if not field.required
    }
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert msgspec.convert(asked | optional, ChatCompletionRequest) == msgspec.convert(asked, ChatCompletionRequest)
