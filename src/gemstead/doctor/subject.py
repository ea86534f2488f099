"""What is examined: settings, machine, store, engine and servers, handed in by the room that wires them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from gemstead.catalog.store import Store
from gemstead.core.plan import Plan
from gemstead.engines.base import EngineKind, Installation
from gemstead.hardware.snapshot import Machine
from gemstead.settings.load import Loaded


class RunningServer(msgspec.Struct, frozen=True):
    """A server of ours. `state` is what it says of its engine; None: it does not answer.

    `listens_at` are the TCP addresses that its whole process tree really listens on ("127.0.0.1:8484").
    """

    pid: int
    port: int
    model: str
    engine: str
    rss_bytes: int
    state: str | None
    listens_at: tuple[str, ...]
    has_tls: bool = False


class MemoryHistory(msgspec.Struct, frozen=True):
    """What happened to memory so far. `num_oom_kills` is of our control group; None: the system does not tell."""

    swap_total_bytes: int
    swap_used_bytes: int
    num_oom_kills: int | None = None


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is cheap is a value; what takes time or may fail is a function, asked once and remembered.

    `find_engine` raises EngineMissing for one that is there and cannot be used. `plan` takes the share of memory to
    leave free, None: as the settings say; it raises DoesNotFit with the nearest choice that fits. `stale_folders` are
    the records of servers that are gone. `is_locked` says whether a server with these settings asks for keys. `now_s`
    is seconds since 1970, UTC.
    """

    loaded: Loaded
    store: Store
    kind: EngineKind
    machine: Machine
    memory_history: MemoryHistory
    find_engine: Callable[[], Installation | None]
    plan: Callable[[float | None], Plan]
    servers: Callable[[], tuple[RunningServer, ...]]
    stale_folders: Callable[[], tuple[Path, ...]]
    is_loopback: Callable[[str], bool]
    is_locked: Callable[[], bool] = lambda: False
    now_s: float
