"""Runs the small programs that describe hardware, and never lets one of them hang or fail the probe."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

TIMEOUT_S = 5.0
"""Drivers that wake a sleeping GPU take up to three seconds to answer."""


class ProbeFailed(Exception):
    """One probe found nothing out; its text is a sentence for the notes. It never leaves this room."""


def has_program(name: str) -> bool:
    return shutil.which(name) is not None


def read_program(argv: Sequence[str], timeout_s: float = TIMEOUT_S) -> str:
    """What the program prints.

    Raises: ProbeFailed if it is not there, fails or does not end within `timeout_s`.
    """
    try:
        done = subprocess.run(
            list(argv),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as exc:
        raise ProbeFailed(f"{argv[0]} is not installed") from exc
    except subprocess.TimeoutExpired as exc:
        raise ProbeFailed(f"{argv[0]} did not answer within {timeout_s:g} s") from exc
    except subprocess.CalledProcessError as exc:
        lines = (exc.stderr or exc.stdout or "").strip().splitlines()
        raise ProbeFailed(f"{argv[0]} failed: {lines[0] if lines else f'exit status {exc.returncode}'}") from exc
    except OSError as exc:
        raise ProbeFailed(f"{argv[0]} could not be started: {exc.strerror}") from exc
    return done.stdout
