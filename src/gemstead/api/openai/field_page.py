"""The page `docs/openai-fields.md`; `python -m gemstead.api.openai.field_page > docs/openai-fields.md` writes it."""

from __future__ import annotations

import sys

from gemstead.api.dialect import Field
from gemstead.api.field_table import table_rows
from gemstead.api.openai.fields import CHAT_FIELDS, EXTRA_FIELDS
from gemstead.api.openai.responses.fields import RESPONSES_EXTRA_FIELDS, RESPONSES_FIELDS
from gemstead.api.openai.rest_fields import (
    COMPLETION_EXTRA_FIELDS,
    COMPLETION_FIELDS,
    EMBEDDING_FIELDS,
    TRANSCRIPTION_FIELDS,
)

ENDPOINTS: dict[str, tuple[dict[str, Field], dict[str, Field]]] = {
    "/v1/chat/completions": (CHAT_FIELDS, EXTRA_FIELDS),
    "/v1/responses": (RESPONSES_FIELDS, RESPONSES_EXTRA_FIELDS),
    "/v1/completions": (COMPLETION_FIELDS, COMPLETION_EXTRA_FIELDS),
    "/v1/embeddings": (EMBEDDING_FIELDS, {}),
    "/v1/audio/transcriptions": (TRANSCRIPTION_FIELDS, {}),
}
"""Of each: the API's own fields, and those of other OpenAI-compatible servers that clients of local models send."""

HEAD = """\
# What each field of the OpenAI API does

Honoured: done as asked. Refused: a value that asks for it is answered with status 400 naming the field.
Warned: the request is answered without it, and the header `x-gemstead-warning` and `gemstead.warnings` in
the reply say so, as they do for a field that is in neither table. `null` always means not given.
"""

NOTES = {
    "/v1/completions": "Control tokens in the prompt are broken up like everywhere else, and a warning says so.",
    "/v1/embeddings": """\
Every model gives vectors: the mean over the text's tokens of its last hidden states, of length 1. A model made for
embeddings tells close meanings apart much better. They come from a second process of the engine, started by the first
request for them; a text may have as many tokens as `embeddings.context_length` says (512).""",
    "/v1/audio/transcriptions": """\
The model is asked to write down what it hears, so it may err like any answer of a model. Lists are written with
brackets, as the official client does: `languages[]`. Web pages of other sites are refused.""",
}

REFUSED = """\
## `/v1/moderations`

Answered with status 404 and the code `no_guard`: nothing here judges texts yet, and no verdict is made up.
"""


def render_page() -> str:
    sections = [HEAD]
    for path, (own, extra) in ENDPOINTS.items():
        rows = [f"## `{path}`", ""]
        if path in NOTES:
            rows += [NOTES[path], ""]
        rows += table_rows(own)
        if extra:
            rows += ["", "Beyond OpenAI's own, as other servers of local models take them:", "", *table_rows(extra)]
        sections.append("\n".join([*rows, ""]))
    return "\n".join([*sections, REFUSED])


if __name__ == "__main__":
    sys.stdout.write(render_page())
