"""An OpenAI-style `/embeddings` as an EmbedRequest asks it and Embeddings answer it. Several engines speak it.

Source: OpenAI API reference, "Create embeddings" (read 2026-11).
"""

from __future__ import annotations

import base64
import struct
from typing import Any

from gemstead.core.types import Embeddings, EmbedRequest
from gemstead.engines.base import Ask

_FLOAT_BYTES = 4


def _encode(request: EmbedRequest) -> dict[str, Any]:
    """Base64 is a third of the same floats written out."""
    return {"model": request.model, "input": list(request.texts), "encoding_format": "base64"}


def _read(reply: dict[str, Any]) -> Embeddings:
    """The vectors in the order of the texts. Raises: KeyError, TypeError or ValueError for any other answer."""
    rows = sorted(reply["data"], key=lambda row: int(row["index"]))
    if [row["index"] for row in rows] != list(range(len(rows))):
        raise ValueError("the vectors are not numbered one by one")
    return Embeddings(
        vectors=tuple(_vector(row["embedding"]) for row in rows), prompt_tokens=int(reply["usage"]["prompt_tokens"])
    )


def _vector(encoded: str) -> tuple[float, ...]:
    packed = base64.b64decode(encoded, validate=True)
    num_floats, rest = divmod(len(packed), _FLOAT_BYTES)
    if rest:
        raise ValueError(f"a vector of {len(packed)} bytes is not one of floats")
    return struct.unpack(f"<{num_floats}f", packed)


EMBED = Ask("/v1/embeddings", _encode, _read)
