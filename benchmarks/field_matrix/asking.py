"""The door of a real engine, and requests to it."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from benchmarks.field_matrix.replies import Answer, read_answer
from gemstead.api.asgi import build_api
from gemstead.api.server import listen, run_server
from gemstead.app.choose import provide
from gemstead.app.gateway import opened_gateway
from gemstead.app.servers import forget, passing_folder
from gemstead.app.setup import Setup, ensure_engine

ANSWER_LIMIT_S = 300
DRAIN_LIMIT_S = 5

LONG_TEXT = "The sky is blue. " * 400
"""Longer than the context length that is served, 5 tokens a sentence."""

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
"""One pixel, as a PNG in base64."""


class Door:
    """Asks in turn: what one answer leaves in the engine's cache must not depend on chance."""

    def __init__(self, session: aiohttp.ClientSession, model: str) -> None:
        self.model = model
        self._session = session
        self._remembered: dict[bytes, Answer] = {}

    async def ask(self, path: str, body: dict[str, Any], *, is_form: bool = False) -> Answer:
        """A fresh answer to the body, its placeholders filled in. Raises: aiohttp.ClientError if nobody answers."""
        filled = await self._filled(body)
        sent: dict[str, Any] = {"data": _form(filled)} if is_form else {"json": filled}
        async with self._session.post(path, **sent) as response:
            return read_answer(path, response.status, response.headers.items(), await response.read())

    async def recall(self, path: str, body: dict[str, Any], *, is_form: bool = False) -> Answer:
        """As `ask`, but the same body is asked once only."""
        key = msgspec.json.encode([path, body])
        if key not in self._remembered:
            self._remembered[key] = await self.ask(path, body, is_form=is_form)
        return self._remembered[key]

    async def get(self, path: str) -> Answer:
        async with self._session.get(path) as response:
            content = await response.json()
        return Answer(response.status, response.content_type, (), (content,))

    async def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {await self._filled(key): await self._filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [await self._filled(inner) for inner in value]
        if isinstance(value, str) and value.startswith("$"):
            return await self._meant(value)
        return value

    async def _meant(self, placeholder: str) -> Any:
        """What a sheet cannot say: null, bulk, and what only a running model can tell.

        Raises: KeyError for a placeholder that is none.
        """
        name, _, argument = placeholder.partition(" ")
        match name:
            case "$null":
                return None
            case "$model":
                return self.model
            case "$long":
                return LONG_TEXT
            case "$picture":
                return f"data:image/png;base64,{PICTURE}" if argument == "url" else PICTURE
            case "$token":
                answer = await self.recall("/tokenize", {"model": self.model, "prompt": f" {argument}"})
                return str(answer.last["tokens"][0])
            case "$dimensions":
                answer = await self.recall("/v1/embeddings", {"model": self.model, "input": "hi"})
                return len(answer.said.vectors[0])
            case "$response":
                body = {"model": self.model, "input": "Name three colours.", "max_output_tokens": 6}
                return (await self.recall("/v1/responses", body)).last["id"]
        raise KeyError(placeholder)


def _form(body: dict[str, Any]) -> aiohttp.FormData:
    """Lists as the official client writes them; the file is a second of silence."""
    form = aiohttp.FormData()
    for name, value in body.items():
        if name == "file":
            form.add_field(name, _silence(), filename=value, content_type="audio/wav")
        elif isinstance(value, list):
            for inner in value:
                form.add_field(f"{name}[]", str(inner))
        else:
            form.add_field(name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
    return form


def _silence(rate_hz: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(bytes(2 * rate_hz))
    return buffer.getvalue()


@asynccontextmanager
async def opened_door(setup: Setup) -> AsyncIterator[Door]:
    """The model of the settings behind the whole gateway, on a free loopback port. Ends all of it with the block."""
    installation = await asyncio.to_thread(ensure_engine, setup)
    plan = await asyncio.to_thread(provide, setup, setup.loaded.settings.model.name)
    # Such small models gain nothing by a second thread, and two that wait for each other on a busy machine lose much.
    plan = msgspec.structs.replace(plan, num_threads=1)
    folder = passing_folder(setup.loaded.paths.servers)
    stop = asyncio.Event()
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    try:
        async with opened_gateway(setup, plan, installation, folder) as gateway:
            await gateway.start()
            with listen("127.0.0.1", 0) as listener:
                api = build_api(gateway.services())
                server = asyncio.create_task(
                    run_server(api, listener, stop=stop, on_started=started.set_result, drain_limit_s=DRAIN_LIMIT_S)
                )
                try:
                    async with _session(f"http://127.0.0.1:{await started}") as session:
                        yield Door(session, setup.loaded.settings.model.name)
                finally:
                    stop.set()
                    await server
    finally:
        forget(folder)


def _session(url: str) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=ANSWER_LIMIT_S)
    return aiohttp.ClientSession(url, timeout=timeout, trust_env=False)
