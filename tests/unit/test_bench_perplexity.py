"""The run of llama-perplexity, with a program in its place that fails in each way it can."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from fake_engine import small_plan
from gemstead.bench.perplexity import ScoringRun, find_program, scored_text
from gemstead.core.errors import EngineFailed, EngineMissing, RequestInvalid
from quality_parts import rows_of

HEAD = b"_logits_" + struct.pack("<iii", 8, 3, 2)
TOKENS = np.array([0, 1, 2, 0, 1, 2, 0, 1] * 2, np.int32)
ROWS = rows_of([[0.7, 0.2, 0.1], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4]])


def fake_run(folder: Path, content: bytes, *, status: int = 0, words: str = "") -> ScoringRun:
    """A fake llama-perplexity that writes `content` to its pipe, says `words` and ends with `status`."""
    program, stream = folder / "llama-perplexity", folder / "stream"
    stream.write_bytes(content)
    program.write_text(
        f"#!{sys.executable}\nimport sys\nprint({words!r})\n"
        "with open(sys.argv[sys.argv.index('--save-all-logits') + 1], 'wb') as pipe:\n"
        f"    pipe.write(open({str(stream)!r}, 'rb').read())\nsys.exit({status})\n"
    )
    program.chmod(0o755)
    text = folder / "text"
    text.write_text("text")
    return ScoringRun(program, small_plan(model_path="/m.gguf"), text, 8, 2, folder, dict(os.environ))


def test_chunks_come_with_the_tokens_they_predict(tmp_path: Path) -> None:
    run = fake_run(tmp_path, HEAD + TOKENS.tobytes() + 2 * ROWS.tobytes())
    with scored_text(run) as scored:
        assert scored.vocab_size == 3
        assert scored.num_scored == 3
        assert scored.num_bytes == 2 * ROWS.nbytes
        assert scored.targets(1).tolist() == [2, 0, 1]
        seen = [rows.copy() for rows in scored.chunks]
    assert len(seen) == 2
    assert (seen[1] == ROWS).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["llama-perplexity", "stream", "text"]


def test_the_program_runs_the_plan_one_chunk_at_a_time(tmp_path: Path) -> None:
    argv = fake_run(tmp_path, b"").argv(tmp_path / "pipe")
    pairs = dict(zip(argv[1::2], argv[2::2], strict=True))
    assert pairs["--model"] == "/m.gguf"
    assert pairs["--ctx-size"] == pairs["--batch-size"] == "8"
    assert pairs["--cache-type-k"] == pairs["--cache-type-v"]
    assert pairs["--chunks"] == "2"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 1),
        (b"GGUF....", 0),
        (b"_logits_" + struct.pack("<iii", 8, -3, 2), 0),
        (b"_logits_" + struct.pack("<iii", 8, 3, 2_000_000_000), 0),
        (HEAD + (TOKENS + 5).tobytes(), 0),
        (HEAD + TOKENS.tobytes() + ROWS.tobytes(), 0),
        (HEAD + TOKENS.tobytes() + 2 * ROWS.tobytes(), 9),
    ],
)
def test_a_stream_that_is_cut_or_no_stream_is_a_failure(tmp_path: Path, content: bytes, status: int) -> None:
    with (
        pytest.raises(EngineFailed),
        scored_text(fake_run(tmp_path, content, status=status, words="bad luck")) as scored,
    ):
        list(scored.chunks)


def test_its_last_words_say_why(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed) as failed, scored_text(fake_run(tmp_path, b"", status=1, words="out of luck")):
        pass
    assert "out of luck" in (failed.value.why or "")


def test_a_text_that_is_too_short_is_the_users_to_mend(tmp_path: Path) -> None:
    words = "perplexity: you need at least 1024 tokens to evaluate perplexity with a context of 512"
    with pytest.raises(RequestInvalid) as refused, scored_text(fake_run(tmp_path, HEAD[:12], words=words)):
        pass
    assert "--text" in (refused.value.hint or "")
    assert "1024" in (refused.value.why or "")


def test_an_engine_without_it_is_told_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(EngineMissing) as missing:
        find_program(tmp_path / "llama-server")
    assert "gemstead engine install" in (missing.value.hint or "")
    fake_run(tmp_path, b"")
    assert find_program(tmp_path / "llama-server") == tmp_path / "llama-perplexity"
