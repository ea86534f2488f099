"""llm-comply, an outside judge of API envelopes, run as its own program against a door.

It brings its own requests, its own copies of the published schemas and its own validators: nothing in it is ours.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec

Form: TypeAlias = Literal["openai-chat", "open-responses", "anthropic"]

LIMIT_S = 120.0
"""For all checks together, on a machine that does other things too."""


class Check(msgspec.Struct, frozen=True):
    """One check's result. A warning is what the published schema lets pass and clients may miss."""

    id: str
    name: str
    status: Literal["passed", "failed", "skipped"]
    duration_ms: float = 0.0
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def complaint(self) -> str:
        """Empty: nothing to complain about."""
        said = (*self.errors, *self.warnings)
        if self.status == "passed" and not said:
            return ""
        return f"{self.id} {self.status}: {'; '.join(said)}"


class _Report(msgspec.Struct):
    results: list[Check]


async def comply(
    url: str, form: Form, model: str, *, only: Iterable[str] = (), headers: Mapping[str, str] | None = None
) -> dict[str, Check]:
    """Every check of `form`, or those with the ids in `only`, by id. `url` is what clients call the base URL.

    Checks of thinking are skipped by llm-comply unless the model's name holds one it knows to think, such as "gpt-5".
    """
    argv = [sys.executable, "-m", "llm_comply.cli", "--json", "--format", form]
    argv += ["--base-url", url, "--api-key", "none", "--model", model, "--timeout", "60"]
    if chosen := ",".join(only):
        argv += ["--filter", chosen]
    if headers:
        argv += ["--header", ",".join(f"{name}:{value}" for name, value in headers.items())]
    judge = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(LIMIT_S):
            out, err = await judge.communicate()
    finally:
        if judge.returncode is None:
            judge.kill()
            await judge.wait()
    assert judge.returncode in (0, 1), err.decode()
    checks = {check.id: check for check in msgspec.json.decode(out, type=_Report).results}
    assert checks, "llm-comply ran no check"
    return checks


def complaints(checks: Mapping[str, Check]) -> list[str]:
    """Failures, skipped checks and warnings, one line each; empty when every check passed without a word."""
    return [check.complaint for check in checks.values() if check.complaint]
