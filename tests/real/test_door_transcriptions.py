"""Audio transcriptions over HTTP with the official client. The engine is the in-process fake: it hears nothing."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from openai import APIError, AsyncOpenAI, BadRequestError, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from door_fakes import FakeEngine, fake_services, serving
from gemstead.api.services import Services
from gemstead.core.errors import EngineFailed
from gemstead.core.facts import ModelFacts
from gemstead.core.types import AudioPart, Finish, TextDelta, Usage
from gemstead.engines.base import Engine
from media_samples import wav

HEARING = ModelFacts(can_hear=True)
SPOKEN = (TextDelta("Good"), TextDelta(" morning."), Usage(60, 3), Finish("stop"))
SPEECH = ("speech.wav", wav(1.0), "audio/wav")


def connect(url: str) -> AsyncOpenAI:
    http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http)


def hearing(engine: Engine) -> Services:
    return fake_services(engine, HEARING)


async def test_a_recording_is_written_down() -> None:
    engine = FakeEngine(*SPOKEN)
    async with serving(hearing(engine)) as url, connect(url) as client:
        reply = await client.audio.transcriptions.create(model="fake", file=SPEECH, language="en")
        text = await client.audio.transcriptions.create(model="fake", file=SPEECH, response_format="text")
    assert reply.text == "Good morning."
    assert reply.usage is not None
    assert reply.usage.type == "tokens"
    assert text == "Good morning.\n"
    sound, _ = engine.requests[0].messages[0].content
    assert sound == AudioPart(SPEECH[1], "audio/wav")
    assert "The language is en." in engine.requests[0].messages[0].text


async def test_the_synchronous_client_gets_the_same() -> None:
    def talk(url: str) -> str:
        http = DefaultHttpxClient(trust_env=False, verify=False)
        with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http) as client:
            return client.audio.transcriptions.create(model="fake", file=SPEECH).text

    async with serving(hearing(FakeEngine(*SPOKEN))) as url:
        assert await asyncio.to_thread(talk, url) == "Good morning."


async def test_a_streamed_transcript_comes_in_pieces_and_then_whole() -> None:
    async with serving(hearing(FakeEngine(*SPOKEN))) as url, connect(url) as client:
        stream = await client.audio.transcriptions.create(model="fake", file=SPEECH, stream=True)
        events = [event async for event in stream]
    assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    done = events[-1]
    assert done.type == "transcript.text.done"
    assert done.text == "Good morning."


async def test_an_error_in_mid_stream_is_raised_by_the_client() -> None:
    engine = FakeEngine(TextDelta("Good"), EngineFailed("the engine crashed"))
    async with serving(hearing(engine)) as url, connect(url) as client:
        stream = await client.audio.transcriptions.create(model="fake", file=SPEECH, stream=True)
        with pytest.raises(APIError, match="the engine crashed"):
            async for _ in stream:
                pass


async def test_a_file_that_is_no_sound_is_refused() -> None:
    engine = FakeEngine(*SPOKEN)
    async with serving(hearing(engine)) as url, connect(url) as client:
        with pytest.raises(BadRequestError):
            await client.audio.transcriptions.create(model="fake", file=("speech.wav", b"not a sound", "audio/wav"))
    assert not engine.requests


async def test_a_model_that_does_not_hear_refuses_by_name() -> None:
    async with serving(fake_services(FakeEngine(*SPOKEN))) as url, connect(url) as client:
        with pytest.raises(BadRequestError, match="fake does not hear"):
            await client.audio.transcriptions.create(model="fake", file=SPEECH)


async def test_a_form_from_a_page_of_another_site_is_refused_before_it_is_read() -> None:
    engine = FakeEngine(*SPOKEN)
    async with (
        serving(hearing(engine)) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, verify=False) as http,
    ):
        reply = await http.post(
            "/v1/audio/transcriptions",
            headers={"origin": "https://evil.example"},
            data={"model": "fake"},
            files={"file": SPEECH},
        )
        as_json = await http.post("/v1/audio/transcriptions", json={"model": "fake"})
    assert reply.status_code == 403
    assert as_json.status_code == 415
    assert not engine.requests
