"""`gemstead ps`: which servers run, on what, with how much memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.app.servers import ServerStatus


def register(app: typer.Typer) -> None:
    app.command("ps")(ps)


def ps(json: options.Json = False) -> None:
    """List the running servers."""
    from gemstead.app.servers import running_servers, status_of
    from gemstead.cli.output import note, print_json, print_table

    statuses = [status_of(record) for record in running_servers(options.load().paths.servers)]
    if json:
        print_json("servers/1", [_plain(status) for status in statuses])
        return
    headers = ("model", "state", "address", "memory", "planned", "context", "slots", "engine", "up for", "pid")
    print_table(headers, [_row(status) for status in statuses])
    if not statuses:
        note("no server is running: gemstead up")


def _row(status: ServerStatus) -> tuple[object, ...]:
    from gemstead.core.units import format_bytes, format_duration

    record = status.record
    return (
        record.model,
        _state(status),
        record.url,
        format_bytes(status.rss_bytes),
        f"~{format_bytes(record.predicted_bytes)}",
        record.context_length,
        record.num_slots,
        record.engine,
        format_duration(status.uptime_s),
        record.pid,
    )


def _state(status: ServerStatus) -> str:
    """What the server itself says of its engine; "no answer" if it does not."""
    from gemstead.app.detached import read_readiness

    reply = read_readiness(status.record)
    engines: list[dict[str, Any]] = (reply or {}).get("engines") or []
    return str(engines[0].get("state", "unknown")) if engines else "no answer"


def _plain(status: ServerStatus) -> dict[str, Any]:
    import msgspec

    return {**msgspec.to_builtins(status), "state": _state(status), "url": status.record.url}
