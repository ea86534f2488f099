"""The command line in a process of its own, with a data folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class Cli:
    """`gemstead` on the folder `data` with the engine `program`, whatever else this user has set."""

    def __init__(self, data: Path, program: Path, **environ: str) -> None:
        self.data = data
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("GEMSTEAD_")}
        own = {"GEMSTEAD_DATA_DIR": str(data), "GEMSTEAD_ENGINE_PROGRAM": str(program)}
        self.environ = inherited | environ | own

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "gemstead", *arguments]

    def __call__(
        self, *arguments: str, stdin: str | None = None, status: int | None = 0, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """`status` None: whatever it is."""
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        done = subprocess.run(
            self.argv(*arguments),
            capture_output=True,
            text=True,
            env=self.environ | environ,
            timeout=240,
            check=False,
            **given,
        )
        assert status is None or done.returncode == status, (
            f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str, status: int | None = 0) -> dict[str, Any]:
        return json.loads(self(*arguments, "--json", status=status).stdout)  # type: ignore[no-any-return]
