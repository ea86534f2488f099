"""Our renderer against the template that comes with the engine's source, over conversations made by chance.

That file is the template of the large variants as of April 2026. The one published on 2026-07-09, which we render,
differs from it in this, and is alike in all the rest:

- a null is `null`, not `None`; a tool's parameters may be called `type` or `description` without being left out;
- thoughts after the last question stay on answers without calls too;
- a result without a name behind an unknown call is `unknown`'s; its media are printed;
- a system message in parts prints their texts, not how Python writes the list;
- an answer right behind another goes on in its turn without closing it; a turn of calls and results is closed before
  the next question;
- with thinking on, a trailing result is followed by the beginning of a thought;
- arguments as text are an error, not pasted.

What July's template prints there is in `tests/unit/test_gemma_template.py`.
"""

import pytest
from hypothesis import HealthCheck, given, settings

from gemma_oracle import official
from gemma_requests import shared_requests
from gemstead.core.types import ChatRequest
from gemstead.engines.base import Installation
from gemstead.engines.llama_cpp_references import TEMPLATES
from gemstead.gemma.template import render

pytestmark = pytest.mark.real


@pytest.fixture(scope="session")
def source(installation: Installation) -> str:
    path = installation.program.parent.parent / f"{TEMPLATES}31B-it.jinja"
    return path.read_text(encoding="utf-8")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(request=shared_requests())
def test_any_conversation_is_printed_as_the_official_template_prints_it(source: str, request: ChatRequest) -> None:
    assert render(request, "gemma4-large") == official(source, request)
