"""No engine outlives gemstead. Real processes, killed for real."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from gemstead.engines.leash import leashed

pytestmark = [pytest.mark.real, pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")]

PROMISE_S = 2.0
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
PARENT_OF = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"

GATEWAY = """
import subprocess, sys, time
leash = subprocess.Popen({argv!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
leash.stdout.readline()
print(leash.pid, flush=True)
time.sleep(60)
"""


def leash_argv(script: str, term_s: float = 5.0, orphan_s: float = 1.0) -> list[str]:
    return list(leashed((sys.executable, "-c", script), term_s, orphan_s))


def wait_until(condition: Callable[[], bool], limit_s: float) -> float:
    """Seconds until `condition` held. Fails after `limit_s`."""
    started_s = time.monotonic()
    while not condition():
        assert time.monotonic() - started_s < limit_s, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - started_s


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextlib.contextmanager
def gateway(script: str) -> Iterator[tuple[subprocess.Popen[str], psutil.Process, psutil.Process]]:
    """A stand-in for gemstead that holds an engine on its leash: (gateway, leash, engine)."""
    parent = subprocess.Popen(
        [sys.executable, "-c", GATEWAY.format(argv=leash_argv(script))], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    leash = psutil.Process(int(parent.stdout.readline()))
    (engine,) = leash.children()
    try:
        yield parent, leash, engine
    finally:
        parent.stdout.close()
        for process in (parent, leash, engine):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        parent.wait()


@pytest.mark.parametrize("script", [SLEEPER, DEAF], ids=["obedient", "deaf"])
def test_kill_9_of_gemstead_ends_the_engine_within_two_seconds(script: str) -> None:
    with gateway(script) as (parent, leash, engine):
        parent.send_signal(signal.SIGKILL)
        assert wait_until(lambda: is_gone(engine), PROMISE_S) < PROMISE_S
        wait_until(lambda: is_gone(leash), 1.0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_kill_9_of_the_leash_ends_the_engine() -> None:
    with gateway(DEAF) as (_, leash, engine):
        leash.send_signal(signal.SIGKILL)
        wait_until(lambda: is_gone(engine), PROMISE_S)


def test_a_stray_copy_of_the_pipe_does_not_keep_the_engine_alive() -> None:
    script = GATEWAY.format(argv=leash_argv(SLEEPER)).replace(
        "print(leash",
        "import os\nif not os.fork(): time.sleep(8); os._exit(0)\nprint(leash",
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    leash = psutil.Process(int(parent.stdout.readline()))
    (engine,) = leash.children()
    (stray,) = [child for child in psutil.Process(parent.pid).children() if child.pid != leash.pid]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    try:
        wait_until(lambda: is_gone(engine), PROMISE_S)
    finally:
        stray.kill()


def start(script: str, **options: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        leash_argv(script, **options), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def finish(process: subprocess.Popen[str]) -> int:
    status = process.wait(10)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    return status


def test_sigterm_ends_the_engine_and_its_children() -> None:
    process = start(PARENT_OF.format(child=SLEEPER))
    engine = psutil.Process(process.pid).children()[0]
    (grandchild,) = engine.children()
    process.terminate()
    assert finish(process) == 128 + signal.SIGTERM
    wait_until(lambda: is_gone(grandchild), 1.0)


def test_an_engine_deaf_to_sigterm_is_killed_after_its_grace() -> None:
    process = start(DEAF, term_s=0.3)
    process.terminate()
    assert finish(process) == 128 + signal.SIGKILL


@pytest.mark.parametrize(("script", "status"), [("print(1)", 0), ("print(1); raise SystemExit(7)", 7)])
def test_the_engines_status_is_the_leashs(script: str, status: int) -> None:
    assert finish(start(script)) == status


def test_an_engine_killed_by_a_signal_is_told_as_128_and_the_signal() -> None:
    assert finish(start("import os; print(1, flush=True); os.kill(os.getpid(), 11)")) == 128 + 11


def test_a_program_that_cannot_run_is_said_with_its_name(tmp_path: Path) -> None:
    result = subprocess.run(
        leashed((str(tmp_path / "absent"),), 1, 1), capture_output=True, text=True, check=False, stdin=subprocess.PIPE
    )
    assert result.returncode == 127
    assert f"cannot start {tmp_path / 'absent'}" in result.stderr


def test_a_leash_costs_little() -> None:
    """An idle engine is not worth a core: the leash wakes a few times a second."""
    with gateway(SLEEPER) as (_, leash, _engine):
        before = leash.cpu_times()
        time.sleep(1.0)
        after = leash.cpu_times()
        assert (after.user + after.system) - (before.user + before.system) < 0.05
        assert leash.memory_info().rss < 40 * 1024**2
