"""llama-benchy: how it is run against a server, and what it writes. The peer for what a user sees: a client over HTTP.

It finds here what it would fetch: prose, as a book in its cache, and a tokenizer. Both only serve to cut prompts; the
counts in its rates are the server's own, as long as they are within 20 % of what it meant to send.

Source: llama-benchy 0.4.0 (https://github.com/eugr/llama-benchy), its `--help`, `corpus.py` and `results.py`, read
2026-11.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec

from gemstead.bench.peer_program import PeerSpeeds
from gemstead.bench.target import Target
from gemstead.core.errors import EngineFailed

INSTALL_HINT = (
    "python -m venv peer && peer/bin/pip install aiohttp numpy pydantic requests tabulate tokenizers && "
    "peer/bin/pip install --no-deps llama-benchy==0.4.0, then --peer-python peer/bin/python"
)
"""Not all that it declares: it never imports openai, and transformers only where tokenizers cannot read a tokenizer."""

RESULT = "result.json"
_BOOK = "prose"
_START = """
import sys
from llama_benchy.__main__ import main
sys.argv += ["--api-key", sys.stdin.readline().strip()]
main()
"""
"""The key goes in by standard input: everybody can read arguments."""


class _Metric(msgspec.Struct):
    mean: float


class _Test(msgspec.Struct):
    pp_throughput: _Metric | None = None
    tg_throughput: _Metric | None = None


class _Result(msgspec.Struct):
    version: str
    benchmarks: list[_Test]


class BenchyResult(msgspec.Struct, frozen=True):
    version: str
    speeds: PeerSpeeds


def write_inputs(folder: Path, prose: str, piece_chars: int) -> None:
    """A home for it: `prose` as the book it has downloaded, and a tokenizer that cuts it into pieces of that length."""
    cache = folder / ".cache" / "llama-benchy"
    cache.mkdir(parents=True)
    # Its cache names a book by the MD5 of its address; nothing secret is hashed.
    name = hashlib.md5(_BOOK.encode(), usedforsecurity=False).hexdigest()
    (cache / f"{name}.txt").write_text(prose, encoding="utf-8")
    pieces = {prose[start : start + piece_chars] for start in range(0, len(prose), piece_chars)}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": rf"[\s\S]{{1,{piece_chars}}}"},
            "behavior": "Isolated",
            "invert": False,
        },
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "WordLevel",
            "unk_token": "?",
            "vocab": {piece: number for number, piece in enumerate(["?", *sorted(pieces - {"?"})])},
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")


def llama_benchy_argv(
    python: Path, target: Target, model: str, folder: Path, prompt_pieces: int, answer_tokens: int
) -> tuple[str, ...]:
    """One request without warm-up: a prompt nobody has seen, a greedy answer of exactly `answer_tokens`.

    `folder` as `write_inputs` left it; the result is written there. The key is expected on standard input.
    """
    return (
        *(str(python), "-I", "-c", _START, "--base-url", f"{target.url}/v1", "--model", model),
        *("--tokenizer", str(folder / "tokenizer.json"), "--book-url", _BOOK),
        *("--pp", str(prompt_pieces), "--tg", str(answer_tokens), "--exact-tg", "--runs", "1"),
        *("--no-warmup", "--skip-coherence", "--no-adapt-prompt", "--no-cache", "--latency-mode", "none"),
        *("--extra-body", "temperature=0,seed=1", "--exit-on-first-fail"),
        *("--save-result", str(folder / RESULT), "--format", "json"),
    )


def parse_llama_benchy(content: bytes) -> BenchyResult:
    """Raises: EngineFailed if one of the two rates is missing."""
    try:
        read = msgspec.json.decode(content, type=_Result)
    except msgspec.DecodeError as exc:
        raise EngineFailed(f"llama-benchy wrote {content[:200]!r}") from exc
    for test in read.benchmarks:
        if test.pp_throughput is not None and test.tg_throughput is not None:
            return BenchyResult(read.version, PeerSpeeds(test.pp_throughput.mean, test.tg_throughput.mean))
    raise EngineFailed("llama-benchy measured no rate")
