"""The official OpenAI client: completions and embeddings of a gateway with the real llama-server and small weights."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec
import psutil
import pytest
import pytest_asyncio
from openai import (
    AsyncOpenAI,
    BadRequestError,
    DefaultAsyncHttpxClient,
    DefaultHttpxClient,
    NotFoundError,
    OpenAI,
)
from openai.types import Completion

from door_fakes import serving
from gemstead.app.choose import provide
from gemstead.app.embedding_engine import EmbeddingEngine
from gemstead.app.gateway import Gateway, opened_gateway
from gemstead.app.setup import Setup, ensure_engine, make_setup
from gemstead.core.errors import DoesNotFit
from gemstead.settings.load import load_settings

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("openai_rest")]

MODEL = "smollm2:135m-q4_1"
STORE = Path(__file__).parents[2] / ".work"
DAYS: dict[str, Any] = {"model": MODEL, "prompt": "Monday, Tuesday, Wednesday, Thursday,", "temperature": 0}
NEXT_DAYS = " Friday, Saturday,"
"""What SmolLM2-135M-Instruct goes on with."""

PIZZA = (
    "I love pizza with cheese and tomato.",
    "My favourite food is pizza with cheese.",
    "The train to Berlin leaves at seven o'clock.",
)
SNOW = ("The weather is cold and it snows today.", "Today it is snowing and very cold.", "def add(a, b): return a + b")
"""Two alike (0.96 and 0.94) and one of another meaning (0.57 to 0.72 to either)."""

EMBED_TOKENS = 64

T = TypeVar("T")


def setup_of(folder: Path, program: Path, **settings: Any) -> Setup:
    """As the command line would set it up, with a state folder of its own and the models that tests share."""
    flags = {
        "engine.program": str(program),
        "model.name": MODEL,
        "model.context_length": 1024,
        "embeddings.context_length": EMBED_TOKENS,
    }
    environ = {"GEMSTEAD_DATA_DIR": str(folder), "PATH": os.environ["PATH"]}
    loaded = load_settings(flags | settings, environ=environ)
    return make_setup(msgspec.structs.replace(loaded, paths=msgspec.structs.replace(loaded.paths, data=STORE)))


class Door:
    """A gateway behind its HTTP door, and clients of it."""

    def __init__(self, gateway: Gateway, url: str, folder: Path) -> None:
        self.gateway = gateway
        self.url = url
        self.folder = folder
        http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
        self.client = AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http)

    async def synchronously(self, talk: Callable[[OpenAI], T]) -> T:
        def run() -> T:
            http = DefaultHttpxClient(trust_env=False, verify=False)
            with OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, http_client=http) as client:
                return talk(client)

        return await asyncio.to_thread(run)

    def counted(self, counter: str) -> float:
        """The metric's value for the model; 0 before it is first counted."""
        lines = self.gateway.metrics.render().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f'{counter}{{model="{MODEL}"'))

    def engines(self) -> list[str]:
        return [status.engine for status in self.gateway.services().engines()]


@asynccontextmanager
async def opened_door(folder: Path, program: Path) -> AsyncIterator[Door]:
    setup = setup_of(folder, program)
    installation = await asyncio.to_thread(ensure_engine, setup)
    plan = await asyncio.to_thread(provide, setup, MODEL)
    async with (
        opened_gateway(setup, plan, installation, folder / "run") as gateway,
        serving(gateway.services()) as url,
    ):
        door = Door(gateway, url, folder)
        async with door.client:
            yield door


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory, llama_server: Path, smollm2: Path) -> AsyncIterator[Door]:
    async with opened_door(tmp_path_factory.mktemp("data"), llama_server) as door:
        yield door


def engine_pids() -> set[int]:
    """Of this process's engines."""
    return {child.pid for child in psutil.Process().children(recursive=True) if child.name() == "llama-server"}


def cosine(one: list[float], other: list[float]) -> float:
    return sum(left * right for left, right in zip(one, other, strict=True))


async def test_a_raw_prompt_is_continued_whole_and_streamed_alike(door: Door) -> None:
    before = door.counted("gemstead_completion_tokens_total")
    whole = await door.client.completions.create(**DAYS, max_tokens=6)
    stream = await door.client.completions.create(
        **DAYS, max_tokens=6, stream=True, stream_options={"include_usage": True}
    )
    pieces = [piece async for piece in stream]
    in_sync = await door.synchronously(lambda client: client.completions.create(**DAYS, max_tokens=6))
    Completion.model_validate(whole.to_dict(), strict=True)
    text = whole.choices[0].text
    assert text.startswith(NEXT_DAYS)
    assert whole.choices[0].finish_reason == "length"
    assert "".join(choice.text for piece in pieces for choice in piece.choices) == text
    assert in_sync.choices[0].text == text
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 6
    assert pieces[-1].usage is not None
    assert pieces[-1].usage.prompt_tokens == whole.usage.prompt_tokens
    assert door.counted("gemstead_completion_tokens_total") - before == 18


async def test_no_template_is_around_a_raw_prompt(door: Door) -> None:
    reply = await door.client.completions.create(**DAYS, max_tokens=1)
    engine = await door.gateway.start()
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == len(await engine.tokenize(DAYS["prompt"]))


async def test_stop_echo_and_the_default_length_are_honoured(door: Door) -> None:
    echoed = await door.client.completions.create(**DAYS, max_tokens=6, echo=True)
    stopped = await door.client.completions.create(**DAYS, max_tokens=32, stop=" Sunday")
    default = await door.client.completions.create(**DAYS)
    assert echoed.choices[0].text.startswith(DAYS["prompt"] + NEXT_DAYS)
    assert stopped.choices[0].finish_reason == "stop"
    assert stopped.choices[0].text == NEXT_DAYS
    assert default.usage is not None
    assert default.usage.completion_tokens == 16


async def test_a_prompt_longer_than_the_context_is_refused_with_the_numbers(door: Door) -> None:
    with pytest.raises(BadRequestError) as caught:
        await door.client.completions.create(model=MODEL, prompt="word " * 1500)
    assert caught.value.code == "context_length_exceeded"
    assert "the context length is 1024" in caught.value.message


@pytest.mark.parametrize("texts", [PIZZA, SNOW], ids=["pizza", "snow"])
async def test_close_meanings_have_near_vectors(door: Door, texts: tuple[str, str, str]) -> None:
    reply = await door.client.embeddings.create(model=MODEL, input=list(texts))
    one, alike, other = (row.embedding for row in reply.data)
    assert cosine(one, alike) > 0.1 + max(cosine(one, other), cosine(alike, other))


async def test_vectors_have_length_one_however_they_are_written(door: Door) -> None:
    """The official client asks for base64 unless told otherwise."""
    packed = await door.client.embeddings.create(model=MODEL, input=PIZZA[0])
    floats = await door.client.embeddings.create(model=MODEL, input=PIZZA[0], encoding_format="float")
    in_sync = await door.synchronously(lambda client: client.embeddings.create(model=MODEL, input=PIZZA[0]))
    vector = packed.data[0].embedding
    assert math.hypot(*vector) == pytest.approx(1, abs=1e-4)
    assert floats.data[0].embedding == pytest.approx(vector, abs=1e-4)
    assert in_sync.data[0].embedding == pytest.approx(vector, abs=1e-4)
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > 5


async def test_each_text_has_the_vector_it_has_alone_whatever_the_batch(door: Door) -> None:
    """More texts than go to the engine at once, of different lengths, some of them alike."""
    texts = [("sea " * (index % 7 + 1)).strip() for index in range(18)] + [PIZZA[0]]
    together = await door.client.embeddings.create(model=MODEL, input=texts)
    alone = [await door.client.embeddings.create(model=MODEL, input=text) for text in (texts[6], texts[18])]
    assert [row.index for row in together.data] == list(range(19))
    for index, reply in zip((6, 18), alone, strict=True):
        assert together.data[index].embedding == pytest.approx(reply.data[0].embedding, abs=1e-4)
    assert together.data[0].embedding == pytest.approx(together.data[7].embedding, abs=1e-4)


async def test_a_text_longer_than_the_engine_takes_is_refused_with_the_numbers(door: Door) -> None:
    fits = await door.client.embeddings.create(model=MODEL, input=["short", "word " * 60])
    with pytest.raises(BadRequestError) as caught:
        await door.client.embeddings.create(model=MODEL, input=["short", "word " * 200])
    assert len(fits.data) == 2
    assert caught.value.code == "context_length_exceeded"
    assert "input[1] has 201 tokens, and a text to embed may have 62" in caught.value.message


async def test_dimensions_are_the_models_own_or_refused(door: Door) -> None:
    own = await door.client.embeddings.create(model=MODEL, input="hi", dimensions=576)
    with pytest.raises(BadRequestError) as caught:
        await door.client.embeddings.create(model=MODEL, input="hi", dimensions=256)
    with pytest.raises(NotFoundError):
        await door.client.embeddings.create(model="other", input="hi")
    assert len(own.data[0].embedding) == 576
    assert caught.value.param == "dimensions"


async def test_a_model_that_does_not_hear_refuses_a_recording_by_name(door: Door) -> None:
    with pytest.raises(BadRequestError) as caught:
        await door.client.audio.transcriptions.create(model=MODEL, file=("speech.wav", b"RIFF....", "audio/wav"))
    assert f"{MODEL} does not hear" in caught.value.message


async def test_moderations_are_refused_and_nothing_is_called_harmless(door: Door) -> None:
    with pytest.raises(NotFoundError) as caught:
        await door.client.moderations.create(input="hello")
    assert caught.value.code == "no_guard"
    assert "results" not in caught.value.response.json()


async def test_without_memory_for_a_second_engine_none_is_started(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    setup = setup_of(tmp_path, llama_server)
    plan = await asyncio.to_thread(provide, setup, MODEL)
    starved = setup_of(tmp_path, llama_server, **{"plan.headroom": 0.9999})
    installation = await asyncio.to_thread(ensure_engine, starved)
    before = engine_pids()
    engine = EmbeddingEngine(starved, plan, installation, tmp_path / "run", is_chat_loaded=lambda: True)
    with pytest.raises(DoesNotFit) as caught:
        await engine.ensure_ready()
    assert caught.value.missing_bytes > 0
    assert "beside the engine that answers" in caught.value.what
    assert engine.status() is None
    assert engine_pids() == before


async def test_the_second_engine_runs_once_it_is_asked_for_and_ends_with_the_gateway(
    tmp_path: Path, llama_server: Path, smollm2: Path
) -> None:
    before = engine_pids()
    async with opened_door(tmp_path, llama_server) as door:
        await door.gateway.start()
        alone = door.engines()
        await asyncio.gather(*(door.client.embeddings.create(model=MODEL, input=f"text {index}") for index in range(4)))
        both = door.engines()
        async with httpx2.AsyncClient(base_url=door.url, trust_env=False, verify=False) as http:
            ready = (await http.get("/readyz")).json()
            metrics = (await http.get("/metrics")).text
        running = engine_pids() - before
        prompt_tokens = door.counted("gemstead_prompt_tokens_total")
    kind = door.gateway.installation.kind
    assert alone == [kind]
    assert both == [kind, f"{kind} (embeddings)"] == [engine["engine"] for engine in ready["engines"]]
    assert f'engine="{kind} (embeddings)",model="{MODEL}",state="ready"}} 1.0' in metrics
    assert len(running) == 2
    assert prompt_tokens >= 8
    assert len(list((tmp_path / "state" / "logs").glob("*-embed.log"))) == 1
    assert engine_pids() == before
