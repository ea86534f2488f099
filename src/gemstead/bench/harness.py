"""lm-evaluation-harness, where it is installed, run against a server of ours.

Its tasks that compare log probabilities (`loglikelihood`: multiple choice, most of the well-known ones) need the
log probabilities of a prompt, which no chat API gives; those that let the model write (`generate_until`: gsm8k, ifeval,
bbh ...) run as they are. It brings its own data sets, from the network unless they are on this machine already.

Source: lm-evaluation-harness 0.4.13, `lm_eval run --help` and `models/openai_completions.py` (read 2026-11).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gemstead.bench.quality_results import HarnessScore
from gemstead.core.errors import EngineFailed, RequestInvalid, ToolMissing
from gemstead.engines.leash import leashed

PROGRAM = "lm_eval"
INSTALL_HINT = (
    'python -m venv lm-eval && lm-eval/bin/pip install "lm-eval[api]", then --lm-eval-program lm-eval/bin/lm_eval'
)
MAX_RESULT_BYTES = 64 * 1024 * 1024
_END_S = 5.0
_TAIL_CHARS = 600


class HarnessResult(msgspec.Struct, frozen=True):
    version: str
    scores: tuple[HarnessScore, ...]


class _Result(msgspec.Struct):
    results: dict[str, dict[str, Any]]
    lm_eval_version: str = "unknown"


def find_harness(named: Path | None) -> Path:
    """The program named, else the one on PATH. Raises: ToolMissing with how to install it."""
    found = shutil.which(str(named) if named else PROGRAM)
    if found is None:
        raise ToolMissing(f"{named or PROGRAM} is not here", why="it is no part of gemstead", hint=INSTALL_HINT)
    return Path(found).absolute()


def harness_argv(
    program: Path, url: str, model: str, tasks: Sequence[str], folder: Path, include: Path | None
) -> tuple[str, ...]:
    """Everything asked through chat completions, one question at a time; results below `folder`.

    `include` is a folder with task files of the user's own.
    """
    server = f"model={model},base_url={url}/v1/chat/completions,num_concurrent=1,max_retries=3"
    own = ("--include_path", str(include)) if include else ()
    return (
        *(str(program), "run", "--model", "local-chat-completions", "--model_args", server),
        *("--tasks", ",".join(tasks), "--apply_chat_template", "--output_path", str(folder), *own),
    )


def run_harness(argv: Sequence[str], folder: Path, environ: Mapping[str, str]) -> HarnessResult:
    """Runs it to its end; an interrupt ends it, too.

    Raises: EngineFailed with its last words; RequestInvalid if it wrote no result that can be read.
    """
    log = folder / "harness.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            leashed(argv, _END_S, _END_S),
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            cwd=folder,
            start_new_session=True,
        )
        try:
            status = process.wait()
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
    if status != 0:
        why = log.read_text(encoding="utf-8", errors="replace").strip()[-_TAIL_CHARS:]
        raise EngineFailed(f"{PROGRAM} ended with {status}", why=why or None)
    written = sorted(folder.rglob("results*.json"), key=os.path.getmtime)
    if not written or written[-1].stat().st_size > MAX_RESULT_BYTES:
        raise RequestInvalid(f"{PROGRAM} wrote no result that can be read")
    return parse_result(written[-1].read_bytes())


def parse_result(content: bytes) -> HarnessResult:
    """`"exact_match,none": 0.5` and `"exact_match_stderr,none": 0.1` become one score. Raises: RequestInvalid."""
    try:
        read = msgspec.json.decode(content, type=_Result)
    except msgspec.DecodeError as exc:
        raise RequestInvalid(f"the result of {PROGRAM} cannot be read: {exc}") from exc
    scores = [
        HarnessScore(task, metric, float(value), _number(figures.get(_stderr_name(metric))))
        for task, figures in read.results.items()
        for metric, value in figures.items()
        if "," in metric and "_stderr," not in metric and _number(value) is not None
    ]
    return HarnessResult(read.lm_eval_version, tuple(scores))


def _stderr_name(metric: str) -> str:
    name, _, kind = metric.partition(",")
    return f"{name}_stderr,{kind}"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
