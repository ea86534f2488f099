"""Whether the server's port is free, or ours already."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from gemstead.doctor.check import Check
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import Subject


def look(subject: Subject) -> Iterator[Finding]:
    server = subject.loaded.settings.server
    if server.port == 0:
        yield Finding("ok", "the server takes any free port")
        return
    ours = next((one for one in subject.servers() if one.port == server.port), None)
    if ours is not None:
        yield Finding("ok", f"port {server.port} is served by us: {ours.model}", evidence={"pid": ours.pid})
        return
    try:
        _try(server.host, server.port)
    except OSError as exc:
        holder = _holder(server.port)
        yield Finding(
            "warning",
            f"port {server.port} on {server.host} cannot be taken: {exc.strerror or exc}",
            f"{holder} holds it" if holder else None,
            "gemstead up --port 0",
        )
    else:
        yield Finding("ok", f"port {server.port} is free")


def _try(host: str, port: int) -> None:
    """Raises: OSError if nobody could listen there now."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        # Connections of an ended server linger for a minute; they keep nobody from listening.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)


def _holder(port: int) -> str | None:
    """The program that listens on `port`; None where this user may not know."""
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
        pids = {one.pid for one in connections if one.status == psutil.CONN_LISTEN and one.laddr[1:] == (port,)}
        names = [f"{psutil.Process(pid).name()} (process {pid})" for pid in pids if pid]
    except (psutil.Error, OSError):
        return None
    return names[0] if names else None


CHECK = Check(
    name="ports",
    group="service",
    looks_at="the port of the settings",
    complains_when="another program holds it",
    look=look,
)
