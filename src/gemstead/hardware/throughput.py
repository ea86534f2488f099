"""Measured matrix throughput: what limits prefill on a processor.

Each usable core multiplies matrices of 32-bit floats in a process of its own, all at once, so that shared clocks and
caches count; the median product counts. Processor time is taken, not the clock on the wall: on a busy machine a core
that is taken away for a while does not look slow. An engine's quantized kernels reach a share of this that
`planner/calibration.toml` holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median

from gemstead.core.figures import Figure

_SIZE = 512
"""Three such matrices are 3 MiB: they stay in the caches, so that memory is not measured again."""

_MAX_RUNS = 40
_TIME_LIMIT_S = 0.5
_MAX_PROCESSES = 8
"""More cores than these are taken to be as fast."""

_ANSWER_TIMEOUT_S = 20.0
_ERROR = 0.1

_ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}
"""What the libraries behind NumPy read when they are loaded."""


def measure_matmul(num_cores: int) -> Figure | None:
    """Operations per second of `num_cores` cores together; None where NumPy's library does not answer. Takes a second.

    One process a core, as NumPy's library is told how many threads to use before it is loaded.
    """
    processes = [
        subprocess.Popen(
            (sys.executable, "-c", f"from {__name__} import print_rate; print_rate()"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(min(num_cores, _MAX_PROCESSES))
    ]
    rates = [rate for process in processes if (rate := _answer(process)) is not None]
    if not rates:
        return None
    source = f"NumPy product of {_SIZE}x{_SIZE} 32-bit floats, {num_cores} cores, processor time, median"
    return Figure(median(rates) * num_cores, "measured", _ERROR, source)


def print_rate() -> None:
    """What each process runs: operations per second of processor time, as one line on stdout."""
    os.environ.update(_ONE_THREAD)
    import numpy as np

    left = np.ones((_SIZE, _SIZE), dtype=np.float32)
    right, product = np.full_like(left, 0.5), np.empty_like(left)
    np.matmul(left, right, out=product)
    durations_s: list[float] = []
    begin_s = time.process_time()
    while len(durations_s) < _MAX_RUNS and time.process_time() - begin_s < _TIME_LIMIT_S:
        run_begin_s = time.process_time()
        np.matmul(left, right, out=product)
        durations_s.append(time.process_time() - run_begin_s)
    sys.stdout.write(f"{2 * _SIZE**3 / median(durations_s)}\n")


def _answer(process: subprocess.Popen[str]) -> float | None:
    try:
        out, _ = process.communicate(timeout=_ANSWER_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    try:
        return float(out)
    except ValueError:
        return None
