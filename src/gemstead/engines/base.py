"""What an engine is: a program we start or find, on a private socket with a generated key, spoken to over HTTP.

A file in `engines/kinds/` offers one `ENGINE`, an `EngineKind`: a frozen value that holds plain functions. The
supervisor (`engines/process.py`) and the client (`engines/client.py`) know engines only through it.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from gemstead.core.plan import Plan
from gemstead.core.progress import Progress
from gemstead.core.types import ChatRequest, Embeddings, EmbedRequest, Event


class Endpoint(msgspec.Struct, frozen=True):
    """Where a running engine listens. Exactly one of `socket_path` and `port` is set.

    `api_key` is generated at each start; it is never logged and never in argv. Empty: none is sent.
    """

    api_key: str
    socket_path: Path | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    tls: ssl.SSLContext | None = None
    """How to speak TLS to it; None: plain HTTP."""

    def __repr__(self) -> str:
        return f"Endpoint({self.socket_path or f'{self.host}:{self.port}'})"


class Installation(msgspec.Struct, frozen=True):
    """An engine program on this machine. `origin` says how it was found; `digest` is the sha256 of the program file.

    `can_use_gpu` False: it was built without support for any. True where that is not known.
    """

    kind: str
    program: Path
    version: str
    origin: str
    digest: str | None = None
    can_use_gpu: bool = True


class Command(msgspec.Struct, frozen=True):
    """The exact program, arguments and extra environment. No secret is in `argv`; `secret_env` is never printed.

    `dropped_env` are prefixes of inherited variables the engine must not see: they would change the plan behind its
    back.
    """

    argv: tuple[str, ...]
    env: dict[str, str] = {}
    secret_env: dict[str, str] = {}
    dropped_env: tuple[str, ...] = ()


class Capabilities(msgspec.Struct, frozen=True):
    """What the engine itself can do; what it cannot, the gateway makes good or refuses."""

    can_count_tokens: bool
    can_hold_json_schema: bool
    can_call_tools: bool
    can_see: bool
    can_hear: bool
    has_reasoning_field: bool


class Diagnosis(msgspec.Struct, frozen=True):
    """Why an engine died, read from its last words, and the one command or change that helps."""

    why: str
    hint: str
    is_out_of_memory: bool = False


class StreamDecoder(Protocol):
    """Turns the engine's stream into events, whatever the cut between chunks."""

    def feed(self, payload: bytes) -> Iterable[Event]:
        """`payload` is the text of one server-sent event's data, without the `data:` prefix."""
        ...

    def close(self) -> Iterable[Event]:
        """The stream ended; yields what was held back. Raises EngineFailed if the engine ended before it finished."""
        ...


class Ask(msgspec.Struct, frozen=True):
    """A question with a short answer: POST `path` with what `encode` makes of it; `read` gives the answer's value.

    `read` may raise KeyError, TypeError or ValueError for an answer that is not what it should be.
    """

    path: str
    encode: Callable[[Any], dict[str, Any]]
    read: Callable[[dict[str, Any]], Any]


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """How a server is spoken to over HTTP: all that `EngineClient` needs to know. An `Ask` of None: it cannot do that.

    `count` asks with a ChatRequest for an int, `count_text` with a raw prompt for the tokens it has with what the model
    puts around it, `tokenize` with a text for a list of token ids, `embed` with an EmbedRequest for Embeddings.
    `complete_path` is where a request with a raw `prompt` goes.
    """

    name: str
    title: str
    chat_path: str
    encode_chat: Callable[[ChatRequest], dict[str, Any]]
    new_decoder: Callable[[], StreamDecoder]
    health_path: str
    keeps_connections: bool = True
    """False: the server closes connections without saying so, and the next request on one would fail."""
    complete_path: str | None = None
    encode_complete: Callable[[ChatRequest], dict[str, Any]] | None = None
    count: Ask | None = None
    count_text: Ask | None = None
    tokenize: Ask | None = None
    embed: Ask | None = None
    metrics_path: str | None = None


class EngineKind(Wire, frozen=True, kw_only=True):
    """Everything gemstead knows about one kind of engine: how it is spoken to, found, installed and started."""

    licence: str
    artefact_formats: tuple[str, ...]
    capabilities: Capabilities
    find: Callable[[str | None, Path], Installation | None]
    """(program the user set or None, engines directory) -> what is there. Raises EngineMissing if the set one fails."""
    install: Callable[[Path, Mapping[str, str], Progress], Installation]
    """(engines directory, environment, progress) -> a working installation, built or downloaded; cached, resumable.

    The environment is the user's: it says which package index pip uses, and which compiler.
    """
    command: Callable[[Plan, Installation, Endpoint], Command]
    allowed_args: dict[str, int] = {}
    """Extra flags a user may pass, each with the number of values it takes. Everything else is refused."""
    diagnose: Callable[[Sequence[str]], Diagnosis | None] | None = None
    """(last lines of its log) -> why it died, where the lines say so."""


class Engine(Protocol):
    """A running engine as the pipeline sees it."""

    @property
    def model(self) -> str: ...

    @property
    def kind(self) -> str:
        """The name of its kind, as metrics and messages call it."""
        ...

    @property
    def context_length(self) -> int:
        """Tokens one slot holds, prompt and answer together."""
        ...

    def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Events of one reply, ended by exactly one Finish. Closing the iterator cancels the generation in the engine.

        Raises: ContextOverflow, EngineRefused, EngineBusy, EngineFailed, EngineTimeout.
        """
        ...

    async def count_tokens(self, request: ChatRequest) -> int:
        """Exact tokens of the rendered prompt, template included."""
        ...

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """The tokens of `text` as plain text: no template, no beginning-of-text, nothing read as a control token."""
        ...

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Raises: EngineRefused if this engine, as it runs, gives no embeddings."""
        ...
