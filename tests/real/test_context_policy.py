"""What the context policy leaves out, counted by the real llama-server itself."""

import os
import re
from pathlib import Path

import httpx2
import pytest

from door_fakes import fake_services, serving
from fake_engine import small_plan
from gemstead.api.context_policy import HEADER
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.engines.process import EngineProcess, ProcessOptions

pytestmark = pytest.mark.real

CONTEXT_LENGTH = 512
TALK = [
    {"role": "system", "content": "Answer in one word."},
    *(
        {"role": role, "content": f"{number}: " + "the sky is blue. " * 15}
        for number in range(20)
        for role in ("user", "assistant")
    ),
    {"role": "user", "content": "What colour is the sky?"},
]


async def test_the_oldest_turns_go_and_the_engine_counts_what_is_left_as_it_was_said(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    installation = ENGINE.find(str(llama_server), tmp_path)
    assert installation is not None
    plan = small_plan(model_path=str(smollm2), context_length=CONTEXT_LENGTH)
    options = ProcessOptions(environ=os.environ)
    process = EngineProcess(
        ENGINE, installation, plan, run_dir=tmp_path / "run", log_dir=tmp_path / "logs", options=options
    )
    body = {"model": "fake", "messages": TALK, "max_tokens": 4, "temperature": 0}
    try:
        engine = await process.ensure_ready()
        async with (
            serving(fake_services(engine)) as url,
            httpx2.AsyncClient(base_url=url, timeout=120, trust_env=False) as client,
        ):
            refused = await client.post("/v1/chat/completions", json=body)
            dropped = await client.post("/v1/chat/completions", json=body, headers={HEADER: "drop_oldest"})
    finally:
        await process.stop()
    assert refused.status_code == 400
    assert refused.json()["error"]["prompt_tokens"] > CONTEXT_LENGTH
    said = re.fullmatch(
        r"dropped (\d+) of 42 messages; prompt (\d+) of 512 tokens", dropped.headers["x-gemstead-context"]
    )
    assert said is not None
    num_dropped, prompt_tokens = int(said[1]), int(said[2])
    usage = dropped.json()["usage"]
    assert usage["prompt_tokens"] == prompt_tokens <= CONTEXT_LENGTH - 4
    assert usage["gemstead"] == {"dropped_messages": num_dropped}
    assert 0 < num_dropped < 40
    assert num_dropped % 2 == 0
