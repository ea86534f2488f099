"""Runs an engine and ends it when gemstead is gone: no engine outlives its gateway, not even after `kill -9`.

    python -I -S leash.py --term-s 10 --orphan-s 1 -- ENGINE ARGUMENTS...

Standard library only, and run as a file of its own: it must start in milliseconds and survive whatever gemstead does.

- gemstead gone (its end of our stdin is closed, or we were given a new parent): SIGTERM to the engine, SIGKILL after
  `--orphan-s`.
- SIGTERM to this program: SIGTERM to the engine, SIGKILL after `--term-s`. This is how gemstead stops it.
- this program killed by SIGKILL: on Linux the kernel kills the engine (PR_SET_PDEATHSIG). macOS has no such thing: an
  engine whose leash is killed by hand stays there.

The engine gets a process group of its own, which is ended as a whole. Exit status: the engine's, or 128 + its signal.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

PR_SET_PDEATHSIG = 1
OOM_SCORE_ADJ = "300"
"""When memory runs out the kernel takes the engine, which can be restarted, before the gateway."""
POLL_S = 0.25
"""How often the parent is looked at, in case a stray copy of the pipe keeps it open."""


def leashed(argv: Sequence[str], term_s: float, orphan_s: float) -> tuple[str, ...]:
    """`argv` behind this program, run by the same Python."""
    options = ("--term-s", str(term_s), "--orphan-s", str(orphan_s), "--")
    return (sys.executable, "-I", "-S", __file__, *options, *argv)


def die_with(parent_pid: int) -> None:
    """In the child, before exec: ask for SIGKILL when the leash dies; leave at once if it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:  # noqa: PTH123
            score.write(OOM_SCORE_ADJ)
        if os.getppid() != parent_pid:
            os._exit(1)


class Leash:
    """One engine: waits for its end, ours, or an order to stop."""

    def __init__(self, argv: list[str], term_s: float, orphan_s: float) -> None:
        self.term_s = term_s
        self.orphan_s = orphan_s
        self.is_told_to_stop = False
        self.kill_at: float | None = None
        self.parent_pid = os.getppid()
        signal.signal(signal.SIGTERM, self.on_sigterm)
        # Without a handler SIGCHLD is dropped and would not wake `select`.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self.wake, wake_end = os.pipe()
        os.set_blocking(wake_end, False)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        pid = os.getpid()
        self.engine = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=lambda: die_with(pid),  # noqa: PLW1509 this program has one thread
        )

    def on_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        self.is_told_to_stop = True

    def run(self) -> int:
        watched = [0, self.wake]
        while self.engine.poll() is None:
            ready, _, _ = select.select(watched, [], [], POLL_S)
            if self.wake in ready:
                os.read(self.wake, 512)
            if 0 in ready and not os.read(0, 512):
                watched = [self.wake]
                self.end(self.orphan_s)
            if os.getppid() != self.parent_pid:
                self.end(self.orphan_s)
            if self.is_told_to_stop:
                self.end(self.term_s)
            if self.kill_at is not None and time.monotonic() >= self.kill_at:
                self.signal_group(signal.SIGKILL)
        self.signal_group(signal.SIGKILL)
        status = self.engine.returncode
        return status if status >= 0 else 128 - status

    def end(self, grace_s: float) -> None:
        """SIGTERM once; the shorter grace wins when gemstead dies while it stops the engine."""
        kill_at = time.monotonic() + grace_s
        if self.kill_at is None:
            self.signal_group(signal.SIGTERM)
            self.kill_at = kill_at
        self.kill_at = min(self.kill_at, kill_at)

    def signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
            os.killpg(self.engine.pid, number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="leash")
    parser.add_argument("--term-s", type=float, required=True)
    parser.add_argument("--orphan-s", type=float, required=True)
    parser.add_argument("argv", nargs="+")
    options = parser.parse_args()
    try:
        leash = Leash(options.argv, options.term_s, options.orphan_s)
    except (OSError, subprocess.SubprocessError) as exc:
        sys.stderr.write(f"leash: cannot start {options.argv[0]}: {exc}\n")
        return 127
    return leash.run()


if __name__ == "__main__":
    sys.exit(main())
