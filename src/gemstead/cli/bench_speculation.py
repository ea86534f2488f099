"""`gemstead bench speculation`: decode with and without guessing ahead, by pairs, and whether answers are equal."""

from __future__ import annotations

from typing import Annotated

import typer

from gemstead.cli import options


def speculation(
    model: options.Model = None,
    kind: Annotated[str, typer.Option("--kind", help="What guesses: ngram, or draft (a drafter model).")] = "ngram",
    pairs: Annotated[int, typer.Option("--pairs", min=1, max=1000, help="Each asks both settings the same.")] = 8,
    context: options.Context = None,
    offline: options.Offline = None,
    json: options.Json = False,
) -> None:
    """Measure speculation on a code edit, where text is copied, and on prose, where it must cost nothing."""
    from gemstead.app.bench_speculation import bench_speculation
    from gemstead.app.setup import make_setup
    from gemstead.cli.output import note, print_json
    from gemstead.cli.progress import shown_progress
    from gemstead.cli.tune_text import print_figure_lines

    options.check_word("--kind", kind, ["ngram", "draft"])
    loaded = options.load(model__name=model, sources__is_offline=offline, **options.plan_flags(context, None, None))
    with shown_progress() as progress:
        setup = make_setup(loaded, progress=progress, say=note)
        found = bench_speculation(setup, kind, pairs)  # type: ignore[arg-type]  # checked above
    if json:
        print_json("bench-speculation/1", found)
        return
    edit = next((line.gain for line in found.lines if line.figure == "edit decode"), None)
    gain = f"code edits x{edit:.2f}" if edit is not None else "the code edit was too short to tell"
    print(f"{found.model} with {kind} speculation: {gain}")
    print(f"{found.equal_texts} of {found.num_texts} answers at temperature 0 equal, by pairs, {found.engine}")
    print()
    print_figure_lines(found.lines, ("without", "with"))
    for reason in found.disturbed:
        print(f"note: the machine was disturbed: {reason}")
    print(f"{found.accepted_tokens} of {found.drafted_tokens} tokens guessed in code edits were right")
