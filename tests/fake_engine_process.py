"""The fake engine as a process of its own, and the client that the door asks it with. For faults only."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gemstead.engines.base import Endpoint
from gemstead.engines.client import EngineClient
from gemstead.engines.kinds.llama_cpp import ENGINE

FAKE_ENGINE = Path(__file__).parent / "fake_engine.py"


@asynccontextmanager
async def fake_engine(folder: Path, *faults: str) -> AsyncIterator[EngineClient]:
    """Gives a client of it; the process is gone at the end."""
    socket_path = folder / "engine.sock"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(FAKE_ENGINE), "--socket", str(socket_path), *faults),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "LLAMA_API_KEY": "secret"},
    )
    client = EngineClient(ENGINE, Endpoint("secret", socket_path=socket_path), "fake", 4096)
    try:
        assert process.stdout
        async with asyncio.timeout(20):
            while (await process.stdout.readline()).strip() != b"fake engine ready":
                pass
        yield client
    finally:
        await client.close()
        if process.returncode is None:
            process.kill()
        await process.communicate()
