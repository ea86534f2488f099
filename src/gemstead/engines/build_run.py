"""Runs one step of a build: its output in a log, its progress shown, ended as a whole when it is cut."""

from __future__ import annotations

import re
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from gemstead.core.errors import EngineMissing
from gemstead.core.progress import Progress, ProgressEvent
from gemstead.engines.leash import leashed

NUM_SHOWN_LINES = 15
END_S = 3.0
"""What compilers get between SIGTERM and SIGKILL when the build is cut."""

_NINJA_STEP = re.compile(r"^\[(\d+)/(\d+)\] ?(.*)")
_MAKE_STEP = re.compile(r"^\[ *(\d+)%\] ?(.*)")


def run_build(argv: Sequence[str], environ: Mapping[str, str], log: Path, progress: Progress, task: str) -> None:
    """Runs `argv` to its end, adding its output to `log`.

    Raises: EngineMissing with the last lines if it fails. An interrupt ends every compiler before it passes on.
    """
    last: deque[str] = deque(maxlen=NUM_SHOWN_LINES)
    with log.open("a", encoding="utf-8") as file:
        file.write(" ".join(argv) + "\n")
        process = subprocess.Popen(
            leashed(argv, END_S, END_S),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environ, "NINJA_STATUS": "[%f/%t] "},
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                file.write(line)
                last.append(line.rstrip())
                if (event := step_of(line, task)) is not None:
                    progress(event)
            status = process.wait()
        finally:
            # The end of the pipe is the end of the build, whether this cuts it or the death of this process.
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()
            process.wait()
    if status != 0:
        raise EngineMissing(
            f"{task} failed with exit status {status}", why="\n".join(last) or None, hint=f"the whole log is {log}"
        )


def step_of(line: str, task: str) -> ProgressEvent | None:
    """How far the build is, if `line` tells: ninja counts steps, make gives a percentage."""
    if match := _NINJA_STEP.match(line):
        return ProgressEvent(task, int(match[1]), int(match[2]), unit="steps", note=_short(match[3]))
    if match := _MAKE_STEP.match(line):
        return ProgressEvent(task, int(match[1]), 100, unit="percent", note=_short(match[2]))
    return None


def _short(note: str) -> str:
    """`Building CXX object src/CMakeFiles/llama.dir/llama.cpp.o` as `llama.cpp.o`."""
    return note.strip().rsplit("/", 1)[-1].rsplit(" ", 1)[-1]
