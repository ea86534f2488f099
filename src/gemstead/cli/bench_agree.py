"""`gemstead bench agree`: whether our figures are those of a peer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options
from gemstead.core.units import format_number

if TYPE_CHECKING:
    from gemstead.bench.spread import Ratio

PEERS = ["llama-bench", "llama-benchy"]


def agree(
    model: options.Model = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=100, help="Pairs of measurements.")] = 5,
    peer: Annotated[
        str, typer.Option("--with", help="llama-bench (the engine without HTTP) or llama-benchy (a client over HTTP).")
    ] = "llama-bench",
    llama_bench: Annotated[
        Path | None, typer.Option("--llama-bench", help="Path of llama-bench; else the one beside the engine.")
    ] = None,
    peer_python: Annotated[
        Path | None, typer.Option("--peer-python", help="Python of the environment that llama-benchy is installed in.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Prefill of 512 and decode of 128 tokens, ours and a peer's in turn: within 5 % or not."""
    import asyncio

    from gemstead.app.agree_peers import llama_bench_peer, llama_benchy_peer
    from gemstead.app.bench_agree import bench_agree
    from gemstead.app.setup import make_setup
    from gemstead.cli.output import note, print_json, print_table
    from gemstead.cli.progress import shown_progress

    options.check_word("--with", peer, PEERS)
    loaded = options.load(model__name=model)
    chosen = llama_bench_peer(llama_bench) if peer == "llama-bench" else llama_benchy_peer(peer_python, loaded.environ)
    with shown_progress() as progress:
        setup = make_setup(loaded, progress=progress, say=note)
        found = asyncio.run(bench_agree(setup, rounds, chosen))
    if json:
        print_json("bench-agree/1", {"agreement": found, "is_within": found.is_within})
        return
    print(f"{'within' if found.is_within else 'not within'} 5 % of {found.peer}, {found.num_rounds} pairs")
    print()
    print_table(
        ("figure", "ours tok/s", "peer's tok/s", "ours / peer's", "95 % interval"),
        [
            _row("prefill of 512 tokens", found.ours.prefill_tok_per_s, found.theirs.prefill_tok_per_s, found.prefill),
            _row("decode of 128 tokens", found.ours.decode_tok_per_s, found.theirs.decode_tok_per_s, found.decode),
        ],
    )
    print("medians; the ratio is that of the pairs, and an interval as wide as 10 % says that the machine was busy")


def _row(figure: str, ours: float, theirs: float, ratio: Ratio) -> tuple[str, ...]:
    interval = f"{ratio.ci_low:.3f} to {ratio.ci_high:.3f}"
    return (figure, format_number(ours), format_number(theirs), f"{ratio.ratio:.3f}", interval)
