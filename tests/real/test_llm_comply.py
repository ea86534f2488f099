"""llm-comply's checks of chat completions and Open Responses: all of them, with what can pass them.

A model that sees, thinks and calls tools is a fake one here, named so: it is judged by every check. What small real
weights in the real llama-server can pass is judged with them too.
"""

from pathlib import Path

import msgspec
import pytest

from capable_engine import THINKING_NAME, capable_services
from comply import Check, Form, complaints, comply
from door_fakes import fake_exchange, fake_services, serving
from gemstead.api.conversations import Conversations
from gemstead.api.services import Services
from gemstead.core.types import Sampling
from gemstead.engines.client import EngineClient
from llama_door import running_llama

pytestmark = pytest.mark.real

NOT_OFFERED = "compact-response"
"""Compaction: llm-comply lets its absence pass, with a warning for each thing that a 404 has not."""

REAL_CHAT = (
    "chat-basic-response",
    "chat-system-prompt",
    "chat-multi-turn",
    "chat-streaming-response",
    "chat-streaming-usage",
    "chat-error-handling",
)
REAL_RESPONSES = (
    "basic-response",
    "system-prompt",
    "multi-turn",
    "streaming-usage",
    "assistant-phase",
    "response-output-phase-schema",
    "compact-missing-model",
    "error-handling",
)


def remembering() -> Conversations:
    return Conversations(max_responses=100, max_bytes=1 << 20, max_idle_s=600)


async def judge(services: Services, form: Form, model: str, only: tuple[str, ...] = ()) -> dict[str, Check]:
    async with serving(services) as url:
        return await comply(f"{url}/v1", form, model, only=only)


async def test_every_check_of_chat_completions_passes_without_a_warning_for_a_capable_fake_model() -> None:
    checks = await judge(capable_services(), "openai-chat", THINKING_NAME)
    assert len(checks) >= 9
    assert complaints(checks) == []


@pytest.mark.parametrize("has_memory", [True, False])
async def test_every_check_of_open_responses_passes_for_a_capable_fake_model(has_memory: bool) -> None:
    services = capable_services(conversations=remembering()) if has_memory else capable_services()
    checks = await judge(services, "open-responses", THINKING_NAME)
    assert len(checks) >= 13
    assert checks[NOT_OFFERED].status == "passed"
    assert complaints({name: check for name, check in checks.items() if name != NOT_OFFERED}) == []


def greedy(engine: EngineClient) -> Services:
    """The door to `engine`, its answers the same each time: a small model's whim is not what is judged."""
    exchange = fake_exchange(engine)
    chosen = Sampling(temperature=0.0, top_p=1.0, max_tokens=256)
    return fake_services(
        engine,
        chat=lambda request: exchange.chat(msgspec.structs.replace(request, sampling=chosen)),
        sampling=lambda _model: chosen,
        conversations=remembering(),
    )


@pytest.mark.parametrize(("form", "only"), [("openai-chat", REAL_CHAT), ("open-responses", REAL_RESPONSES)])
async def test_the_checks_pass_with_real_weights_in_the_real_engine(
    tmp_path: Path, llama_server: Path, smollm2: Path, form: Form, only: tuple[str, ...]
) -> None:
    async with running_llama(tmp_path, llama_server, smollm2) as engine:
        checks = await judge(greedy(engine), form, "fake", only)
    assert set(checks) == set(only)
    assert complaints(checks) == []
