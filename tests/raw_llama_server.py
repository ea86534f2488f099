"""llama-server asked directly: what it makes of a chat, and which tokens it reads in a text."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from gemstead.core.types import ChatRequest
from gemstead.engines.kinds.llama_cpp import ENGINE

START_S = 120.0


class RawServer:
    """Raises httpx2.HTTPStatusError for anything but a 200."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def prompt_of(self, request: ChatRequest) -> str:
        return str(self._post("/apply-template", ENGINE.encode_chat(request))["prompt"])

    def tokens_of(self, text: str, *, parses_special: bool) -> list[int]:
        body = {"content": text, "add_special": False, "parse_special": parses_special}
        return [int(token) for token in self._post("/tokenize", body)["tokens"]]

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = self._client.post(path, json=body)
        reply.raise_for_status()
        decoded: dict[str, Any] = reply.json()
        return decoded


@contextmanager
def raw_llama_server(program: Path, model: Path, log: Path) -> Iterator[RawServer]:
    """Serves `model` on a loopback port until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [program, "--model", model, "--port", str(port), "--ctx-size", "512", "--parallel", "1", "--threads", "1"]
    with (
        log.open("wb") as output,
        subprocess.Popen([*argv, "--jinja", "--offline", "--no-webui"], stdout=output, stderr=output) as process,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60.0, trust_env=False) as client,
    ):
        try:
            _wait_ready(client, process)
            yield RawServer(client)
        finally:
            process.terminate()


def _wait_ready(client: httpx2.Client, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None, "llama-server ended at its start"
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx2.TransportError:
            pass  # it does not listen yet
        time.sleep(0.05)
    raise AssertionError(f"llama-server is not ready after {START_S} s")
