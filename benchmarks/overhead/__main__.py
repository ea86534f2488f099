"""What the door adds, beside a bare proxy and a peer, interleaved in one run; see docs/benchmarks.md.

python -m benchmarks.overhead                     # the door, its stages one by one, a bare proxy
python -m benchmarks.overhead --portkey FOLDER    # and Portkey's gateway, installed there by npm
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import uvloop

from benchmarks.overhead.door import STAGES
from benchmarks.overhead.load import Caller, Target, all_at_once, one_after_another, streams_at_once
from gemstead.api.server import listen

NUM_STREAMS = 50
NUM_TOKENS = 16
GAP_S = 0.03
"""Between the tokens of a paced stream: 33 tok/s each, as a small model decodes."""


def free_port() -> int:
    with listen("127.0.0.1", 0) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def process(name: str, port: int, *argv: str) -> Iterator[int]:
    """A child that listens on `port`; gives its process id and ends it on the way out."""
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_listening(name, port, child)
        yield child.pid
    finally:
        child.kill()
        child.wait()


def wait_listening(name: str, port: int, child: subprocess.Popen[bytes]) -> None:
    give_up_s = time.monotonic() + 30
    while time.monotonic() < give_up_s and child.poll() is None:
        connections = psutil.Process(child.pid).net_connections()
        if any(conn.laddr.port == port and conn.status == psutil.CONN_LISTEN for conn in connections):
            return
        time.sleep(0.05)
    raise SystemExit(f"error: {name} does not listen on port {port}")


def start_all(stack: ExitStack, folder: Path, portkey: Path | None, gap_s: float) -> list[Target]:
    """The fake upstream itself first: every other target is compared with it."""
    upstream, socket_path = free_port(), folder / f"upstream-{gap_s}.sock"
    module = [sys.executable, "-m"]
    fake = [*module, "benchmarks.overhead.fake_upstream", "--tokens", str(NUM_TOKENS), "--gap-s", str(gap_s)]
    stack.enter_context(
        process("fake upstream", upstream, *fake, "--port", str(upstream), "--socket", str(socket_path))
    )
    targets = [Target("direct", upstream)]
    doors: dict[str, tuple[str, ...]] = {"door": (), "door, new connections": ("--new-connections",)}
    if not gap_s:
        doors |= {f"door without {stage}": ("--without", stage) for stage in STAGES}
    for name, flags in doors.items():
        argv = [*module, "benchmarks.overhead.door", "--upstream", str(socket_path), *flags]
        targets.append(start_target(stack, name, argv, ["--port"]))
    bare = [*module, "benchmarks.overhead.bare_proxy", "--upstream", str(socket_path)]
    targets.append(start_target(stack, "bare proxy", bare, ["--port"]))
    if portkey is not None:
        script = portkey / "node_modules/@portkey-ai/gateway/build/start-server.js"
        headers = {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1",
            "authorization": "Bearer none",
        }
        target = start_target(stack, "Portkey", ["node", str(script), "--headless"], None)
        # 1.15.2 as npm installs it answers every stream with status 500 ("TypeError: immutable" in its log).
        targets.append(Target("Portkey", target.port, headers, target.pids, can_stream=False))
    return targets


def start_target(stack: ExitStack, name: str, argv: list[str], port_flag: list[str] | None) -> Target:
    port = free_port()
    last = [*port_flag, str(port)] if port_flag else [f"--port={port}"]
    pid = stack.enter_context(process(name, port, *argv, *last))
    return Target(name, port, pids=(pid,))


async def wait_answering(targets: list[Target]) -> None:
    """A process that listens may not be ready for its first call: Portkey's gateway is not."""
    for target in targets:
        for attempt in range(50):
            caller = Caller(target)
            try:
                await caller.call()
                break
            except RuntimeError:
                if attempt == 49:
                    raise
                await asyncio.sleep(0.1)
            finally:
                caller.close()


async def latencies(targets: list[Target], rounds: int, *, is_stream: bool) -> dict[str, list[float]]:
    """Seconds of each answer (to its first byte if streamed), the targets asked in turn."""
    callers = {target.name: Caller(target) for target in targets}
    seen: dict[str, list[float]] = {target.name: [] for target in targets}
    for round_number in range(rounds + 1):
        for target in targets if round_number % 2 else reversed(targets):
            samples = await one_after_another(callers[target.name], 20, is_stream=is_stream)
            if round_number:
                seen[target.name] += [sample.first_s if is_stream else sample.total_s for sample in samples]
    for caller in callers.values():
        caller.close()
    return seen


def cpu_s(target: Target) -> float:
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in target.pids)


async def measure(asked: argparse.Namespace) -> list[dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        targets = start_all(stack, Path(name), asked.portkey, 0.0)
        await wait_answering(targets)
        whole = await latencies(targets, asked.rounds, is_stream=False)
        streaming = [target for target in targets if target.can_stream]
        first = await latencies(streaming, asked.rounds, is_stream=True)
        rates: dict[str, list[float]] = {target.name: [] for target in targets}
        for _ in range(asked.repeats):
            for target in targets:
                rates[target.name].append(asked.requests / await all_at_once(target, 32, asked.requests))
        for target in targets:
            p50, p99 = added(whole[target.name], whole["direct"])
            rows[target.name] = {
                "target": target.name,
                "added_p50_ms": p50 * 1000,
                "added_p99_ms": p99 * 1000,
                "requests_per_s": statistics.median(rates[target.name]),
            }
        for target in streaming:
            before_s = cpu_s(target)
            await all_at_once(target, 8, asked.requests // 4, is_stream=True)
            streamed = asked.requests // 4 * NUM_TOKENS
            rows[target.name]["added_ttft_p50_ms"] = added(first[target.name], first["direct"])[0] * 1000
            rows[target.name]["cpu_ms_per_1000_tokens"] = (cpu_s(target) - before_s) / streamed * 1e6
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        targets = start_all(stack, Path(name), None, GAP_S)
        await wait_answering(targets)
        paced: dict[str, list[float]] = {target.name: [] for target in targets}
        for _ in range(asked.repeats):
            for target in targets:
                paced[target.name].append(await streams_at_once(target, NUM_STREAMS))
        direct = statistics.median(paced["direct"])
        for target in targets:
            rows[target.name]["streams_share"] = statistics.median(paced[target.name]) / direct
    return list(rows.values())


def added(samples: list[float], direct: list[float]) -> tuple[float, float]:
    """Median and 99th percentile, less those of the direct call, in seconds."""
    ours, theirs = statistics.quantiles(samples, n=100), statistics.quantiles(direct, n=100)
    return ours[49] - theirs[49], ours[98] - theirs[98]


async def soak(num_requests: int) -> None:
    """Resident memory of the door over so many requests."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        target = start_all(stack, Path(name), None, 0.0)[1]
        door = psutil.Process(target.pids[0])
        for tenth in range(11):
            if tenth:
                await all_at_once(target, 32, num_requests // 10)
            print(f"{tenth * num_requests // 10:>8} requests  {door.memory_info().rss / 2**20:7.1f} MiB", flush=True)


def print_rows(rows: list[dict[str, object]]) -> None:
    print(
        f"{platform.processor() or platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()}"
    )
    print(f"{'':24}{'added p50':>11}{'p99':>9}{'TTFT':>9}{'requests/s':>12}{'CPU/1k tok':>12}{'50 streams':>12}")
    for row in rows:
        cells = (
            cell(row, "added_p50_ms", "8.2f", " ms"),
            cell(row, "added_p99_ms", "6.2f", " ms"),
            cell(row, "added_ttft_p50_ms", "6.2f", " ms"),
            cell(row, "requests_per_s", "12.0f", ""),
            cell(row, "cpu_ms_per_1000_tokens", "9.1f", " ms"),
            cell(row, "streams_share", "12.1%", ""),
        )
        print(f"{row['target']:24}{''.join(cells)}")


def cell(row: dict[str, object], name: str, form: str, unit: str) -> str:
    """Blank where nothing was measured."""
    text = f"{row[name]:{form}}{unit}" if name in row else ""
    return text.rjust(int(form.split(".", maxsplit=1)[0]) + len(unit))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portkey", type=Path, help="folder in which npm installed @portkey-ai/gateway")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of 20 calls a target")
    parser.add_argument("--requests", type=int, default=4000, help="requests of one throughput run")
    parser.add_argument("--repeats", type=int, default=3, help="throughput runs, their median is shown")
    parser.add_argument("--soak", type=int, metavar="N", help="instead: memory of the door over N requests")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.soak:
        uvloop.run(soak(asked.soak))
        return
    rows = uvloop.run(measure(asked))
    print(json.dumps(rows, indent=1)) if asked.json else print_rows(rows)


if __name__ == "__main__":
    main()
