"""The pure parts of supervision: restart delays, errors from exits, logs, run folders."""

import os
import signal
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.core.errors import EngineFailed
from gemstead.engines.engine_log import TAIL_LINES, EngineLog
from gemstead.engines.failures import crash_limit_error, describe_status, exit_error
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.engines.llama_cpp_failures import diagnose
from gemstead.engines.restarts import RestartPolicy, restart_delay_s
from gemstead.engines.run_dir import KEY_TAIL, make_private, new_endpoint

POLICY = RestartPolicy(max_restarts=3, window_s=300, first_delay_s=1, max_delay_s=3)


def test_the_wait_doubles_up_to_its_bound_and_then_it_gives_up() -> None:
    crashes: list[float] = []
    delays = []
    for now_s in (10.0, 20.0, 30.0, 40.0):
        crashes.append(now_s)
        delays.append(restart_delay_s(POLICY, crashes, now_s))
    assert delays == [1, 2, 3, None]


def test_crashes_before_the_window_are_forgotten() -> None:
    assert restart_delay_s(POLICY, [0.0, 1.0, 2.0, 400.0], 400.0) == 1


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=10))
def test_one_more_crash_never_shortens_the_wait(times: list[float]) -> None:
    now_s = max(times)
    fewer, more = restart_delay_s(POLICY, times[1:], now_s), restart_delay_s(POLICY, times, now_s)
    assert more is None or (fewer is not None and more >= fewer)


@pytest.mark.parametrize(
    ("status", "text"), [(1, "exit status 1"), (137, "killed by SIGKILL"), (255, "exit status 255")]
)
def test_a_status_is_said_in_words(status: int, text: str) -> None:
    assert describe_status(status) == text


@pytest.mark.parametrize(
    ("status", "lines", "why"),
    [
        (137, [], "memory ran out"),
        (128 + signal.SIGILL, [], "another CPU"),
        (1, ["E error loading model: unknown model architecture: 'gemma9'"], "does not know the architecture"),
        (1, ["ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 9"], "not enough memory"),
        (1, ["CUDA error: out of memory"], "not enough memory"),
        (1, ["gguf_init_from_file: invalid magic characters: 'PK'"], "damaged"),
        (1, ["tensor 'x' data is not within the file bounds, model is corrupted or incomplete"], "damaged"),
        (1, ["error: invalid argument: --reasoning"], "does not know a flag"),
        (1, ["couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080"], "could not listen"),
        (127, ["error while loading shared libraries: libggml.so"], "library"),
    ],
)
def test_a_known_cause_becomes_a_reason_and_a_hint(status: int, lines: list[str], why: str) -> None:
    error = exit_error(ENGINE, "gemma4:e2b", status, ["starting", *lines], Path("/l"))
    assert why in str(error.why)
    assert error.hint
    assert "/l" not in error.hint


def test_an_unknown_cause_shows_the_last_words_and_the_log() -> None:
    error = exit_error(ENGINE, "m", 1, [f"line {number}" for number in range(20)], Path("/logs/e.log"))
    assert error.why == "line 15\nline 16\nline 17\nline 18\nline 19"
    assert error.hint == "its log is /logs/e.log"
    assert diagnose(["all is well"]) is None


def test_giving_up_says_how_often_it_crashed() -> None:
    error = crash_limit_error(EngineFailed("it ended", why="w", hint="h"), POLICY)
    assert error.what == "it ended, more than 3 times within 5 min 00 s"
    assert (error.why, error.hint) == ("w", "h")


def test_a_log_never_grows_past_two_files_of_its_bound(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "logs" / "e.log", max_bytes=1000)
    log.begin()
    for number in range(100):
        log.write(b"line %d " % number + b"x" * 90 + b"\n")
    log.close()
    sizes = [path.stat().st_size for path in (tmp_path / "logs").iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= 1000
    assert stat.S_IMODE((tmp_path / "logs" / "e.log").stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_does_not_stop_the_tail(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "logs" / "e.log", max_bytes=10)
    log.begin()
    log.write(b"first\n")
    (tmp_path / "logs").rename(tmp_path / "elsewhere")
    (tmp_path / "logs").write_text("a file where the folder was")
    log.write(b"too long for what is left\n")
    log.close()
    assert log.tail == ["first", "too long for what is left"]


def test_the_tail_is_whole_lines_whatever_the_cut(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "e.log")
    for part in (b"fir", b"st\nsec", b"ond\n\xff bad\nrest"):
        log.write(part)
    log.close()
    assert log.tail == ["first", "second", "� bad", "rest"]


def test_the_tail_is_bounded(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "e.log")
    log.write(b"x\n" * 1000 + b"y" * 100_000)
    log.close()
    assert len(log.tail) == TAIL_LINES + 1
    assert len(log.tail[-1]) <= 4096


def test_a_new_start_begins_a_new_file_and_keeps_the_last(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "e.log")
    for text in (b"one", b"two", b"three"):
        log.begin()
        log.write(text)
    log.close()
    assert (tmp_path / "e.log").read_bytes() == b"three"
    assert (tmp_path / "e.log.1").read_bytes() == b"two"


def test_a_run_folder_is_made_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    make_private(folder)
    folder.chmod(0o755)
    make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_endpoint_is_a_fresh_socket_with_a_fresh_key(tmp_path: Path) -> None:
    short = Path("/tmp/g")
    first, second = new_endpoint(short), new_endpoint(short)
    assert first.socket_path is not None
    assert first.socket_path.suffix == ".sock"
    assert first.socket_path != second.socket_path
    assert first.api_key != second.api_key
    assert first.api_key[-4:] == KEY_TAIL
    assert len(first.api_key) > 40


@pytest.mark.parametrize("folder", [Path("/" + "d" * 120), Path("/tmp/a,b")])
def test_a_path_no_socket_can_have_becomes_a_loopback_port(folder: Path) -> None:
    endpoint = new_endpoint(folder)
    assert endpoint.socket_path is None
    assert endpoint.host == "127.0.0.1"
    assert endpoint.port


def test_a_socket_path_fits_the_systems_bound() -> None:
    folder = Path("/" + "d" * 85)
    endpoint = new_endpoint(folder)
    assert endpoint.socket_path is not None
    assert len(os.fsencode(endpoint.socket_path)) < 104
