"""The network a caller comes from: what is kept of an address."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """`192.0.2.7` -> `192.0.2.0/24`, IPv6 cut to /48; loopback is told as it is; empty for what is no address."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if found.is_loopback:
        return str(found)
    return str(ip_network((found, 24 if found.version == 4 else 48), strict=False))


@lru_cache(maxsize=4096)
def failing_address(address: str) -> str:
    """What failures are counted by: an IPv4 address, or the /64 that one IPv6 client usually owns."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
    return str(found)
