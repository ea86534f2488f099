"""llama.cpp's own `llama-perplexity`, run over a text; its log probabilities come through a pipe, chunk by chunk.

A server gives log probabilities for what it generates, not for a text; this program gives them for every token of a
text, over the whole vocabulary. Gemma 4's is large: a chunk of 512 tokens makes 134 MB, which is why nothing but a
reference touches the disk.

Source: llama.cpp, tools/perplexity/perplexity.cpp (read 2026-11): "_logits_", then numbers of 32 bits: chunk length,
vocabulary, chunks, all tokens; then for each chunk a row for each position of its second half but the last.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gemstead.bench.divergence import row_length
from gemstead.core.errors import EngineFailed, EngineMissing, RequestInvalid
from gemstead.core.plan import Plan
from gemstead.engines.leash import leashed

if TYPE_CHECKING:
    from numpy import int32, uint16
    from numpy.typing import NDArray

PROGRAM = "llama-perplexity"
MAGIC = b"_logits_"
MAX_VOCAB, MAX_CHUNKS, MAX_CHUNK_TOKENS = 4_000_000, 10_000, 65_536
"""Above these it is no stream of log probabilities."""

_SETTINGS_PREFIX = "LLAMA_ARG_"
"""Variables with which a user sets flags: they would change the measurement behind its back."""
_POLL_S = 0.25
_END_S = 2.0
_TOO_SHORT = "you need at least"
_LOG_TAIL_CHARS = 600


class ScoringRun(msgspec.Struct, frozen=True):
    """One run of the program. `folder` is private, and holds its pipe and its log while it runs."""

    program: Path
    plan: Plan
    text: Path
    chunk_tokens: int
    num_chunks: int
    folder: Path
    environ: Mapping[str, str]

    def argv(self, pipe: Path) -> tuple[str, ...]:
        """Threads, batch, KV cache and GPU layers as planned; one chunk at a time."""
        plan = self.plan
        assert plan.model_path is not None
        layers = () if plan.gpu_layers is None else ("--n-gpu-layers", str(plan.gpu_layers))
        size = str(self.chunk_tokens)
        return (
            *(str(self.program), "--model", plan.model_path, "--threads", str(plan.num_threads)),
            *("--ctx-size", size, "--batch-size", size, "--ubatch-size", str(min(plan.ubatch_tokens, 512))),
            *("--cache-type-k", plan.kv_cache_dtype, "--cache-type-v", plan.kv_cache_dtype, *layers),
            *("--file", str(self.text), "--chunks", str(self.num_chunks), "--save-all-logits", str(pipe)),
        )


class ScoredText(msgspec.Struct, frozen=True):
    """What the stream says before the rows. `tokens` [num_chunks, chunk_tokens] is the text as the model reads it."""

    vocab_size: int
    tokens: NDArray[int32]
    chunks: Iterator[NDArray[uint16]]
    """[scored tokens, row_length] each; the array is filled anew by the next one."""

    @property
    def num_scored(self) -> int:
        """Tokens scored in each chunk: the second half but the first of it, which only gives context."""
        chunk_tokens = int(self.tokens.shape[1])
        return chunk_tokens - 1 - chunk_tokens // 2

    @property
    def num_bytes(self) -> int:
        """All rows of all chunks."""
        return len(self.tokens) * self.num_scored * row_length(self.vocab_size) * 2

    def targets(self, place: int) -> NDArray[int32]:
        """The tokens that the rows of one chunk predict."""
        wanted: NDArray[int32] = self.tokens[place, -self.num_scored :]
        return wanted


def find_program(engine_program: Path) -> Path:
    """The one beside the engine's own program. Raises: EngineMissing with the command that builds it."""
    program = engine_program.with_name(PROGRAM)
    if program.is_file():
        return program
    raise EngineMissing(
        f"{PROGRAM} is not beside {engine_program}",
        why="perplexity needs the log probability of every token of a text, which the server does not give",
        hint="gemstead engine install (minutes), or leave it out: --parts regression,tasks",
    )


@contextmanager
def scored_text(run: ScoringRun) -> Iterator[ScoredText]:
    """Runs the program; it is ended with the block.

    Raises: EngineFailed with its last words if it ends early or speaks otherwise; RequestInvalid for too short a text.
    """
    pipe, log = run.folder / "logits", run.folder / "perplexity.log"
    os.mkfifo(pipe, 0o600)
    # Open for both: a pipe without a writer would say "end" before the program has opened it.
    descriptor = os.open(pipe, os.O_RDWR)
    try:
        with log.open("wb") as said, _started(run, pipe, said) as process:
            reader = _Reader(descriptor, process, log)
            yield _read_text(reader)
            if (status := process.wait()) != 0:
                raise EngineFailed(f"{run.program.name} ended with {status}", why=_tail(log))
    finally:
        os.close(descriptor)
        pipe.unlink(missing_ok=True)
        log.unlink(missing_ok=True)


@contextmanager
def _started(run: ScoringRun, pipe: Path, said: object) -> Iterator[subprocess.Popen[bytes]]:
    environ = {name: value for name, value in run.environ.items() if not name.startswith(_SETTINGS_PREFIX)}
    process = subprocess.Popen(
        leashed(run.argv(pipe), _END_S, _END_S),
        stdin=subprocess.PIPE,
        stdout=said,  # type: ignore[call-overload]
        stderr=subprocess.STDOUT,
        env=environ,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()  # the leash ends the program
        process.wait()


class _Reader:
    """Exactly as many bytes as asked for, or the reason why they do not come."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self._descriptor = descriptor
        self._process = process
        self._log = log

    def read(self, num_bytes: int) -> bytes:
        content = bytearray(num_bytes)
        self.fill(memoryview(content))
        return bytes(content)

    def fill(self, target: memoryview) -> None:
        """Raises: EngineFailed, RequestInvalid if the program ends before `target` is full."""
        place = 0
        while place < len(target):
            is_over = self._process.poll() is not None
            if select.select([self._descriptor], [], [], 0 if is_over else _POLL_S)[0]:
                place += os.readv(self._descriptor, [target[place:]])
            elif is_over:
                raise self._early_end()

    def _early_end(self) -> EngineFailed | RequestInvalid:
        words = self._log.read_text(encoding="utf-8", errors="replace")
        if _TOO_SHORT in words:
            line = next(line for line in words.splitlines() if _TOO_SHORT in line)
            return RequestInvalid(
                "the text is too short to be scored",
                why=line.rpartition("perplexity: ")[2],
                hint="give a longer one with --text, or a smaller --chunk-tokens",
            )
        return EngineFailed(f"{PROGRAM} ended early with {self._process.returncode}", why=_tail(self._log))


def _read_text(reader: _Reader) -> ScoredText:
    import numpy as np

    if (magic := reader.read(len(MAGIC))) != MAGIC:
        raise EngineFailed(f"{PROGRAM} wrote {magic!r} where log probabilities were expected")
    chunk_tokens, vocab_size, num_chunks = (int(number) for number in np.frombuffer(reader.read(12), np.int32))
    sizes = ((chunk_tokens, MAX_CHUNK_TOKENS), (vocab_size, MAX_VOCAB), (num_chunks, MAX_CHUNKS))
    if not all(0 < size <= most for size, most in sizes):
        raise EngineFailed(f"{PROGRAM} announces {num_chunks} chunks of {chunk_tokens} tokens out of {vocab_size}")
    content = reader.read(4 * num_chunks * chunk_tokens)
    tokens = np.frombuffer(content, np.int32).reshape(num_chunks, chunk_tokens)
    if tokens.min() < 0 or tokens.max() >= vocab_size:
        raise EngineFailed(f"{PROGRAM} wrote tokens that its vocabulary of {vocab_size} does not have")
    rows = np.empty((chunk_tokens - 1 - chunk_tokens // 2, row_length(vocab_size)), np.uint16)
    return ScoredText(vocab_size, tokens, _chunks(reader, rows, num_chunks))


def _chunks(reader: _Reader, rows: NDArray[uint16], num_chunks: int) -> Iterator[NDArray[uint16]]:
    for _ in range(num_chunks):
        reader.fill(rows.data.cast("B"))
        yield rows


def _tail(log: Path) -> str | None:
    return log.read_text(encoding="utf-8", errors="replace").strip()[-_LOG_TAIL_CHARS:] or None
