"""Who asks: what the door finds out about a caller before anything is done for it."""

from __future__ import annotations

import msgspec


class Caller(msgspec.Struct, frozen=True):
    """One caller, as its key or token tells. The default is the nameless caller of a door without keys.

    `key_id` is public; the secret is nowhere. `owner` is a person or a team, in the operator's words. `models` and
    `tools` are patterns (`gemma4:*`) the key is limited to, empty: as the policy says.
    """

    key_id: str | None = None
    owner: str | None = None
    groups: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


class Origin(msgspec.Struct, frozen=True):
    """Where a request came from: what evidence and limits need of the call around it."""

    caller: Caller = Caller()
    request_id: str = ""
    dialect: str = ""
    address: str = ""
    """The peer's network, cut to /24 (IPv4) or /48 (IPv6); empty: not over a network."""
    label: str = ""
    """The data label that the request says it has; empty: it does not say."""
