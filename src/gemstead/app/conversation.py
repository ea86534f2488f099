"""Somebody to talk with: a server that runs already, else an engine of this process, for as long as it is needed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec

from gemstead.access.lock import LOCAL_USER
from gemstead.app.choose import AUTO, provide
from gemstead.app.gateway import Gateway, opened_gateway
from gemstead.app.server_evidence import opened_evidence
from gemstead.app.servers import (
    ServerRecord,
    forget,
    passing_folder,
    read_token,
    running_servers,
    tls_context,
)
from gemstead.app.setup import Setup, ensure_engine, make_setup
from gemstead.core.caller import Origin
from gemstead.core.errors import NameUnknown
from gemstead.core.progress import Progress, no_progress
from gemstead.core.types import ChatRequest, Event
from gemstead.engines.base import Endpoint, Wire
from gemstead.engines.client import EngineClient
from gemstead.engines.openai_request import base_body
from gemstead.engines.openai_stream import OpenAiStreamDecoder
from gemstead.settings.load import Loaded


class Talker(Protocol):
    """A model that answers; the request's `model` is filled in."""

    @property
    def model(self) -> str: ...

    @property
    def context_length(self) -> int: ...

    def chat(self, request: ChatRequest) -> AsyncGenerator[Event]: ...


class OwnEngine:
    """Through the same exchange as a server's requests, without HTTP in front."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.model = gateway.plan.model
        self.context_length = gateway.plan.context_length

    def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        origin = Origin(LOCAL_USER, f"req_{secrets.token_hex(12)}", "cli")
        return self._gateway.chat(msgspec.structs.replace(request, model=self.model, origin=origin))


class RunningServer:
    """Through the door of a server on this machine, like any other client."""

    def __init__(self, record: ServerRecord) -> None:
        self.model = record.model
        self.context_length = record.context_length
        endpoint = Endpoint(read_token(record), host=record.near_host, port=record.port, tls=tls_context(record))
        self.client = EngineClient(DOOR, endpoint, record.model, record.context_length)

    def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        return self.client.chat(msgspec.structs.replace(request, model=self.model))


def _encode(request: ChatRequest) -> dict[str, object]:
    thinking = {"enable_thinking": request.thinking.is_on}
    return {**base_body(request), "model": request.model, "chat_template_kwargs": thinking}


DOOR = Wire(
    name="gemstead",
    title="gemstead",
    chat_path="/v1/chat/completions",
    encode_chat=_encode,
    new_decoder=OpenAiStreamDecoder,
    health_path="/readyz",
)


@asynccontextmanager
async def open_talker(
    loaded: Loaded,
    *,
    progress: Progress = no_progress,
    say: Callable[[str], None],
    has_accepted_licence: bool = False,
) -> AsyncIterator[Talker]:
    """The model of the settings, ready to answer; what was started for it ends with the block.

    Raises: as `provide`, and EngineFailed if the engine does not start.
    """
    setup = make_setup(loaded, progress=progress, say=say)
    record = server_for(setup)
    if record is not None:
        server = RunningServer(record)
        try:
            yield server
        finally:
            await server.client.close()
        return
    folder = passing_folder(loaded.paths.servers)
    try:
        installation = await asyncio.to_thread(ensure_engine, setup)
        plan = await asyncio.to_thread(
            provide, setup, loaded.settings.model.name, has_accepted_licence=has_accepted_licence
        )
        async with (
            opened_evidence(setup, plan, installation, "command") as evidence,
            opened_gateway(setup, plan, installation, folder, evidence=evidence) as gateway,
        ):
            await gateway.start()
            yield OwnEngine(gateway)
    finally:
        forget(folder)


def server_for(setup: Setup) -> ServerRecord | None:
    """A running server with the model the settings name; any, if they leave it to us."""
    servers = running_servers(setup.loaded.paths.servers)
    name = setup.loaded.settings.model.name
    if name == AUTO:
        return servers[0] if servers else None
    try:
        manifest = setup.store.find(name)
    except NameUnknown:
        return None  # an address: its model is served under the same words
    wanted = name if manifest is None else manifest.name
    return next((record for record in servers if record.model == wanted), None)
