"""schemathesis over the door's own OpenAPI document, before a fake engine: no 5xx, no answer it does not know.

The engine is fake because this judges the door: what it does with every body the document lets a client think of.
"""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from door_fakes import FakeEngine, fake_services
from gemstead.api.asgi import build_api
from gemstead.api.desk import WorkProgress
from unit.test_api_orders import FakeDesk

EXAMPLES = 10
"""An operation and kind of input; with all operations together well under a minute on an idle machine."""


DESK = FakeDesk(WorkProgress("reading", 1, 2), WorkProgress("done", 2, 2))
APP = build_api(fake_services(FakeEngine(), host_names=frozenset({"testserver"}), desk=DESK))
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", APP)
OPERATIONS = [result.ok() for result in SCHEMA.get_all_operations()]
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]

BOUNDED = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def judge(case: schemathesis.Case, body: Any) -> int:
    """The answer's status, after the document has had its say.

    The fake engine says two words and nothing else. Where JSON or a call is asked for, the door must not pass that on:
    `reply_broken` then is the right answer, and the only 5xx there may be.
    """
    case.body = body
    response = case.call()
    case.validate_response(response, checks=CHECKS)
    assert response.status_code < 500 or "reply_broken" in response.text, response.text
    return response.status_code


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_valid_input_is_answered_in_a_way_the_document_does_not_say(operation: Any) -> None:
    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE))
    def run(case: schemathesis.Case) -> None:
        # With a model that is there: else every answer would be that it is not.
        body: Any = case.body
        judge(case, body | {"model": "fake"} if isinstance(body, dict) and "model" in body else body)

    run()


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.body], ids=lambda operation: operation.label)
def test_no_broken_body_is_answered_in_a_way_the_document_does_not_say(operation: Any) -> None:
    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    def run(case: schemathesis.Case) -> None:
        judge(case, case.body)

    run()


STREAMED = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/completions": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 8},
}


@pytest.mark.parametrize("path", STREAMED)
def test_every_event_of_a_stream_is_as_the_document_says(path: str) -> None:
    case = SCHEMA[path]["POST"].Case(body=None, media_type="application/json")
    assert judge(case, {"model": "fake", "stream": True} | STREAMED[path]) == 200


def test_both_kinds_of_input_are_tried_on_every_dialect() -> None:
    tags = {tag for operation in OPERATIONS if operation.body for tag in operation.definition.raw["tags"]}
    assert tags == {"anthropic", "gemstead", "ollama", "openai"}
