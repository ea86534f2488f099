"""The peers of `gemstead bench agree`, and which of our figures by definition equals which of theirs."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gemstead.app.bench_agree import DECODE_TOKENS, PREFILL_TOKENS, Pair, Peer, Scene
from gemstead.bench.corpus import own_corpus
from gemstead.bench.llama_bench import llama_bench_argv, parse_llama_bench
from gemstead.bench.llama_benchy import (
    INSTALL_HINT,
    RESULT,
    BenchyResult,
    llama_benchy_argv,
    parse_llama_benchy,
    write_inputs,
)
from gemstead.bench.measures import Answer, measure
from gemstead.bench.peer_program import PeerSpeeds, run_peer
from gemstead.core.errors import EngineFailed, EngineRefused, RequestInvalid, ToolMissing

SHORT_PROMPT_TOKENS = 32
"""llama-bench decodes after an empty prompt; a chat template does not allow less than this."""
BOOK_WORDS = 20_000


def llama_bench_peer(named: Path | None) -> Peer:
    """`named` None: the one beside the engine's program; where there is none, the engine's own `timings`.

    llama-bench speaks no HTTP, and nobody reads along: its rates are held against the engine's own, of answers that
    come in one piece. On two cores a reader of the stream takes a tenth of a small model's decode rate.

    Raises: RequestInvalid if the named program is not there.
    """
    if named is not None and not named.is_file():
        raise RequestInvalid(f"{named} is not there", param="llama_bench", hint="give the path of llama-bench")

    async def pair(scene: Scene, _number: int) -> Pair:
        program = named or scene.installation.program.with_name("llama-bench")
        has_program = program.is_file()
        # An idle engine takes no time from llama-bench, which runs while it waits.
        long = measure(await scene.asker.ask(PREFILL_TOKENS, 2, is_streamed=not has_program))
        short = measure(await scene.asker.ask(SHORT_PROMPT_TOKENS, DECODE_TOKENS, is_streamed=not has_program))
        by_engine = _speeds(long.engine_prefill_tok_per_s, short.engine_decode_tok_per_s)
        if not has_program:
            return Pair("the engine's own timings", _by_the_clock(long, short), by_engine)
        argv = llama_bench_argv(program, scene.engine.plan, PREFILL_TOKENS, DECODE_TOKENS)
        return Pair(str(program), by_engine, parse_llama_bench(await run_peer(argv)))

    return pair


def llama_benchy_peer(python: Path | None, environ: Mapping[str, str]) -> Peer:
    """`python` is the interpreter of the environment where llama-benchy is installed. Ours are all by the clock.

    Who goes first changes with every round. Raises: ToolMissing with how to install it.
    """
    if python is None or not _has_llama_benchy(python):
        where = f"{python} has no llama-benchy" if python else "llama-benchy needs a Python of its own"
        raise ToolMissing(where, why="it is no part of gemstead", hint=INSTALL_HINT)
    interpreter = python.absolute()

    async def ours(scene: Scene) -> PeerSpeeds:
        answer = measure(await scene.asker.ask(PREFILL_TOKENS, DECODE_TOKENS))
        return _by_the_clock(answer, answer)

    async def pair(scene: Scene, number: int) -> Pair:
        if number % 2:
            mine, result = await ours(scene), await _llama_benchy(scene, interpreter, environ)
        else:
            result, mine = await _llama_benchy(scene, interpreter, environ), await ours(scene)
        return Pair(f"llama-benchy {result.version}", mine, result.speeds)

    return pair


def _has_llama_benchy(python: Path) -> bool:
    try:
        done = subprocess.run([python, "-I", "-c", "import llama_benchy"], capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


async def _llama_benchy(scene: Scene, python: Path, environ: Mapping[str, str]) -> BenchyResult:
    prose = own_corpus().prompt(BOOK_WORDS, seed=1)
    chars_per_token = len(prose) / BOOK_WORDS / scene.asker.tokens_per_word
    piece_chars = max(1, round(chars_per_token))
    target = scene.engine.target
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, prose, piece_chars)
        num_pieces = round(PREFILL_TOKENS * chars_per_token / piece_chars)
        argv = llama_benchy_argv(python, target, scene.engine.plan.model, folder, num_pieces, DECODE_TOKENS)
        # Its own home for its cache, and no proxy between it and this machine.
        own = {"HOME": name, "PATH": environ.get("PATH", os.defpath), "HF_HUB_OFFLINE": "1", "NO_PROXY": "*"}
        key = target.headers.get("Authorization", "").removeprefix("Bearer ")
        printed = await run_peer(argv, stdin=f"{key}\n".encode(), environ=own)
        try:
            content = (folder / RESULT).read_bytes()
        except FileNotFoundError as exc:
            said = printed.decode(errors="replace").strip()[-400:]
            raise EngineFailed("llama-benchy wrote no result", why=said or None) from exc
    return parse_llama_benchy(content)


def _by_the_clock(long: Answer, short: Answer) -> PeerSpeeds:
    return _speeds(long.prefill_tok_per_s, short.decode_tok_per_s)


def _speeds(prefill: float | None, decode: float | None) -> PeerSpeeds:
    if prefill is None or decode is None:
        raise EngineRefused("the answers cannot be timed: the engine sent no timings, or too few tokens")
    return PeerSpeeds(prefill, decode)
