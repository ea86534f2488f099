"""What the API needs of the rest, as functions: tests build it without a process, `app.py` with one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec
from msgspec import field

from gemstead.api.conversations import Conversations
from gemstead.api.desk import ModelDesk
from gemstead.api.dialect import ModelCard
from gemstead.api.metrics import DoorMetrics
from gemstead.api.readiness import EngineStatus
from gemstead.api.sign_in import SignIn
from gemstead.core.caller import Caller
from gemstead.core.quota import QuotaState
from gemstead.core.types import ChatRequest, Embeddings, EmbedRequest, Event, Sampling
from gemstead.core.units import MIB


class Services(msgspec.Struct, frozen=True):
    """`chat`, `count_tokens`, `tokenize` and `embed` are the exchange's; `models` and `engines` are asked each time.

    `fingerprint` names what runs a model. `host_names` are the names besides loopback that a request's Host header may
    carry. `body_limit_s` is how long a body may take to arrive, `stall_limit_s` how long a client may not read: one
    that stops would else hold its engine slot for ever.
    """

    chat: Callable[[ChatRequest], AsyncGenerator[Event]]
    count_tokens: Callable[[ChatRequest], Awaitable[int]]
    tokenize: Callable[[str, str], Awaitable[tuple[int, ...]]]
    embed: Callable[[EmbedRequest], Awaitable[Embeddings]]
    models: Callable[[], tuple[ModelCard, ...]]
    engines: Callable[[], tuple[EngineStatus, ...]]
    metrics: DoorMetrics
    fingerprint: Callable[[str], str | None] = lambda _model: None
    conversations: Conversations = field(default_factory=lambda: Conversations(0, 0, 0.0))
    """Kept responses; none are kept unless this is given."""
    sampling: Callable[[str], Sampling] = lambda _model: Sampling(temperature=1.0, top_p=1.0)
    """What a request to a model leaves open, where its reply must name it."""
    may_see: Callable[[Caller, str, str], bool] = lambda _caller, _model, _dialect: True
    """Whether a caller may use a model over a dialect, so that it is listed."""
    desk: ModelDesk | None = None
    """None: there is no store behind this door."""
    quota: Callable[[ChatRequest | EmbedRequest], Awaitable[QuotaState | None]] | None = None
    """What is left of the caller's limits for requests like this one; None: nothing is limited."""
    sign_in: SignIn | None = None
    """None: everybody may do everything."""
    note_refusal: Callable[[str | None, str], None] = lambda _key_id, _code: None
    """Told of calls that a key was not enough for: which key, and the error's code."""
    host_names: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    """Of web pages that may call and read answers ("https://chat.example.org")."""
    max_body_bytes: int = 64 * MIB
    body_limit_s: float = 60.0
    stall_limit_s: float = 60.0
