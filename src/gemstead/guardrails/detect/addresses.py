"""The host of an address, and whether it is on a list."""

from __future__ import annotations

from urllib.parse import urlsplit


def host_of(url: str) -> str:
    """The host an address leads to, lower case; empty if there is none to be read."""
    try:
        return (urlsplit(url if ":" in url[:11] else f"https:{url}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_allowed(host: str, domains: tuple[str, ...]) -> bool:
    """`host` is one of `domains`, or below one."""
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)
