"""A real llama-server with real weights, for tests that put a door before it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fake_engine import small_plan
from gemstead.engines.client import EngineClient
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.engines.process import EngineProcess, ProcessOptions


@asynccontextmanager
async def running_llama(
    folder: Path, program: Path, model: Path, context_length: int = 2048
) -> AsyncIterator[EngineClient]:
    """The ready engine; its process ends with the block.

    One thread: two that wait for each other on a busy machine are many times slower.
    """
    installation = ENGINE.find(str(program), folder)
    assert installation is not None
    plan = small_plan(model_path=str(model), context_length=context_length, num_threads=1)
    process = EngineProcess(
        ENGINE,
        installation,
        plan,
        run_dir=folder / "run",
        log_dir=folder / "logs",
        options=ProcessOptions(environ=os.environ),
    )
    try:
        yield await process.ensure_ready()
    finally:
        await process.stop()
