"""What keys, limits and evidence add to a request, one on top of the other; see docs/benchmarks.md.

python -m benchmarks.overhead.governed

The targets are asked in turn in one run: the fake engine itself, the bare door, the door with keys, with three limits
on top, and with evidence on top of those. Each figure is a median over rounds with its quartiles.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import uvloop

from benchmarks.overhead.__main__ import free_port, process, wait_answering
from benchmarks.overhead.load import Caller, Target, all_at_once, one_after_another
from gemstead.access.key_store import KeyStore
from gemstead.access.pepper import ensure_pepper
from gemstead.access.records import KeyFields
from gemstead.store.database import open_database

LEVELS = ("keys", "limits", "evidence")
NUM_TOKENS = 16
CALLS_A_ROUND = 20

POLICY = """\
version = 1
[[rules]]
id = "everybody"
effect = "allow"
[rules.limits]
requests_per_minute = 100_000_000
tokens_per_minute = 10_000_000_000
tokens_per_day = 100_000_000_000
"""


def make_folder(data: Path) -> str:
    """A data folder with a policy of three limits and one key; gives the key."""
    data.mkdir()
    (data / "policy.toml").write_text(POLICY)
    connection = open_database(data / "gemstead.db").raw()
    store = KeyStore(connection, lambda: ensure_pepper(data / "pepper", None))
    made, _record = store.create(KeyFields(name="benchmark"), now_s=time.time(), created_by="benchmark")
    connection.close()
    return made.text


def start_all(stack: ExitStack, folder: Path, levels: tuple[str, ...]) -> list[Target]:
    upstream, socket_path = free_port(), folder / "up.sock"
    module = [sys.executable, "-m"]
    fake = [*module, "benchmarks.overhead.fake_upstream", "--tokens", str(NUM_TOKENS)]
    stack.enter_context(
        process("fake upstream", upstream, *fake, "--port", str(upstream), "--socket", str(socket_path))
    )
    targets = [Target("direct", upstream)]
    for level in ("bare", *levels):
        port, flags, headers = free_port(), [], {}
        if level != "bare":
            data = folder / level
            headers = {"authorization": f"Bearer {make_folder(data)}"}
            flags = ["--govern", level, "--data", str(data)]
        argv = [*module, "benchmarks.overhead.door", "--upstream", str(socket_path), *flags, "--port", str(port)]
        pid = stack.enter_context(process(level, port, *argv))
        targets.append(Target("bare door" if level == "bare" else f"+ {level}", port, headers, (pid,)))
    return targets


async def rounds_of(targets: list[Target], num_rounds: int, *, is_stream: bool) -> dict[str, list[list[float]]]:
    """Seconds of each answer by round; every round asks all of them, in turning order. The first round is dropped."""
    callers = {target.name: Caller(target) for target in targets}
    seen: dict[str, list[list[float]]] = {target.name: [] for target in targets}
    for number in range(num_rounds + 1):
        for target in targets[number % len(targets) :] + targets[: number % len(targets)]:
            samples = await one_after_another(callers[target.name], CALLS_A_ROUND, is_stream=is_stream)
            if number:
                seen[target.name].append([one.first_s if is_stream else one.total_s for one in samples])
    for caller in callers.values():
        caller.close()
    return seen


def added_ms(rounds: dict[str, list[list[float]]], name: str, base: str) -> dict[str, float]:
    """10th percentile, median and 99th over those of `base`; quartiles are of the rounds' own medians.

    What else runs on a machine makes some answers slow and none fast: the 10th percentile shows what an answer takes
    that nothing came between.
    """
    ours = sorted(one for samples in rounds[name] for one in samples)
    theirs = sorted(one for samples in rounds[base] for one in samples)
    medians = [
        statistics.median(mine) - statistics.median(other)
        for mine, other in zip(rounds[name], rounds[base], strict=True)
    ]
    low, _, high = statistics.quantiles(medians, n=4)
    return {
        "p10": (ours[len(ours) // 10] - theirs[len(theirs) // 10]) * 1e3,
        "p50": (statistics.median(ours) - statistics.median(theirs)) * 1e3,
        "low": low * 1e3,
        "high": high * 1e3,
        "p99": (ours[len(ours) * 99 // 100] - theirs[len(theirs) * 99 // 100]) * 1e3,
    }


async def measure(asked: argparse.Namespace) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        targets = start_all(stack, Path(name), tuple(asked.levels))
        await wait_answering(targets)
        whole = await rounds_of(targets, asked.rounds, is_stream=False)
        first = await rounds_of(targets, asked.rounds // 2, is_stream=True)
        rates: dict[str, list[float]] = {target.name: [] for target in targets}
        for number in range(asked.repeats):
            for target in targets if number % 2 else reversed(targets):
                rates[target.name].append(asked.requests / await all_at_once(target, 32, asked.requests))
        cpu_ms: dict[str, list[float]] = {target.name: [] for target in targets}
        for _ in range(asked.repeats):
            for target in targets:
                cpu_ms[target.name].append(await cpu_of(target, asked.requests // 3))
    return [
        {
            "target": target.name,
            "over_direct_ms": added_ms(whole, target.name, "direct"),
            "over_bare_ms": added_ms(whole, target.name, "bare door"),
            "ttft_over_bare_ms": added_ms(first, target.name, "bare door"),
            "requests_per_s": statistics.median(rates[target.name]),
            "slowest_per_s": min(rates[target.name]),
            "fastest_per_s": max(rates[target.name]),
            "cpu_ms": statistics.median(cpu_ms[target.name]),
            "least_cpu_ms": min(cpu_ms[target.name]),
        }
        for target in targets
    ]


async def cpu_of(target: Target, num_requests: int) -> float:
    """Milliseconds of processor time a request takes in the door."""
    if not target.pids:
        return 0.0
    door = psutil.Process(target.pids[0])
    before_s = sum(door.cpu_times()[:2])
    await all_at_once(target, 16, num_requests)
    return (sum(door.cpu_times()[:2]) - before_s) / num_requests * 1e3


def print_rows(rows: list[dict[str, object]], load: float) -> None:
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {psutil.cpu_count()} cores, Python {platform.python_version()}, load before {load:.1f}")
    print(f"{'':12}{'over the bare door, ms: p10':>28}{'p50 (quartiles)':>28}{'p99':>8}{'TTFT p50':>10}", end="")
    print(f"{'over direct p10':>17}{'p50':>7}{'requests/s (least, most)':>28}{'CPU ms (least)':>18}")
    for row in rows:
        direct, bare, ttft = (
            figures(row, "over_direct_ms"),
            figures(row, "over_bare_ms"),
            figures(row, "ttft_over_bare_ms"),
        )
        rate = f"{row['requests_per_s']:.0f} ({row['slowest_per_s']:.0f}, {row['fastest_per_s']:.0f})"
        cpu = f"{row['cpu_ms']:.2f} ({row['least_cpu_ms']:.2f})"
        middle = f"{bare['p50']:.2f} ({bare['low']:.2f} to {bare['high']:.2f})"
        added = f"{bare['p10']:28.2f}{middle:>28}{bare['p99']:8.2f}{ttft['p50']:10.2f}"
        print(f"{row['target']:12}{added}{direct['p10']:17.2f}{direct['p50']:7.2f}{rate:>28}{cpu:>18}")


def figures(row: dict[str, object], name: str) -> dict[str, float]:
    found = row[name]
    assert isinstance(found, dict)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="rounds of 20 calls a target")
    parser.add_argument("--requests", type=int, default=3000, help="requests of one throughput run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--levels", nargs="*", choices=LEVELS, default=list(LEVELS))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    load = psutil.getloadavg()[0]
    rows = uvloop.run(measure(asked))
    print(json.dumps(rows, indent=1)) if asked.json else print_rows(rows, load)


if __name__ == "__main__":
    main()
