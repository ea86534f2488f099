"""What policy and limits cost a request, in processor time, with one server and with two on the same data folder.

python -m benchmarks.admit
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import uvloop

from benchmarks.overhead.governed import make_folder
from benchmarks.overhead.governing import Governing, governing
from gemstead.core.caller import Origin
from gemstead.core.types import ChatRequest, Message, Sampling, TextPart


async def timed(times: int, rounds: int, work: Callable[[], Awaitable[object]]) -> list[float]:
    """Microseconds of processor time for each call, by round."""
    seen = []
    for _ in range(rounds):
        begin_s = time.process_time()
        for _ in range(times):
            await work()
        seen.append((time.process_time() - begin_s) / times * 1e6)
    return seen


async def measure(asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        key = make_folder(data)
        async with governing("limits", data) as one, governing("limits", data) as other:
            caller = await one.sign_in.identify(key, "127.0.0.1")
            message = Message("user", (TextPart("x" * 1000),))
            request = ChatRequest(
                model="fake",
                messages=(message,),
                sampling=Sampling(max_tokens=512),
                origin=Origin(caller, "r", "openai", "127.0.0.1"),
            )

            async def admit(rules: Governing) -> None:
                assert rules.governed is not None
                async with rules.governed.admit(request):
                    pass

            async def alone() -> None:
                await admit(one)

            async def in_turn() -> None:
                await admit(one)
                await admit(other)

            async def decide() -> None:
                assert one.governed is not None
                one.governed.decide(request)

            async def sign_in() -> None:
                await one.sign_in.identify(key, "127.0.0.1")

            show("whose key it is", await timed(asked.times, asked.rounds, sign_in))
            show("what the policy says", await timed(asked.times, asked.rounds, decide))
            show("let in and settled, three limits, one server", await timed(asked.times, asked.rounds, alone))
            both = await timed(asked.times // 2, asked.rounds, in_turn)
            show("the same, two servers in turn", [one_us / 2 for one_us in both])


def show(what: str, samples_us: list[float]) -> None:
    low, middle, high = statistics.quantiles(samples_us, n=4)
    print(f"{what:48}{middle:8.1f} us ({low:.1f} to {high:.1f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    load = psutil.getloadavg()[0]
    print(f"{platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}")
    uvloop.run(measure(asked))


if __name__ == "__main__":
    main()
