"""`gemstead tune`: finds by measuring what suits a model on this machine; `up`, `run` and `serve` use it then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, get_args

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.app.tune import Subject, TuneAsked
    from gemstead.bench.tune_store import TuneEnd
    from gemstead.settings.load import Loaded


def register(app: typer.Typer) -> None:
    app.command("tune")(tune)


def tune(
    model: options.Model = None,
    goal: Annotated[
        str, typer.Option("--for", help="What shall be better: latency, throughput or code-edit.")
    ] = "latency",
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, max=1440.0, help="Time to search.")] = 15.0,
    may_quantize_kv: Annotated[
        bool, typer.Option("--may-quantize-kv", help="Also try a KV cache of 8 bits, which may cost quality.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, even if a search was interrupted.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print what was found before, and measure nothing.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Use no more what was found: of one model, or of all.")
    ] = False,
    context: options.Context = None,
    parallel: options.Parallel = None,
    offline: options.Offline = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Search the engine's settings by measuring; a winner is kept if it is better and nothing else is worse."""
    from gemstead.app.tune import TuneAsked
    from gemstead.bench.tune_figures import TuneGoal

    options.check_word("--for", goal, list(get_args(TuneGoal)))
    loaded = options.load(model__name=model, sources__is_offline=offline, **options.plan_flags(context, parallel, None))
    asked = TuneAsked(goal, minutes, may_quantize_kv, not fresh)  # type: ignore[arg-type]  # checked above
    if show:
        _show(loaded, json)
    elif forget:
        _forget(loaded, model, is_dry_run=dry_run)
    elif dry_run:
        _print_intent(loaded, asked, json)
    else:
        _tune(loaded, asked, json)


def _tune(loaded: Loaded, asked: TuneAsked, json: bool) -> None:
    from gemstead.app import tune as room
    from gemstead.app.setup import make_setup
    from gemstead.cli.output import note
    from gemstead.cli.progress import shown_progress

    with shown_progress() as progress:
        end = room.tune(make_setup(loaded, progress=progress, say=note), asked)
    _print(end, json)


def _print_intent(loaded: Loaded, asked: TuneAsked, json: bool) -> None:
    from gemstead.app.setup import make_setup
    from gemstead.app.tune import tune_subject
    from gemstead.cli.output import note, print_json

    subject = tune_subject(make_setup(loaded, say=note), asked)
    if json:
        print_json("tune-intent/1", {"model": subject.plan.model, "for": asked.goal, "factors": subject.factors})
    else:
        _print_factors(subject, asked)


def _print_factors(subject: Subject, asked: TuneAsked) -> None:
    from gemstead.cli.output import print_table

    print(f"{subject.plan.model} would be tuned for {asked.goal}, in about {asked.minutes:g} minutes")
    print()
    rows = [(one.name, getattr(subject.plan, one.name), ", ".join(map(str, one.values))) for one in subject.factors]
    print_table(("setting", "as planned", "to try"), rows)


def _show(loaded: Loaded, json: bool) -> None:
    from gemstead.bench.tune_store import TuneStore
    from gemstead.cli.output import note, print_json
    from gemstead.cli.tune_text import print_verdict

    verdicts = TuneStore(loaded.paths.data).verdicts()
    if json:
        print_json("tuned/1", verdicts)
        return
    for verdict in verdicts:
        print_verdict(verdict)
    if not verdicts:
        note("nothing was tuned yet: gemstead tune")


def _forget(loaded: Loaded, model: str | None, *, is_dry_run: bool) -> None:
    from gemstead.app.setup import make_setup
    from gemstead.app.tune import forget_tuned
    from gemstead.bench.tune_store import TuneStore

    setup = make_setup(loaded)
    name = setup.store.require(model).name if model else None
    held = [one for one in TuneStore(loaded.paths.data).verdicts() if name in (None, one.key.model)]
    if held and not is_dry_run:
        forget_tuned(setup, name)
    verb = "would be forgotten" if is_dry_run else "forgotten"
    print(f"{len(held)} verdict(s) {verb}{f': {name}' if name else ''}")


def _print(end: TuneEnd, json: bool) -> None:
    from gemstead.cli.output import print_json
    from gemstead.cli.tune_text import print_verdict

    if json:
        print_json("tune/1", {"verdict": end})
    else:
        print_verdict(end)
