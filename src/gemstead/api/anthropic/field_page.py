"""The page `docs/anthropic-fields.md`, printed by `python -m gemstead.api.anthropic.field_page`."""

from __future__ import annotations

import sys

from gemstead.api.anthropic.fields import BETA_FIELDS, FIELDS
from gemstead.api.field_table import table_rows

HEAD = """\
# What each field of `/v1/messages` does

Honoured: done as asked. Refused: a value that asks for it is answered with status 400 naming the field.
Warned: the request is answered without it, and the header `x-gemstead-warning` and `gemstead.warnings` in
the reply say so, as they do for a field that is in neither table. `null` always means not given.
"""

NOTES = """
Inside messages and tools:

- Text, image (base64), tool_use, tool_result, thinking, search_result and plain-text document blocks are honoured.
  Documents and search results become text under their title; `is_error` puts "Error: " before a result.
- Images and documents by URL or file id are refused, PDF documents too.
- Thinking comes back unsigned: its signature is the word "unsigned", and no signature is checked. Redacted thinking can
  be read by nobody here; it is left out with a warning.
- A last assistant turn with tool calls, or together with thinking, is refused: neither can be continued.
- `cache_control`, `citations`, `input_examples`, `defer_loading` and picture `transformations` are warned about once a
  request. Cached tokens are in `usage.cache_read_input_tokens`, as the API has it: not in `input_tokens`.
- `stop_reason` is `model_context_window_exceeded` where the context length, not `max_tokens`, cut the answer.

Headers: `anthropic-version` marks a call as this API's on paths that it shares (`/v1/models`); its value is not looked
at. `anthropic-beta` changes nothing. `/v1/models` gives all models in one page.
"""


def render_page() -> str:
    return "\n".join([HEAD, *table_rows(FIELDS), "", "Of the API's betas:", "", *table_rows(BETA_FIELDS), NOTES])


if __name__ == "__main__":
    sys.stdout.write(render_page())
