"""Which of Google's chat templates a file carries.

Three lines exist: the one of the launch (2 April 2026); one of about 10 April that reads tool results as OpenAI's
clients send them; and the canonical one, which tells its date. llama.cpp tells the first from the others by the same
comment. Source: llama.cpp common/chat.cpp (0c1e57098) and models/templates; ollama/ollama model/renderers/testdata;
read 2026-11.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

CANONICAL_DATE = "2026-07-09"

TemplateLine: TypeAlias = Literal["none", "launch", "april", "canonical", "foreign"]
"""`foreign`: not one of Google's for Gemma 4: another family's, or somebody's own."""

_HEAD_CHARS = 2000
_PUBLISHED = re.compile(r"Published:\s*(\d{4}-\d{2}-\d{2})")


def template_line(template: str | None) -> TemplateLine:
    """None is a file without a template. One with a later date than the canonical one counts as canonical."""
    if template is None:
        return "none"
    if "<|turn>" not in template or "<|tool_call>call:" not in template:
        return "foreign"
    date = _PUBLISHED.search(template[:_HEAD_CHARS])
    if date and date[1] >= CANONICAL_DATE:
        return "canonical"
    return "april" if "{#- OpenAI Chat Completions:" in template else "launch"
