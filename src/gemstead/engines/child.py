"""One engine process on its leash: started, drained, measured, ended."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress

import psutil

from gemstead.core.errors import EngineFailed
from gemstead.engines.base import Command
from gemstead.engines.engine_log import EngineLog
from gemstead.engines.leash import leashed

TERM_S = 10.0
"""What an engine gets between SIGTERM and SIGKILL when it is stopped on purpose."""
ORPHAN_S = 1.0
"""The same when gemstead has died: nobody waits for a graceful end, and two seconds are the promise."""


class Child:
    """A started engine. `exited` is its status once it has ended; 128 + N stands for signal N."""

    def __init__(self, process: asyncio.subprocess.Process, log: EngineLog) -> None:
        self._process = process
        self._log = log
        self._drainer = asyncio.create_task(self._drain(), name="engine log")

    @property
    def pid(self) -> int:
        """The leash; the engine is its child."""
        return self._process.pid

    async def wait(self) -> int:
        """The exit status, after everything the engine said is in its log."""
        await asyncio.shield(self._drainer)
        status = await self._process.wait()
        return status if status >= 0 else 128 - status

    async def end(self, term_s: float = TERM_S) -> int:
        """SIGTERM, then SIGKILL after `TERM_S` by the leash, or by us if the leash itself does not answer."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(term_s + 5):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()

    def kill(self) -> None:
        """SIGKILL to the engine and everything it started, then to the leash."""
        for member in reversed(self._tree()):
            with suppress(psutil.Error):
                member.kill()

    def resident_bytes(self) -> int:
        """Memory of the whole tree now in RAM, mapped weights included; 0 once it is gone."""
        total = 0
        for member in self._tree():
            with suppress(psutil.Error):
                total += member.memory_info().rss
        return total

    def engine_pid(self) -> int | None:
        """The engine itself; None before it starts and after it ends."""
        tree = self._tree()
        return tree[1].pid if len(tree) > 1 else None

    def _tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.pid)
            return [root, *root.children(recursive=True)]
        except psutil.Error:
            return []

    async def _drain(self) -> None:
        """Reads what the engine prints until the last holder of the pipe is gone."""
        assert self._process.stdout is not None
        while output := await self._process.stdout.read(65536):
            self._log.write(output)


async def start_child(command: Command, environ: Mapping[str, str], log: EngineLog, term_s: float = TERM_S) -> Child:
    """Starts `command` on a leash whose other end is held by this process.

    Raises: EngineFailed if the leash cannot be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *leashed(command.argv, term_s, ORPHAN_S),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=child_environment(environ, command),
            start_new_session=True,
        )
    except OSError as exc:
        raise EngineFailed(f"cannot start {command.argv[0]}: {exc}") from exc
    return Child(process, log)


def child_environment(environ: Mapping[str, str], command: Command) -> dict[str, str]:
    """What the engine sees: `environ` without the variables that would change the plan, plus the command's own."""
    kept = {name: value for name, value in environ.items() if not name.startswith(command.dropped_env)}
    return {**kept, **command.env, **command.secret_env}
