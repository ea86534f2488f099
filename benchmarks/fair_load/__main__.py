"""Fifty keys at one door, one of them with 100 callers where the others have one, all asking without a pause.

Prints the tokens of all answers, key by key, against what the door has in its database after it stopped (equal to the
token), and against the heavy key's limit (never above); Jain's fairness index of the light keys; every answer that is
neither 200 nor 429; the door's memory over time. The engine is fake: it computes nothing, and takes as long for each
answer as its flags say.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import psutil
import uvloop

from benchmarks.overhead.__main__ import free_port, process
from benchmarks.overhead.load import QUESTION
from gemstead.access.key_store import KeyStore
from gemstead.access.pepper import ensure_pepper
from gemstead.access.records import KeyFields
from gemstead.store.database import open_database

NUM_LIGHT = 49
NUM_HEAVY_CALLERS = 100
ANSWER_TOKENS = 32
GAP_S = 0.001
SLOTS = 8
TOKENS_A_CALL = 200 + ANSWER_TOKENS
"""As the fake upstream says."""
MOST_GROWTH = 0.05
"""Of the door's memory once it is warm."""

PAUSE_S = 0.5
"""After a 429: who is refused asks again soon, and not at once."""

POLICY = """\
version = 1
[[rules]]
id = "everybody"
effect = "allow"
[rules.limits]
tokens_per_day = 10_000_000_000
requests_per_minute = 1_000_000

[[rules]]
id = "heavy"
effect = "allow"
groups = ["heavy"]
[rules.limits]
tokens_per_day = {heavy_tokens}
"""


class Tally:
    """What the callers of one key have got."""

    def __init__(self) -> None:
        self.num_tokens = 0
        self.statuses: Counter[int] = Counter()
        self.latencies_s: list[float] = []


class Asker:
    """One caller on one kept connection; every second answer is streamed."""

    def __init__(self, port: int, key: str, tally: Tally) -> None:
        self.port = port
        self.tally = tally
        self.requests = [self._request(key, is_stream=is_stream) for is_stream in (False, True)]
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask_until(self, end_s: float) -> None:
        """Raises: OSError, IncompleteReadError if the door goes away."""
        number = 0
        try:
            while time.perf_counter() < end_s:
                number += 1
                await self._ask(self.requests[number % 2])
        finally:
            if self.writer is not None:
                self.writer.close()

    async def _ask(self, request: bytes) -> None:
        begin_s = time.perf_counter()
        status, body = await self._call(request)
        self.tally.statuses[status] += 1
        if status == 200:
            self.tally.latencies_s.append(time.perf_counter() - begin_s)
            self.tally.num_tokens += int(re.findall(rb'"total_tokens":\s*(\d+)', body)[-1])
        else:
            await asyncio.sleep(PAUSE_S)

    async def _call(self, request: bytes) -> tuple[int, bytes]:
        if self.reader is None or self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        if b"transfer-encoding: chunked" in head:
            body = await self.reader.readuntil(b"\r\n0\r\n\r\n")
        else:
            body = await self.reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n", 1)[0]))
        if b"connection: close" in head:
            self.writer.close()
            self.reader = self.writer = None
        return int(head.split(b" ", 2)[1]), body

    def _request(self, key: str, *, is_stream: bool) -> bytes:
        asked = {
            "model": "fake",
            "messages": [{"role": "user", "content": QUESTION}],
            "max_tokens": ANSWER_TOKENS,
            "stream": is_stream,
        } | ({"stream_options": {"include_usage": True}} if is_stream else {})
        body = json.dumps(asked).encode()
        lines = [
            "POST /v1/chat/completions HTTP/1.1",
            f"host: 127.0.0.1:{self.port}",
            "content-type: application/json",
            f"authorization: Bearer {key}",
            f"content-length: {len(body)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def jain(shares: list[int]) -> float:
    """1: all got the same; 1/n: one got all. Source: Jain, Chiu, Hawe 1984."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


def make_keys(data: Path) -> list[tuple[str, str]]:
    """(id, key) of each; the heavy one is the first."""
    connection = open_database(data / "gemstead.db").raw()
    store = KeyStore(connection, lambda: ensure_pepper(data / "pepper", None))
    groups = [("heavy",), *[("light",)] * NUM_LIGHT]
    made = [
        store.create(KeyFields(name=f"k{number}", groups=group), now_s=time.time(), created_by="benchmark")[0]
        for number, group in enumerate(groups)
    ]
    connection.close()
    return [(key.id, key.text) for key in made]


def charged(data: Path) -> dict[str, int]:
    """Tokens by key, as the door has written them at its end."""
    connection = open_database(data / "gemstead.db").raw()
    rows = connection.execute("SELECT bucket, level FROM limit_marks WHERE bucket LIKE 'everybody/%/tokens_per_day'")
    found = {bucket.split("/")[2]: level for bucket, level in rows}
    connection.close()
    return found


async def run(asked: argparse.Namespace) -> int:
    heavy_limit = int(asked.minutes * 60 * 2.5) * TOKENS_A_CALL + 100
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        data = Path(name)
        (data / "policy.toml").write_text(POLICY.format(heavy_tokens=heavy_limit))
        keys = make_keys(data)
        upstream, socket_path, port = free_port(), data / "up.sock", free_port()
        module = [sys.executable, "-m"]
        fake = ["benchmarks.overhead.fake_upstream", "--tokens", str(ANSWER_TOKENS), "--gap-s", str(GAP_S)]
        stack.enter_context(
            process("fake", upstream, *module, *fake, "--port", str(upstream), "--socket", str(socket_path))
        )
        door = [*module, "benchmarks.fair_load.door", "--upstream", str(socket_path), "--data", str(data)]
        pid = stack.enter_context(process("door", port, *door, "--port", str(port), "--slots", str(SLOTS)))
        tallies = {key_id: Tally() for key_id, _ in keys}
        seconds = asked.minutes * 60
        memory = asyncio.create_task(watch_memory(pid, seconds))
        end_s = time.perf_counter() + seconds
        heavy = [Asker(port, keys[0][1], tallies[keys[0][0]]) for _ in range(NUM_HEAVY_CALLERS)]
        light = [Asker(port, key, tallies[key_id]) for key_id, key in keys[1:]]
        await asyncio.gather(*[asker.ask_until(end_s) for asker in (*heavy, *light)])
        samples = await memory
        os.kill(pid, signal.SIGTERM)
        await asyncio.to_thread(psutil.Process(pid).wait, 60) if psutil.pid_exists(pid) else None
        return report(asked, keys, tallies, charged(data), samples, heavy_limit)


async def watch_memory(pid: int, seconds: float) -> list[float]:
    """PSS in MiB, eleven times over the run."""
    door, samples = psutil.Process(pid), []
    for tenth in range(11):
        samples.append(door.memory_full_info().pss / 2**20)
        if tenth < 10:
            await asyncio.sleep(seconds / 10)
    return samples


def report(
    asked: argparse.Namespace,
    keys: list[tuple[str, str]],
    tallies: dict[str, Tally],
    booked: dict[str, int],
    samples: list[float],
    heavy_limit: int,
) -> int:
    heavy, light = tallies[keys[0][0]], [tallies[key_id] for key_id, _ in keys[1:]]
    statuses = sum((tally.statuses for tally in tallies.values()), Counter[int]())
    wrong = {key_id: (tally.num_tokens, booked.get(key_id)) for key_id, tally in tallies.items()}
    wrong = {key_id: pair for key_id, pair in wrong.items() if pair[0] != pair[1]}
    fairness = jain([tally.num_tokens for tally in light])
    others = {status: count for status, count in statuses.items() if status not in (200, 429)}
    light_s = sorted(one for tally in light for one in tally.latencies_s)
    print(f"{platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()}, {asked.minutes} min")
    rate = statuses[200] / asked.minutes / 60
    print(f"answers             {statuses[200]}, {rate:.0f}/s, and {statuses[429]} times 429")
    print(f"other errors        {others or 'none'}")
    print(f"tokens charged      equal to those of the answers for {len(tallies) - len(wrong)} of {len(tallies)} keys")
    for key_id, (got, counted) in wrong.items():
        print(f"                    {key_id}: answers {got}, charged {counted}")
    print(f"heavy key           {heavy.num_tokens} of {heavy_limit} tokens, {heavy.statuses[200]} answers")
    shares = [tally.num_tokens for tally in light]
    print(f"light keys          {min(shares)} to {max(shares)} tokens, Jain's index {fairness:.4f}")
    p50, p99 = statistics.median(light_s), light_s[len(light_s) * 99 // 100]
    print(f"light latency       p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms")
    print(f"door's PSS, MiB     {' '.join(f'{sample:.1f}' for sample in samples)}")
    growth = samples[-1] / samples[2] - 1
    print(f"                    {growth:+.1%} from the second tenth to the end")
    is_bad = bool(wrong or others) or fairness < 0.95 or heavy.num_tokens > heavy_limit
    return int(is_bad or (asked.minutes >= 5 and growth > MOST_GROWTH))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    sys.exit(uvloop.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
