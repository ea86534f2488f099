"""Which Host header a request may carry.

A web page can point a name of its own at 127.0.0.1 and then call this server as its own site (DNS rebinding). The
browser still sends that name as Host, so only names that nobody else can own are let in.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

from gemstead.api.errors import HostRefused


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address without brackets) can only mean this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(header: str | None, host_names: frozenset[str]) -> None:
    """Raises: HostRefused unless the header names loopback or one of `host_names`."""
    host = None if header is None else host_of(header)
    if host is None or not (is_loopback(host) or host in host_names):
        raise HostRefused(
            f"requests for host {(header or '')[:100]!r} are refused",
            why="a web page could reach this server under a name of its own",
            hint="use http://127.0.0.1 or http://localhost, or name the host in server.host_names",
        )


def check_origin(origin: str | None, host: str | None, origins: frozenset[str] = frozenset()) -> None:
    """For bodies that any web page may send without asking first: forms. Browsers then always name the page's site.

    Raises: HostRefused unless there is no Origin header, or it is this very server's or one of `origins`.
    Source: Fetch standard, "append a request `Origin` header" (read 2026-11).
    """
    if origin is not None and origin not in (f"http://{host}", f"https://{host}", *origins):
        raise HostRefused(
            f"forms sent by pages of {origin[:100]!r} are refused",
            why="a web page could make this server work without its user's knowledge",
            hint="send the request from a program",
        )


def host_of(header: str) -> str | None:
    """`localhost:8080` -> localhost, `[::1]:8080` -> ::1, lower case; None if it is neither a name nor an address."""
    if header.startswith("["):
        host, bracket, port = header[1:].partition("]")
        is_well_formed = bracket == "]" and (port == "" or port.startswith(":"))
        return host.lower() if is_well_formed and host else None
    host, _, port = header.partition(":")
    return host.lower() if host and (port == "" or port.isdigit()) else None
