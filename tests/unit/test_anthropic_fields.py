"""The table of fields: complete, in the docs, and true."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from anthropic.types.beta import message_create_params as beta_params
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParamsStreaming

from gemstead.api.anthropic.field_page import render_page
from gemstead.api.anthropic.fields import ALL_FIELDS, BETA_FIELDS, FIELDS
from gemstead.api.anthropic.request import CountRequest, MessagesRequest
from gemstead.api.body import apply_fields
from gemstead.core.errors import RequestInvalid

DOCS = Path(__file__).parents[2] / "docs" / "anthropic-fields.md"


def names(handling: str) -> list[str]:
    return sorted(name for name, field in ALL_FIELDS.items() if field.handling == handling)


def published(schema: str) -> set[str]:
    """The fields of a schema in the API's own description, as llm-comply carries it."""
    spec: dict[str, Any] = json.loads((files("llm_comply") / "specs" / "anthropic.json").read_text())
    return set(spec["components"]["schemas"][schema]["properties"])


def test_every_field_the_official_client_or_the_published_description_documents_is_in_the_table() -> None:
    assert set(FIELDS) == set(get_type_hints(MessageCreateParamsStreaming)) | published("CreateMessageParams")


def test_every_field_of_the_betas_is_in_the_table_of_betas() -> None:
    documented = set(get_type_hints(beta_params.MessageCreateParamsStreaming)) | published("BetaCreateMessageParams")
    assert set(BETA_FIELDS) == documented - set(FIELDS)


def test_every_field_of_a_count_is_in_the_tables() -> None:
    assert set(get_type_hints(MessageCountTokensParams)) <= set(ALL_FIELDS)


def test_the_fields_decoded_are_those_said_to_be_honoured() -> None:
    assert sorted(MessagesRequest.__struct_fields__) == names("honoured")
    assert set(CountRequest.__struct_fields__) < set(MessagesRequest.__struct_fields__)


@pytest.mark.parametrize("name", names("refused"))
def test_a_refused_field_is_refused_by_name(name: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        list(apply_fields({name: {"asked": "for"}}, ALL_FIELDS))
    assert caught.value.param == name


@pytest.mark.parametrize("name", names("warned"))
def test_a_warned_field_is_warned_about_by_name(name: str) -> None:
    (warning,) = apply_fields({name: {"asked": "for"}}, ALL_FIELDS)
    assert warning.param == name


@pytest.mark.parametrize("name", names("refused") + names("warned"))
def test_a_value_that_asks_for_nothing_passes_in_silence(name: str) -> None:
    for neutral in (None, *ALL_FIELDS[name].neutral):
        assert list(apply_fields({name: neutral}, ALL_FIELDS)) == []


def test_the_page_in_the_docs_is_the_table() -> None:
    assert DOCS.read_text() == render_page(), "write it anew: python -m gemstead.api.anthropic.field_page"


def test_an_honoured_field_set_to_null_is_as_if_not_given() -> None:
    optional = {field.encode_name: None for field in msgspec.structs.fields(MessagesRequest) if not field.required}
    asked = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    assert msgspec.convert(asked | optional, MessagesRequest) == msgspec.convert(asked, MessagesRequest)
