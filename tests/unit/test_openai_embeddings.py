"""Embeddings: files for request -> EmbedRequest and vectors -> bytes, and what is refused."""

import base64
import json
import struct
from typing import Any

import msgspec
import pytest
from openai.types import CreateEmbeddingResponse

from gemstead.api.dialect import DecodedEmbed
from gemstead.api.openai.embeddings import MAX_TEXTS, decode_embedding, encode_embeddings
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Embeddings, EmbedRequest
from golden_files import golden


def decode(**fields: Any) -> DecodedEmbed:
    return decode_embedding(json.dumps({"model": "m", "input": "hi"} | fields).encode())


@pytest.mark.parametrize("case", golden("openai_embeddings", "decode"))
def test_a_request_decodes_to_its_canonical_form(case: dict[str, Any]) -> None:
    decoded = decode_embedding(json.dumps(case["request"]).encode())
    assert decoded == msgspec.json.decode(json.dumps(case["decoded"]), type=DecodedEmbed)


@pytest.mark.parametrize("case", golden("openai_embeddings", "encode"))
def test_vectors_encode_to_the_object_the_official_client_knows(case: dict[str, Any]) -> None:
    request = EmbedRequest("m", ("a", "b"), raw=case["raw"])
    reply = json.loads(encode_embeddings(request, msgspec.convert(case["embeddings"], Embeddings)))
    assert reply == case["reply"]
    if not case["raw"]:
        CreateEmbeddingResponse.model_validate(reply, strict=True)


def test_base64_holds_the_floats_as_little_endian_32_bit() -> None:
    vector = (0.6, -0.8, 0.0)
    request = EmbedRequest("m", ("a",), raw={"encoding_format": "base64"})
    reply = json.loads(encode_embeddings(request, Embeddings((vector,), 1)))
    packed = base64.b64decode(reply["data"][0]["embedding"])
    assert struct.unpack("<3f", packed) == pytest.approx(vector)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": [1, 2]}, "input[0]"),
        ({"input": [[1], [2]]}, "input[0]"),
        ({"input": ["a", 2]}, "input[1]"),
        ({"input": ["a"] * (MAX_TEXTS + 1)}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"model": ""}, "model"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        decode(**fields)
    assert caught.value.param == param


def test_an_unknown_field_is_warned_about() -> None:
    (warning,) = decode(input_type="query").warnings
    assert warning.param == "input_type"
