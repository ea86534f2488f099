"""A client that leaves ends the work done for it, at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.types import Receive

from gemstead.api.call import ClientLeft


@asynccontextmanager
async def cancelled_if_client_leaves(receive: Receive) -> AsyncGenerator[None]:
    """Cancels its block when the connection closes, and raises ClientLeft. The request's body must have been read.

    `asyncio.timeout` is the standard library's one cancel scope; here it never times out by itself.
    """
    loop = asyncio.get_running_loop()
    scope = asyncio.timeout(None)

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.reschedule(loop.time())

    try:
        async with scope:
            watcher = loop.create_task(watch())
            try:
                yield
            finally:
                watcher.cancel()
    except TimeoutError as exc:
        if not scope.expired():
            raise
        raise ClientLeft from exc
