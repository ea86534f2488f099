"""llm-comply's checks of the Messages API: all of them, with what can pass them.

A model that sees, thinks and calls tools is a fake one here, named so: it is judged by every check. What small real
weights in the real llama-server can pass is judged with them too.
"""

from pathlib import Path

import msgspec
import pytest

from capable_engine import capable_services
from comply import Check, complaints, comply
from door_fakes import fake_exchange, fake_services, serving
from gemstead.api.services import Services
from gemstead.core.types import Sampling
from llama_door import running_llama

pytestmark = pytest.mark.real

THINKING_NAME = "fake-claude-opus"
"""The check of thinking runs only against names that llm-comply knows to think."""

REAL = (
    "anth-basic-response",
    "anth-system-prompt",
    "anth-multi-turn",
    "anth-streaming-response",
    "anth-streaming-usage",
    "anth-error-handling",
)


async def judge(services: Services, model: str, only: tuple[str, ...] = ()) -> dict[str, Check]:
    async with serving(services) as url:
        return await comply(f"{url}/v1", "anthropic", model, only=only)


async def test_every_check_passes_without_a_warning_for_a_capable_fake_model() -> None:
    checks = await judge(capable_services(), THINKING_NAME)
    assert len(checks) >= 9
    assert complaints(checks) == []


async def test_the_checks_pass_with_real_weights_in_the_real_engine(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    async with running_llama(tmp_path, llama_server, smollm2) as engine:
        exchange = fake_exchange(engine)
        # The same answer each time: a small model's whim is not what is judged.
        greedy = Sampling(temperature=0.0, max_tokens=256)
        services = fake_services(
            engine, chat=lambda request: exchange.chat(msgspec.structs.replace(request, sampling=greedy))
        )
        checks = await judge(services, "fake", REAL)
    assert set(checks) == set(REAL)
    assert complaints(checks) == []
