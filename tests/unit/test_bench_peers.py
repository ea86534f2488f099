"""Peers: how their programs are run, what they are given, and how their figures are held against ours."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from gemstead.app.agree_peers import llama_bench_peer, llama_benchy_peer
from gemstead.app.bench_agree import Pair, agreement_of
from gemstead.bench.llama_benchy import RESULT, llama_benchy_argv, parse_llama_benchy, write_inputs
from gemstead.bench.peer_program import PeerSpeeds, run_peer
from gemstead.bench.target import Target
from gemstead.core.errors import EngineFailed, EngineTimeout, RequestInvalid, ToolMissing


async def test_a_program_is_given_its_input_and_its_environment_only() -> None:
    code = "import os, sys; print(sys.stdin.read(), os.environ['A'], 'HOME' in os.environ)"
    assert await run_peer((sys.executable, "-c", code), stdin=b"in", environ={"A": "b"}) == b"in b False\n"


async def test_a_program_that_fails_hangs_or_is_not_there_is_told() -> None:
    with pytest.raises(EngineFailed, match="ended with 3") as failed:
        await run_peer((sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"))
    assert failed.value.why == "the reason"
    with pytest.raises(EngineTimeout):
        await run_peer((sys.executable, "-c", "import time; time.sleep(60)"), limit_s=0.3)
    with pytest.raises(EngineFailed, match="cannot be run"):
        await run_peer(("/nowhere/llama-bench",))


async def test_a_cancelled_program_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    code = f"import time\nwhile True:\n  open({str(file)!r}, 'a').write('x')\n  time.sleep(0.01)"
    running = asyncio.create_task(run_peer((sys.executable, "-c", code)))
    deadline = time.monotonic() + 15
    while not file.exists():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    written = file.stat().st_size
    await asyncio.sleep(0.1)
    assert file.stat().st_size == written


@pytest.mark.parametrize("prose", ["Note 7. Go on, and on and on.", "ab?cd?", "line\nline \u00e9\U0001f600 end"])
def test_the_tokenizer_has_every_piece_of_the_book(tmp_path: Path, prose: str) -> None:
    write_inputs(tmp_path, prose, 4)
    (book,) = (tmp_path / ".cache" / "llama-benchy").iterdir()
    assert book.read_text(encoding="utf-8") == prose
    vocabulary = json.loads((tmp_path / "tokenizer.json").read_text())["model"]["vocab"]
    assert {prose[start : start + 4] for start in range(0, len(prose), 4)} <= set(vocabulary)
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))


def test_no_key_is_among_the_arguments_and_nothing_is_fetched(tmp_path: Path) -> None:
    target = Target("engine", "http://127.0.0.1:9", None, {"Authorization": "Bearer hidden"})
    argv = llama_benchy_argv(Path("/peer/python"), target, "m", tmp_path, 560, 128)
    assert not any("hidden" in argument for argument in argv)
    assert argv[argv.index("--base-url") + 1] == "http://127.0.0.1:9/v1"
    assert argv[argv.index("--tokenizer") + 1] == str(tmp_path / "tokenizer.json")
    assert argv[argv.index("--save-result") + 1] == str(tmp_path / RESULT)
    assert "https" not in " ".join(argv)


def result(**rates: object) -> bytes:
    return json.dumps({"version": "0.4.0", "latency_mode": "none", "benchmarks": [rates]}).encode()


def test_both_rates_are_read_with_the_version() -> None:
    rate = {"mean": 510.5, "std": 0.0, "values": [510.5]}
    read = parse_llama_benchy(result(pp_throughput=rate, tg_throughput={**rate, "mean": 19.9}))
    assert (read.version, read.speeds) == ("0.4.0", PeerSpeeds(510.5, 19.9))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"null", result(), result(pp_throughput={"mean": 1.0}, tg_throughput=None), result(ttfr=1)]
)
def test_a_result_without_them_is_a_failure(content: bytes) -> None:
    with pytest.raises(EngineFailed):
        parse_llama_benchy(content)


def test_agreement_is_that_of_the_medians_of_pairs() -> None:
    pairs = [
        Pair("peer 1", PeerSpeeds(100.0 * ours, 10.0), PeerSpeeds(100.0, 10.0 * theirs))
        for ours, theirs in ((1.0, 1.0), (1.04, 0.99), (3.0, 1.01))
    ]
    found = agreement_of(pairs)
    assert found.prefill.ratio == pytest.approx(1.04)
    assert found.ours.prefill_tok_per_s == pytest.approx(104)
    assert found.theirs == PeerSpeeds(100.0, 10.0)
    assert found.is_within
    assert not agreement_of(pairs[1:]).is_within


def test_a_peer_that_is_not_there_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with pytest.raises(RequestInvalid, match="not there"):
        llama_bench_peer(tmp_path / "llama-bench")
    for python in (None, tmp_path / "python", Path(sys.executable)):
        with pytest.raises(ToolMissing) as missing:
            llama_benchy_peer(python, {})
        assert missing.value.hint is not None
        assert "--peer-python" in missing.value.hint
