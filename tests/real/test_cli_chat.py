"""`gemstead chat` at a terminal: a pseudo terminal, real keys, the real engine."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("journey")]

LIMIT_S = 120.0


class Terminal:
    """A program with a terminal of its own."""

    def __init__(self, argv: list[str], environ: dict[str, str]) -> None:
        self.seen = ""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, environ)

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def wait_for(self, text: str) -> str:
        """What was shown up to and with `text`; the next wait goes on after it."""
        deadline = time.monotonic() + LIMIT_S
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen!r}"
            if select.select([self._fd], [], [], 1.0)[0]:
                try:
                    self.seen += os.read(self._fd, 65536).decode("utf-8", "replace")
                except OSError:  # the program closed the terminal
                    assert text in self.seen, f"it ended without {text!r}: {self.seen!r}"
        shown, _, self.seen = self.seen.partition(text)
        return shown + text

    def wait_end(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self._fd)


@pytest.fixture
def terminal(tmp_path: Path, llama_server: Path, smollm2: Path) -> Iterator[Terminal]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GEMSTEAD_")}
    environ = inherited | {
        "GEMSTEAD_DATA_DIR": str(tmp_path),
        "GEMSTEAD_ENGINE_PROGRAM": str(llama_server),
        "TERM": "xterm",
        "PROMPT_TOOLKIT_NO_CPR": "1",
    }
    gemstead = [sys.executable, "-m", "gemstead"]
    imported = [*gemstead, "models", "import", str(smollm2), "--name", "smollm2:135m", "--how", "link"]
    assert os.spawnve(os.P_WAIT, imported[0], imported, environ) == 0
    terminal = Terminal([*gemstead, "chat", "--model", "smollm2:135m", "--context", "4096"], environ)
    yield terminal
    terminal.close()


def test_ctrl_c_stops_the_reply_and_the_conversation_goes_on(terminal: Terminal) -> None:
    terminal.wait_for("/help lists the commands.")
    terminal.wait_for(">")
    terminal.type("Write a story of two thousand words.\r")
    terminal.wait_for("words.")
    time.sleep(2.0)
    terminal.type("\x03")
    terminal.wait_for("[stopped]")
    terminal.wait_for(">")
    terminal.type("/help\r")
    terminal.wait_for("continue with another model")
    terminal.type("/quit\r")
    assert terminal.wait_end() == 0


def test_ctrl_d_at_the_prompt_leaves(terminal: Terminal) -> None:
    terminal.wait_for("/help lists the commands.")
    terminal.wait_for(">")
    terminal.type("\x04")
    assert terminal.wait_end() == 0
