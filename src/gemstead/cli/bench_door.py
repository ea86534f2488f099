"""`gemstead bench door`: what the door costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.bench.door import DoorComparison

PROMPT = "Count from one to one hundred in words, one number a line."


def door(
    model: options.Model = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=1000, help="Pairs of answers.")] = 15,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=2, help="Tokens an answer.")] = 128,
    json: options.Json = False,
) -> None:
    """Decode rate through the door against the same engine asked directly, interleaved."""
    import asyncio

    from gemstead.app.bench_door import bench_door
    from gemstead.app.setup import make_setup, this_machine
    from gemstead.cli.output import note, print_json
    from gemstead.cli.progress import shown_progress

    loaded = options.load(model__name=model, server__port=0)
    with shown_progress() as progress:
        setup = make_setup(loaded, progress=progress, say=note)
        comparison = asyncio.run(bench_door(setup, prompt=PROMPT, max_tokens=max_tokens, rounds=rounds))
    machine = this_machine(loaded)
    if json:
        print_json("bench-door/1", {"machine": machine, "model": loaded.settings.model.name, "result": comparison})
    else:
        _print(comparison, f"{machine.cpu.model}, {machine.cpu.usable_cores} cores", rounds)


def _print(comparison: DoorComparison, machine: str, rounds: int) -> None:
    from gemstead.cli.output import print_table

    print(
        f"through the door: {comparison.ratio:.1%} of the engine's own decode rate "
        f"(quartiles {comparison.ratio_low:.1%} to {comparison.ratio_high:.1%})"
    )
    print()
    rows = [
        ("direct", f"{comparison.direct_tok_per_s:.1f}"),
        ("door", f"{comparison.door_tok_per_s:.1f}"),
    ]
    print_table(("decode, median", "tok/s"), rows)
    print(f"added TTFT, median: {comparison.added_ttft_s * 1000:.2f} ms; {rounds} interleaved pairs; {machine}")
