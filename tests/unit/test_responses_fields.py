"""The table of fields of the Responses API: complete, and true."""

from typing import get_type_hints

import msgspec
import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

from gemstead.api.body import apply_fields
from gemstead.api.openai.responses.fields import ALL_RESPONSES_FIELDS, RESPONSES_FIELDS
from gemstead.api.openai.responses.request import ResponsesRequest
from gemstead.core.errors import RequestInvalid


def names(handling: str) -> list[str]:
    return sorted(name for name, field in ALL_RESPONSES_FIELDS.items() if field.handling == handling)


def test_every_field_the_official_client_documents_is_in_the_table() -> None:
    assert set(RESPONSES_FIELDS) == set(get_type_hints(ResponseCreateParamsStreaming))


def test_the_fields_decoded_are_those_said_to_be_honoured() -> None:
    assert sorted(ResponsesRequest.__struct_fields__) == names("honoured")


@pytest.mark.parametrize("name", names("refused"))
def test_a_refused_field_is_refused_by_name(name: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        list(apply_fields({name: {"asked": "for"}}, ALL_RESPONSES_FIELDS))
    assert caught.value.param == name


@pytest.mark.parametrize("name", names("warned"))
def test_a_warned_field_is_warned_about_by_name(name: str) -> None:
    (warning,) = apply_fields({name: {"asked": "for"}}, ALL_RESPONSES_FIELDS)
    assert warning.param == name


@pytest.mark.parametrize("name", names("refused") + names("warned"))
def test_a_value_that_asks_for_nothing_passes_in_silence(name: str) -> None:
    for neutral in (None, *ALL_RESPONSES_FIELDS[name].neutral):
        assert list(apply_fields({name: neutral}, ALL_RESPONSES_FIELDS)) == []


def test_an_honoured_field_set_to_null_is_as_if_not_given() -> None:
    optional = {field.encode_name: None for field in msgspec.structs.fields(ResponsesRequest) if not field.required}
    asked = {"model": "m"}
    assert msgspec.convert(asked | optional, ResponsesRequest) == msgspec.convert(asked, ResponsesRequest)
