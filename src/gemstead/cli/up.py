"""`gemstead up`: from nothing to a server that answers; says what it chose, why, and what to try next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.app.detached import Standing
    from gemstead.settings.load import Loaded


def register(app: typer.Typer) -> None:
    app.command("up")(up)


def up(
    model: options.Model = None,
    host: options.Host = None,
    port: options.Port = None,
    context: options.Context = None,
    parallel: options.Parallel = None,
    kv: options.Kv = None,
    speculation: options.Speculation = None,
    tuned: options.Tuned = None,
    fallback: options.Fallback = None,
    offline: options.Offline = None,
    json: options.Json = False,
) -> None:
    """Plan, pull, install the engine and leave a server running."""
    loaded = options.load(
        model__name=model,
        model__fallback=fallback,
        server__host=host,
        server__port=port,
        sources__is_offline=offline,
        **options.plan_flags(context, parallel, kv),
        **options.tuned_flags(tuned, speculation),
    )
    bring_up(loaded, is_json=json)


def bring_up(loaded: Loaded, *, is_json: bool = False) -> None:
    from gemstead.app import detached
    from gemstead.app.setup import make_setup
    from gemstead.cli.output import note, print_json
    from gemstead.cli.progress import shown_progress

    with shown_progress() as progress:
        standing = detached.bring_up(make_setup(loaded, progress=progress, say=note), options.config_file())
    if is_json:
        print_json("server/1", {"url": f"{standing.record.url}/v1", "is_new": standing.is_new, **_record(standing)})
    else:
        _print(standing)


def _record(standing: Standing) -> dict[str, object]:
    import msgspec

    return {"record": msgspec.to_builtins(standing.record)}


def _print(standing: Standing) -> None:
    record = standing.record
    verb = "answers" if standing.is_new else "was already running, and answers"
    print(f"{record.model} {verb} at {record.url}/v1")
    if standing.plan is not None:
        print(f"  {record.quant}, context {record.context_length}, {record.num_slots} slot(s), {record.engine}")
        advice = standing.choice.advice if standing.choice else None
        for reason in (*(advice.reasons if advice else ()), *standing.plan.reasons):
            print(f"  - {reason}")
    print()
    print("try next:")
    print('  gemstead run "Why is the sky blue?"')
    print("  gemstead chat")
    print(f"  curl {record.url}/v1/models")
    print("  gemstead ps      # what runs     gemstead stop   # end it")
