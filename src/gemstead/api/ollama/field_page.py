"""The page `docs/ollama-fields.md`; `python -m gemstead.api.ollama.field_page > docs/ollama-fields.md` writes it."""

from __future__ import annotations

import sys

from gemstead.api.field_table import table_rows
from gemstead.api.ollama.fields import TABLES

HEAD = """\
# What each field of the Ollama API does

Honoured: done as asked. Refused: a value that asks for it is answered with status 400 naming the field.
Warned: the request is answered without it, and the header `x-gemstead-warning` and `gemstead.warnings` in
the last object of an answer say so, as they do for a field that is in no table. `null` always means not given.

Bodies need the header `content-type: application/json`: without it any web page could send them from a browser
(`curl -d` sends another one: add `-H 'content-type: application/json'`). `GET /api/tags`, `/api/ps` and
`/api/version` take no body. `/api/push` and `/api/blobs` are refused: nothing leaves this machine, and files come in
with `gemstead models import`.

One server serves one model, under its own name, under the catalogue's names for it, and under those of its copies and
of models created from it. A bare family name such as `gemma4` means the served model of that family, and a warning
says so if it usually means another. Any other model of the store is listed and shown; asking it is answered with status
404 and the command that serves it.

`prompt_eval_count` is the whole prompt; `prompt_eval_cached_count` of it were not evaluated again, so
`prompt_eval_duration` is about the rest. `load_duration` is 0 unless the request waited for the model to be loaded.
Pull, copy, create and delete can be switched off: `door.allows_model_changes = false`.
"""


def render_page() -> str:
    sections = [HEAD]
    for title, fields in TABLES.items():
        sections.append("\n".join([f"## {title}", "", *table_rows(fields), ""]))
    return "\n".join(sections)


if __name__ == "__main__":
    sys.stdout.write(render_page())
