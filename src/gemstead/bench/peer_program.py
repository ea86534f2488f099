"""Runs a measuring program of somebody else's to its end, and what all of them have to tell."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from gemstead.core.errors import EngineFailed, EngineTimeout

LIMIT_S = 600.0
_TAIL_CHARS = 400


class PeerSpeeds(msgspec.Struct, frozen=True):
    """Tokens per second, by the peer's own account."""

    prefill_tok_per_s: float
    decode_tok_per_s: float


async def run_peer(
    argv: Sequence[str], *, stdin: bytes = b"", environ: Mapping[str, str] | None = None, limit_s: float = LIMIT_S
) -> bytes:
    """What it printed. `environ` None: ours. Cancelling ends it, too.

    Raises: EngineFailed if it cannot be run, or ends with another status than 0; EngineTimeout.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environ,
        )
    except OSError as exc:
        raise EngineFailed(f"{argv[0]} cannot be run: {exc.strerror}") from exc
    try:
        async with asyncio.timeout(limit_s):
            printed, complaints = await process.communicate(stdin)
    except TimeoutError as exc:
        raise EngineTimeout(f"{argv[0]} did not end within {limit_s:.0f} s") from exc
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        why = (complaints.strip() or printed.strip()).decode(errors="replace")[-_TAIL_CHARS:]
        raise EngineFailed(f"{argv[0]} ended with {process.returncode}", why=why or None)
    return printed
