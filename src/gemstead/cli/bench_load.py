"""`gemstead bench load`: many users at once, or requests at a rate, until it hurts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.bench.load import Shape


def load(
    model: options.Model = None,
    users: Annotated[
        str | None, typer.Option("--users", help="Users who each wait for their answer; a row is a ramp: 1,2,4,8.")
    ] = None,
    think: Annotated[float, typer.Option("--think", min=0.0, help="Mean pause of a user, in seconds.")] = 0.0,
    rate: Annotated[
        str | None, typer.Option("--rate", help="Requests a second, whatever the server does; a row is a ramp.")
    ] = None,
    arrival: Annotated[str, typer.Option("--arrival", help="Of a rate: poisson or constant.")] = "poisson",
    duration: Annotated[float, typer.Option("--duration", min=1.0, max=86400.0, help="Seconds of each level.")] = 30.0,
    prompt_tokens: Annotated[int, typer.Option("--prompt-tokens", min=16, max=1_000_000)] = 256,
    answer_tokens: Annotated[int, typer.Option("--answer-tokens", min=1, max=8192)] = 64,
    prompts: Annotated[Path | None, typer.Option("--prompts", help="A text file to make prompts of.")] = None,
    ttft_limit: Annotated[float | None, typer.Option("--ttft-limit", min=0.0, help="Seconds; for goodput.")] = None,
    tpot_limit: Annotated[float | None, typer.Option("--tpot-limit", min=0.0, help="Seconds; for goodput.")] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="A server to burden; else one of ours, or a new one.")
    ] = None,
    key_from: Annotated[
        str | None, typer.Option("--key-from", help="Environment variable that holds the server's API key.")
    ] = None,
    i_own_this_server: Annotated[
        bool, typer.Option("--i-own-this-server", help="Allow an address that is not this machine.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of arrivals and pauses.")] = 1,
    json: options.Json = False,
) -> None:
    """Measure a server under load: throughput, goodput within limits, failures, fairness, drift, and where it bends."""
    import asyncio

    from gemstead.app.bench_load import Elsewhere, bench_load
    from gemstead.app.setup import make_setup
    from gemstead.bench.corpus import file_corpus, own_corpus
    from gemstead.bench.load import Shape
    from gemstead.bench.load_summary import Limits
    from gemstead.cli.bench_text import print_load
    from gemstead.cli.output import note, print_json
    from gemstead.cli.progress import shown_progress

    options.check_word("--arrival", arrival, ["poisson", "constant"])
    base = Shape(
        arrival="closed",
        duration_s=duration,
        think_s=think,
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
        seed=seed,
    )
    shapes = _levels(base, users, rate, arrival)
    elsewhere = Elsewhere(url, model or "", i_own_this_server, key_from) if url else None
    corpus = file_corpus(prompts) if prompts else own_corpus()
    loaded = options.load(model__name=model, server__port=0)
    with shown_progress() as progress:
        setup = make_setup(loaded, progress=progress, say=note)
        result = asyncio.run(bench_load(setup, shapes, Limits(ttft_limit, tpot_limit), corpus, elsewhere))
    if json:
        print_json("bench-load/1", result)
    else:
        print_load(result)


def _levels(base: Shape, users: str | None, rate: str | None, arrival: str) -> list[Shape]:
    import msgspec

    from gemstead.bench.load import check_shape
    from gemstead.core.errors import RequestInvalid

    if users is not None and rate is not None:
        raise RequestInvalid("users and a rate are two kinds of load", param="rate", hint="give --users or --rate")
    if rate is not None:
        rates = _numbers("rate", rate)
        shapes = [msgspec.structs.replace(base, arrival=arrival, num_users=0, rate_per_s=each) for each in rates]
    else:
        counts = _numbers("users", users or "1")
        if any(count != int(count) for count in counts):
            raise RequestInvalid(f"--users {users}: whole numbers", param="users", hint="--users 1,2,4,8")
        shapes = [msgspec.structs.replace(base, num_users=int(count)) for count in counts]
    for shape in shapes:
        check_shape(shape)
    return shapes


def _numbers(option: str, text: str) -> list[float]:
    """`1,2,4`: rising. Raises: RequestInvalid."""
    from gemstead.core.errors import RequestInvalid

    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(0 < number < 1e9 for number in numbers) or numbers != sorted(numbers):
        raise RequestInvalid(f"--{option} {text}: a number, or rising numbers", param=option, hint=f"--{option} 1,2,4")
    return numbers
