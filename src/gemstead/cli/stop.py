"""`gemstead stop`: ends servers; running answers may finish first."""

from __future__ import annotations

from typing import Annotated

import typer

from gemstead.cli import options


def register(app: typer.Typer) -> None:
    app.command("stop")(stop)


def stop(
    name: Annotated[str | None, typer.Argument(help="Model, port or process id; none: the only server.")] = None,
    every: Annotated[bool, typer.Option("--all", help="End every server.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Do not let running answers finish.")] = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """End a server: it takes no new requests, lets running answers finish, and goes."""
    from gemstead.app.servers import find_server, running_servers, stop_server
    from gemstead.cli.output import note, print_json
    from gemstead.core.errors import RequestInvalid
    from gemstead.core.units import format_duration

    records = running_servers(options.load().paths.servers)
    chosen = records if every else [find_server(records, name)] if name else records
    if len(chosen) > 1 and not every:
        ports = ", ".join(f"{record.model} on {record.port}" for record in chosen)
        raise RequestInvalid(f"{len(chosen)} servers run: {ports}", hint="gemstead stop PORT, or gemstead stop --all")
    stopped = [(record, 0.0 if dry_run else stop_server(record, is_now=now)) for record in chosen]
    if json:
        print_json(
            "stopped/1", [{"pid": record.pid, "model": record.model, "took_s": took} for record, took in stopped]
        )
        return
    for record, took_s in stopped:
        took = "" if dry_run else f" after {format_duration(took_s)}"
        note(f"{'would stop' if dry_run else 'stopped'} {record.model} on port {record.port}{took}")
    if not chosen:
        note("no server is running")
