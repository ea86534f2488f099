"""The same through the door: what a client saw begin, or end, is in the evidence of the server that was killed."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.overhead.__main__ import free_port, process, wait_listening
from benchmarks.overhead.door import MODEL
from benchmarks.overhead.governed import make_folder
from gemstead.evidence.verify import examine

NUM_CALLERS = 12
ANSWER_TOKENS = 12
GAP_S = 0.002
FIRST_ANSWER_S = 60.0


@dataclass
class Seen:
    """What the clients of one round saw, by request id."""

    begun: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    is_one_ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class DoorTotals:
    rounds: int = 0
    begun: int = 0
    ended: int = 0
    cuts: int = 0
    records: int = 0


class DoorSuite:
    """Kills doors over one data folder, `folder`, in front of the fake upstream, which goes on."""

    def __init__(self, folder: Path, upstream: Path, chance: random.Random) -> None:
        self._data = folder / "data"
        self._key = make_folder(self._data)
        self._upstream = upstream
        self._chance = chance
        self.totals = DoorTotals()

    def round(self) -> None:
        self.totals.rounds += 1
        seen, port = Seen(), free_port()
        argv = [sys.executable, "-m", "benchmarks.overhead.door", "--govern", "evidence", "--port", str(port)]
        door = subprocess.Popen(
            [*argv, "--upstream", str(self._upstream), "--data", str(self._data)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_listening("door", port, door)
            asyncio.run(self._call_and_kill(door, port, seen))
        finally:
            door.kill()
            door.wait()
        self._check(seen)

    async def _call_and_kill(self, door: subprocess.Popen[bytes], port: int, seen: Seen) -> None:
        callers = [asyncio.create_task(self._call_on(port, number, seen)) for number in range(NUM_CALLERS)]
        # One in five dies before its first answer has ended.
        if self._chance.random() < 0.8:
            async with asyncio.timeout(FIRST_ANSWER_S):
                await seen.is_one_ended.wait()
        await asyncio.sleep(self._chance.random() * 0.5)
        assert door.poll() is None, "the door ended by itself"
        door.send_signal(signal.SIGKILL)
        await asyncio.gather(*callers)

    async def _call_on(self, port: int, caller: int, seen: Seen) -> None:
        number = 0
        with suppress(OSError):
            while True:
                await self._call(port, f"{self.totals.rounds}-{caller}-{number}", seen)
                number += 1

    async def _call(self, port: int, request_id: str, seen: Seen) -> None:
        """Raises: OSError once nobody is there."""
        body = json.dumps(
            {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": f"Question {request_id}"}]}
        ).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with closing(writer):
            writer.write(
                f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {self._key}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
                "connection: close\r\n\r\n".encode()
                + body
            )
            received = b""
            while piece := await reader.read(65_536):
                received += piece
                assert received.startswith(b"HTTP/1.1 200"), received[:500]
                if b"data:" in received:
                    seen.begun.add(request_id)
                if b"[DONE]" in received:
                    seen.ended.add(request_id)
                    seen.is_one_ended.set()
        if request_id not in seen.ended:
            raise ConnectionResetError

    def _check(self, seen: Seen) -> None:
        report = examine(self._data / "evidence.db")
        assert report.is_clean, f"the chain does not verify: {report.findings[:3]}"
        with closing(sqlite3.connect(self._data / "evidence.db")) as connection:
            found = connection.execute("SELECT kind, exchange FROM records WHERE exchange IS NOT NULL").fetchall()
        opened = {exchange for kind, exchange in found if kind == "exchange.opened"}
        closed = {exchange for kind, exchange in found if kind == "exchange.closed"}
        assert seen.begun <= opened, f"answers began without a record: {list(seen.begun - opened)[:5]}"
        assert seen.ended <= closed, f"answers ended without a record: {list(seen.ended - closed)[:5]}"
        assert report.num_cuts == len(opened - closed), "the cuts that are shown are not those that there are"
        self.totals.begun += len(seen.begun)
        self.totals.ended += len(seen.ended)
        self.totals.cuts, self.totals.records = report.num_cuts, report.num_records


@contextmanager
def fake_upstream(folder: Path) -> Iterator[Path]:
    """An engine that computes nothing, and takes `GAP_S` for each of `ANSWER_TOKENS`."""
    port, socket_path = free_port(), folder / "upstream.sock"
    argv = [sys.executable, "-m", "benchmarks.overhead.fake_upstream", "--port", str(port)]
    argv += ["--socket", str(socket_path), "--tokens", str(ANSWER_TOKENS), "--gap-s", str(GAP_S)]
    with process("fake upstream", port, *argv):
        while not socket_path.exists():
            time.sleep(0.01)
        yield socket_path
