"""lm-evaluation-harness as a program that is run and read; a fake one in its place."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from gemstead.bench.harness import find_harness, harness_argv, parse_result, run_harness
from gemstead.bench.quality_results import HarnessScore
from gemstead.core.errors import EngineFailed, RequestInvalid, ToolMissing

RESULT = {
    "results": {
        "gsm8k": {"alias": "gsm8k", "exact_match,strict": 0.5, "exact_match_stderr,strict": 0.1, "bleu,none": 2}
    },
    "lm_eval_version": "0.4.13",
}


def test_scores_come_with_their_standard_errors() -> None:
    result = parse_result(json.dumps(RESULT).encode())
    assert result.version == "0.4.13"
    assert result.scores == (
        HarnessScore("gsm8k", "exact_match,strict", 0.5, 0.1),
        HarnessScore("gsm8k", "bleu,none", 2.0),
    )


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"results": [1]}'])
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(RequestInvalid):
        parse_result(content)


def test_a_harness_that_is_not_here_is_told_with_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing) as missing:
        find_harness(tmp_path / "lm_eval")
    assert "pip install" in (missing.value.hint or "")


def test_it_asks_our_chat_completions_one_at_a_time() -> None:
    argv = harness_argv(Path("/lm_eval"), "http://127.0.0.1:1", "m", ["gsm8k", "ifeval"], Path("/out"), Path("/own"))
    pairs = dict(zip(argv[2::2], argv[3::2], strict=False))
    assert pairs["--model"] == "local-chat-completions"
    assert "base_url=http://127.0.0.1:1/v1/chat/completions" in pairs["--model_args"]
    assert argv[argv.index("--tasks") + 1] == "gsm8k,ifeval"
    assert argv[-2:] == ("--include_path", "/own")


def test_its_result_is_found_and_its_failure_told(tmp_path: Path) -> None:
    write = f"import pathlib; pathlib.Path('results_1.json').write_text({json.dumps(RESULT)!r})"
    environ = dict(os.environ)
    with pytest.raises(RequestInvalid, match="no result"):
        run_harness((sys.executable, "-c", "pass"), tmp_path, environ)
    assert len(run_harness((sys.executable, "-c", write), tmp_path, environ).scores) == 2
    with pytest.raises(EngineFailed) as failed:
        run_harness((sys.executable, "-c", "raise SystemExit('no such task')"), tmp_path, environ)
    assert "no such task" in (failed.value.why or "")
