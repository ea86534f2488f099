"""What a running server does for the content vault: lets go what is due, and forgets in memory what was erased."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gemstead.app.content import opened_vault
from gemstead.app.retention import expire
from gemstead.core.errors import GemsteadError
from gemstead.evidence.vault.erasures import last_erasure, note_done
from gemstead.settings.load import Loaded

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
EXPIRE_EVERY_S = 60.0
UNREADABLE = (sqlite3.Error, GemsteadError, OSError)
"""A vault that cannot be read is told in the log: what it is for refuses by itself, and the rest goes on."""


@asynccontextmanager
async def opened_upkeep(loaded: Loaded, forget: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Looks after the vault while the block runs. `forget` drops every text that this process and its engines hold."""
    seen = await _seen_at_start(loaded)
    tasks = [asyncio.create_task(_keep_expiring(loaded)), asyncio.create_task(_keep_forgetting(loaded, seen, forget))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _keep_expiring(loaded: Loaded) -> None:
    while True:
        if loaded.paths.content.exists():
            try:
                await asyncio.to_thread(expire, loaded)
            except UNREADABLE as exc:
                logger.warning("what is due was not removed: %s", exc)
        await asyncio.sleep(EXPIRE_EVERY_S)


async def _seen_at_start(loaded: Loaded) -> int:
    """The newest erasure: what was erased before this process answered anybody, it has never had."""
    try:
        newest = await asyncio.to_thread(_newest_erasure, loaded)
        if newest:
            await asyncio.to_thread(_note_done, loaded, newest)
    except UNREADABLE:
        return -1
    return newest


async def _keep_forgetting(loaded: Loaded, seen: int, forget: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            newest = await asyncio.to_thread(_newest_erasure, loaded)
            if newest > seen:
                await forget()
                await asyncio.to_thread(_note_done, loaded, newest)
                seen = newest
        except UNREADABLE as exc:
            logger.warning("what was erased is not forgotten yet: %s", exc)


def _newest_erasure(loaded: Loaded) -> int:
    if not loaded.paths.content.exists():
        return 0
    with opened_vault(loaded) as (_vault, connection):
        return last_erasure(connection)


def _note_done(loaded: Loaded, number: int) -> None:
    with opened_vault(loaded) as (_vault, connection):
        note_done(connection, number, os.getpid())
