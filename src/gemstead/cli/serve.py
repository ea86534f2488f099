"""`gemstead serve`: a server in the foreground, or with --detach in a session of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.app.servers import ServerRecord
    from gemstead.settings.load import Loaded


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve(
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
    detach: Annotated[bool, typer.Option("--detach", help="Leave a server that survives this terminal.")] = False,
    dry_run: options.DryRun = False,
) -> None:
    """Serve a model to every application that speaks OpenAI; Ctrl-C ends it."""
    loaded = options.load(
        model__name=model,
        model__fallback=fallback,
        server__host=host,
        server__port=port,
        sources__is_offline=offline,
        **options.plan_flags(context, parallel, kv),
        **options.tuned_flags(tuned, speculation),
    )
    if dry_run:
        _print_command(loaded)
    elif detach:
        from gemstead.cli.up import bring_up

        bring_up(loaded)
    else:
        _serve_here(loaded)


def _print_command(loaded: Loaded) -> None:
    """What would be started, key and socket aside: both are new each time."""
    import shlex

    from gemstead.app.dry_run import engine_command
    from gemstead.app.setup import make_setup
    from gemstead.cli.output import note

    print(shlex.join(engine_command(make_setup(loaded, say=note))))


def _serve_here(loaded: Loaded) -> None:
    from gemstead.app.serve import serve as serve_now
    from gemstead.app.setup import make_setup
    from gemstead.cli.output import note
    from gemstead.cli.progress import shown_progress

    _log_to_stderr(loaded.settings.log.level)

    def say_ready(record: ServerRecord) -> None:
        note(f"{record.model} answers at {record.url}/v1 (Ctrl-C ends it)")

    with shown_progress() as progress:
        serve_now(make_setup(loaded, progress=progress, say=note), on_ready=say_ready)


def _log_to_stderr(level: str) -> None:
    import logging

    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
