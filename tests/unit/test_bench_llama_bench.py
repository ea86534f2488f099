from __future__ import annotations

import json
from pathlib import Path

import pytest

from fake_engine import small_plan
from gemstead.bench.llama_bench import llama_bench_argv, parse_llama_bench
from gemstead.bench.peer_program import PeerSpeeds
from gemstead.core.errors import EngineFailed

ROWS = [{"n_prompt": 512, "n_gen": 0, "avg_ts": 95.5}, {"n_prompt": 0, "n_gen": 128, "avg_ts": 17.25, "stddev_ts": 0.1}]


def test_both_tests_are_read() -> None:
    assert parse_llama_bench(json.dumps(ROWS).encode()) == PeerSpeeds(95.5, 17.25)


@pytest.mark.parametrize("printed", [b"", b"{}", b"[]", b"error: no model", json.dumps(ROWS[:1]).encode(), b"[1]"])
def test_anything_else_is_a_failure(printed: bytes) -> None:
    with pytest.raises(EngineFailed):
        parse_llama_bench(printed)


def test_the_peer_runs_the_same_plan() -> None:
    plan = small_plan(model_path="/models/tiny.gguf", num_threads=3, ubatch_tokens=256, kv_cache_dtype="q8_0")
    argv = llama_bench_argv(Path("/bin/llama-bench"), plan, 512, 128)
    pairs = dict(zip(argv[1::2], argv[2::2], strict=True))
    assert pairs["--model"] == "/models/tiny.gguf"
    assert pairs["--threads"] == "3"
    assert pairs["--ubatch-size"] == "256"
    assert pairs["--cache-type-k"] == pairs["--cache-type-v"] == "q8_0"
    assert pairs["--n-gpu-layers"] == "0"
