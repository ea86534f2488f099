"""Synthetic models in llama.cpp's own server: every variant loads, is what it says, and generates."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gemstead.catalog.gguf import read_gguf
from gemstead.catalog.shapes import GEMMA4_SHAPES, tiny_shape
from gemstead.catalog.synthetic import write_synthetic
from gemstead.catalog.tensors import weight_bytes
from gemstead.core.units import GIB, MIB

pytestmark = pytest.mark.real

START_LIMIT_S = 120
KEEP_VOCAB = 2048
TINY = [(variant, "q4_0") for variant in GEMMA4_SHAPES] + [
    (variant, quant)
    for variant in ("e2b", "26b-a4b")
    for quant in ("q4_k_m", "q8_0", "bf16", "q3_k_m", "q2_k", "iq2_m", "ggml-org/q4_0", "google-qat/q4_0")
]


class Served:
    """A running server: its log so far, and a chat reply with the log-probabilities of its tokens."""

    def __init__(self, url: str, log: Path) -> None:
        self._url = url
        self._log = log

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def chat(self, text: str) -> dict[str, Any]:
        body = {
            "messages": [{"role": "user", "content": text}],
            "max_tokens": 16,
            "temperature": 0,
            "logprobs": True,
            "chat_template_kwargs": {"enable_thinking": False},
        }
        reply = httpx2.post(f"{self._url}/v1/chat/completions", json=body, timeout=120)
        reply.raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer


@contextmanager
def served(program: Path, model: Path, log: Path) -> Iterator[Served]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    argv = [program, "-m", model, "--host", "127.0.0.1", "--port", port, "--jinja", "-c", 1024, "-np", 1, "-lv", 4]
    with log.open("wb") as output:
        process = subprocess.Popen([str(part) for part in argv], stdout=output, stderr=output)
    try:
        give_up_at = time.monotonic() + START_LIMIT_S
        while not is_ready(url):
            assert process.poll() is None, f"the server ended:\n{log.read_text(errors='replace')[-3000:]}"
            assert time.monotonic() < give_up_at, "the server was not ready in time"
            time.sleep(0.05)
        yield Served(url, log)
    finally:
        process.terminate()
        process.wait(30)


def is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health", timeout=2).status_code == 200
    except httpx2.TransportError:
        return False


def buffer_mib(log: str, kind: str) -> float:
    """MiB of the model buffer `kind` as the server logged it."""
    match = re.search(rf"{kind} model buffer size = *([\d.]+) MiB", log)
    assert match, log[-3000:]
    return float(match[1])


@pytest.mark.parametrize(("variant", "quant"), TINY)
def test_a_tiny_model_loads_and_generates(
    variant: str, quant: str, tmp_path: Path, llama_server: Path, vocab_gguf: Path
) -> None:
    model = tmp_path / "tiny.gguf"
    written = write_synthetic(tiny_shape(variant), quant, model, vocab_source=vocab_gguf, keep_vocab=KEEP_VOCAB)
    assert written.size_bytes < (24 if quant == "bf16" else 12) * MIB
    with served(llama_server, model, tmp_path / "server.log") as server:
        reply = server.chat("Why is the sky blue? naïve 漢字")
        log = server.log()
    assert reply["usage"]["completion_tokens"] == 16
    likelihoods = [token["logprob"] for token in reply["choices"][0]["logprobs"]["content"]]
    # Random weights know nothing: every token is about as likely as any other (ln 2400 = 7.8), none impossible.
    assert all(-9 < value < -3 for value in likelihoods), likelihoods
    assert len({token["token"] for token in reply["choices"][0]["logprobs"]["content"]}) > 1
    weights_mib = weight_bytes(written.shape(), quant) / MIB
    assert buffer_mib(log, "CPU_Mapped") == pytest.approx(weights_mib, abs=0.01)


def test_the_vocabulary_of_the_engine_is_read_fast_and_whole(vocab_gguf: Path) -> None:
    started_s = time.perf_counter()
    gguf = read_gguf(vocab_gguf)
    elapsed_s = time.perf_counter() - started_s
    assert elapsed_s < 0.5  # 0.07 s alone on a machine; tests share it
    assert (gguf.architecture, gguf.tokenizer) == ("gemma4", "gemma4")
    assert len(gguf.read_array("tokenizer.ggml.tokens")) == 262_144
    assert len(gguf.read_array("tokenizer.ggml.merges")) == 514_906
    assert gguf.chat_template is not None
    assert "<|turn>" in gguf.chat_template


def test_synthetic_e2b_is_e2b_to_the_engine(tmp_path: Path, llama_server: Path, vocab_gguf: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 6 * GIB:
        pytest.skip("needs 6 GiB of disk")
    model = tmp_path / "e2b.gguf"
    try:
        write_synthetic(GEMMA4_SHAPES["e2b"], "ggml-org/Q4_0", model, vocab_source=vocab_gguf)
        with served(llama_server, model, tmp_path / "server.log") as server:
            reply = server.chat("hi")
            log = server.log()
    finally:
        model.unlink(missing_ok=True)  # pytest keeps the folders of its last runs
    assert reply["usage"]["completion_tokens"] == 16
    assert re.search(r"model type += E2B", log)
    assert re.search(r"model params += 4\.63 B", log)
    expected_mib = weight_bytes(GEMMA4_SHAPES["e2b"], "ggml-org/Q4_0") / MIB
    assert buffer_mib(log, "CPU_Mapped") == pytest.approx(expected_mib, abs=0.01)
