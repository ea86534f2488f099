"""`gemstead bench run`: load time, waits, rates, memory and energy of a model on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from gemstead.cli import options


def run(
    model: options.Model = None,
    all_that_fits: Annotated[
        bool,
        typer.Option("--all-that-fits", help="Every Gemma 4 variant, with generated weights, before any download."),
    ] = False,
    quant: Annotated[str, typer.Option("--quant", help="Of the generated weights: q4_0, q4_k_m, q8_0 ...")] = "q4_0",
    keep: Annotated[bool, typer.Option("--keep", help="Keep the generated weights.")] = False,
    depths: Annotated[str | None, typer.Option("--depths", help="Prompt lengths in tokens: 128,512,2048.")] = None,
    answer_tokens: Annotated[int, typer.Option("--answer-tokens", min=2, max=8192, help="Tokens an answer.")] = 64,
    repeats: Annotated[int, typer.Option("--repeats", min=1, max=1000, help="Answers at each length.")] = 5,
    watts: Annotated[
        float | None, typer.Option("--watts", min=0.1, help="What the machine draws, where nothing can be metered.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, even if a run was interrupted.")] = False,
    context: options.Context = None,
    kv: options.Kv = None,
    offline: options.Offline = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Measure a model alone. Finished points are kept; after an interruption the same command goes on."""
    import shlex

    from gemstead.app.bench_run import Asked, bench_all, bench_model
    from gemstead.app.dry_run import engine_command
    from gemstead.app.setup import make_setup
    from gemstead.bench.tables import point_figures
    from gemstead.cli.bench_text import print_run
    from gemstead.cli.output import note, print_json
    from gemstead.cli.progress import shown_progress

    loaded = options.load(model__name=model, sources__is_offline=offline, **options.plan_flags(context, None, kv))
    asked = Asked(parse_lengths(depths), answer_tokens, repeats, watts, not fresh)
    if dry_run:
        print(shlex.join(engine_command(make_setup(loaded, say=note))))
        return
    with shown_progress() as progress:
        setup = make_setup(loaded, progress=progress, say=note)
        for done in bench_all(setup, asked, quant, is_keeping=keep) if all_that_fits else [bench_model(setup, asked)]:
            if json:
                print_json("bench-run/1", {"run": done, "figures": point_figures(done)})
            else:
                print_run(done)


def parse_lengths(text: str | None) -> tuple[int, ...] | None:
    """`128,512,2048`. Raises: RequestInvalid for anything else."""
    from gemstead.core.errors import RequestInvalid

    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() and 1 <= int(word) <= 10_000_000 for word in words):
        raise RequestInvalid(f"{text!r} is no row of prompt lengths", param="depths", hint="--depths 128,512,2048")
    return tuple(int(word) for word in words)
