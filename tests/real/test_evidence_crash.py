"""The evidence on a real disk: kills, a full disk, a power-safe commit, a second place that answers by HTTP."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from benchmarks.crash_suite.door_rounds import DoorSuite, fake_upstream
from benchmarks.crash_suite.rounds import Suite
from evidence_parts import chain_break, kinds, ledger_in, links, notes, query, record
from gemstead.evidence.ledger import LedgerOptions
from gemstead.evidence.verify import examine

pytestmark = pytest.mark.real

FILL = """
import resource, sys
from pathlib import Path
from evidence_parts import ledger_in, record
from gemstead.core.errors import EvidenceUnavailable
folder = Path(sys.argv[1])
with ledger_in(folder) as ledger:
    ledger.write_now(record(0))
    # No file of this process grows beyond this: to SQLite, a full disk.
    size = max(file.stat().st_size for file in folder.glob("evidence.db*"))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, hard))
    written, refused = 0, 0
    while not refused:
        try:
            ledger.write_now({**record(written), "text": "x" * 4000})
            written += 1
        except EvidenceUnavailable as exc:
            refused += 1
            print(exc.what, file=sys.stderr)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    ledger.write_now(record(-1))
    print(written)
"""


def test_nothing_acknowledged_is_missing_after_kills_at_random_moments(tmp_path: Path) -> None:
    suite = Suite(tmp_path, random.Random(3))
    for _ in range(6):
        suite.round()
    suite.finish()
    assert suite.totals.acknowledged > 0
    assert suite.totals.cuts > 0


def test_what_a_client_saw_of_an_answer_is_in_the_evidence_of_a_door_that_was_killed(tmp_path: Path) -> None:
    with fake_upstream(tmp_path) as upstream:
        suite = DoorSuite(tmp_path, upstream, random.Random(3))
        for _ in range(3):
            suite.round()
    assert suite.totals.ended > 0
    assert suite.totals.cuts > 0


def test_a_full_disk_refuses_and_once_there_is_room_the_chain_goes_on(tmp_path: Path) -> None:
    filling = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path)], capture_output=True, text=True, check=True, env=_with_parts()
    )
    written = int(filling.stdout)
    assert written > 0
    assert "cannot be written" in filling.stderr
    assert chain_break(tmp_path) is None
    assert len(links(tmp_path)) == 1 + 1 + written + 1
    assert kinds(tmp_path)[0] == "evidence.begun"
    assert examine(tmp_path / "evidence.db").is_clean


def _with_parts() -> dict[str, str]:
    import os

    paths = [str(Path(__file__).parents[1]), *sys.path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


class _Place(BaseHTTPRequestHandler):
    """Refuses the first note that it is sent."""

    received: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        is_first = not self.received
        self.received.append(body)
        self.send_response(503 if is_first else 201)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def second_place() -> Iterator[tuple[str, list[str]]]:
    received: list[str] = []
    handler = type("Place", (_Place,), {"received": received})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/notes", received
        finally:
            server.shutdown()
            thread.join()


def test_checkpoints_are_sent_by_http_again_until_they_are_taken(tmp_path: Path) -> None:
    with second_place() as (address, received):
        with ledger_in(tmp_path, LedgerOptions(second_place=address, checkpoint_every=2)) as ledger:
            for number in range(4):
                ledger.write_now(record(number))
            deadline_s = time.monotonic() + 30
            while not received and time.monotonic() < deadline_s:
                time.sleep(0.01)
        delivered = ledger.health().second_place
    assert delivered is not None
    assert (delivered.waiting, delivered.failures, delivered.last_error) == (0, 1, None)
    assert received[1:] == notes(tmp_path)
    assert examine(tmp_path / "evidence.db", elsewhere=[("sent", "\n".join(received))]).is_clean


def test_an_address_where_nobody_is_holds_up_nothing_but_the_end_and_that_not_for_long(tmp_path: Path) -> None:
    options = LedgerOptions(second_place="http://127.0.0.1:9/notes", checkpoint_every=2)
    with ledger_in(tmp_path, options) as ledger:
        for number in range(6):
            assert ledger.write_now(record(number)) == number + 1
    delivered = ledger.health().second_place
    assert delivered is not None
    assert delivered.waiting == len(notes(tmp_path)) > 0


def test_a_ledger_that_is_killed_while_a_command_writes_leaves_one_chain(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from evidence_parts import ledger_in, record\n"
        "with ledger_in(Path(sys.argv[1])) as ledger:\n"
        "    while True: print(ledger.write_now(record(1)), flush=True)\n"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=_with_parts()
        )
        for _ in range(2)
    ]
    told: list[int] = []
    for writer in writers:
        assert writer.stdout is not None
        told += [int(writer.stdout.readline()) for _ in range(20)]
    for writer in writers:
        writer.kill()
        told += [int(line) for line in writer.stdout or () if line.endswith("\n")]
        writer.wait()
        if writer.stdout is not None:
            writer.stdout.close()
    assert len(set(told)) == len(told)
    assert chain_break(tmp_path) is None
    assert len(links(tmp_path)) > max(told)


def test_where_a_reader_holds_the_log_open_the_writer_makes_it_safe_itself(tmp_path: Path) -> None:
    with ledger_in(tmp_path) as ledger:
        reader = sqlite3.connect(tmp_path / "evidence.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM records").fetchone()
        ledger.write_now(record(1))
        deadline_s = time.monotonic() + 30
        # The number that a sync of the writer's own leaves behind.
        while not query(tmp_path, "PRAGMA user_version")[0][0]:
            assert time.monotonic() < deadline_s, "it was never synced"
            time.sleep(0.01)
        reader.close()
        assert ledger.health().failures == 0
