"""Measured memory bandwidth: what limits decoding on a processor.

A copy between arrays that do not fit the caches, as STREAM's `copy` counts it: bytes read plus bytes written, over the
median time. All usable cores take part; NumPy lets go of the interpreter lock while it copies. The threads' processor
time is taken, which holds the waiting for memory but not for a core that something else uses. Compared once with a C
program (OpenMP, -O3) on a two-core server: 0.84 of its copy rate, 0.91 of its read rate.
Source of the method: J. McCalpin, STREAM, https://www.cs.virginia.edu/stream/.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from gemstead.core.figures import Figure
from gemstead.core.units import MIB

_CHUNK_BYTES = 16 * MIB
_MIN_ARRAY_BYTES = 128 * MIB
_MAX_ARRAY_BYTES = 1024 * MIB
_MAX_RUNS = 7
_TIME_LIMIT_S = 0.8
_ERROR = 0.2


def measure_bandwidth(num_threads: int, last_level_cache_bytes: int | None, available_bytes: int) -> Figure | None:
    """Bytes per second, read and write together; None where a tenth of the memory is too little to measure with.

    Takes about a second: at most seven copies, none begun after 0.8 s.
    """
    import numpy as np

    array_bytes = min(max(4 * (last_level_cache_bytes or 0), _MIN_ARRAY_BYTES), _MAX_ARRAY_BYTES, available_bytes // 20)
    num_chunks = array_bytes // _CHUNK_BYTES
    if num_chunks < 1:
        return None
    source = np.ones((num_chunks, _CHUNK_BYTES), dtype=np.uint8)
    target = np.zeros_like(source)

    def copy(index: int) -> float:
        begin_s = time.thread_time()
        np.copyto(target[index], source[index])
        return time.thread_time() - begin_s

    with ThreadPoolExecutor(num_threads) as threads:
        durations_s: list[float] = []
        begin_s = time.perf_counter()
        while len(durations_s) < _MAX_RUNS and time.perf_counter() - begin_s < _TIME_LIMIT_S:
            durations_s.append(sum(threads.map(copy, range(num_chunks))) / min(num_threads, num_chunks))
    moved_bytes = 2 * num_chunks * _CHUNK_BYTES
    return Figure(moved_bytes / median(durations_s), "measured", _ERROR, f"NumPy copy, {num_threads} threads, median")
