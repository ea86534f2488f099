"""The harness part of `bench quality`: a server of ours, and lm-evaluation-harness as its client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gemstead.app.conversation import server_for
from gemstead.app.detached import bring_up
from gemstead.app.servers import forget, passing_folder, stop_server
from gemstead.app.setup import Setup
from gemstead.bench.harness import HarnessResult, harness_argv, run_harness
from gemstead.core.progress import ProgressEvent


def run_against_own_server(setup: Setup, program: Path, tasks: Sequence[str], include: Path | None) -> HarnessResult:
    """Takes the server that runs, else starts one and ends it. Raises: as `bring_up` and `run_harness`."""
    running = server_for(setup)
    record = running or bring_up(setup, None).record
    folder = passing_folder(setup.loaded.paths.servers)
    task = f"lm-evaluation-harness: {', '.join(tasks)}"
    try:
        setup.progress(ProgressEvent(task, unit="steps", note="running"))
        argv = harness_argv(program, record.url, record.model, tasks, folder, include)
        found = run_harness(argv, folder, setup.loaded.environ)
        setup.progress(ProgressEvent(task, unit="steps", is_done=True))
        return found
    finally:
        forget(folder)
        if running is None:
            stop_server(record)
