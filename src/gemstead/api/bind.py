"""Where the server may listen: loopback until keys exist, and beyond it only where nobody can listen in."""

from __future__ import annotations

from gemstead.api.hosts import is_loopback
from gemstead.core.errors import PolicyRefused


def check_bind(host: str, *, has_keys: bool, has_tls: bool = True) -> None:
    """Raises: PolicyRefused for any address others can reach, as long as there are no keys to tell callers apart, or
    keys would travel in plain text. `has_tls` is true, too, where a proxy in front does it.
    """
    if is_loopback(host):
        return
    where = f"refused to listen on {host or 'every address'!r}"
    if not has_keys:
        raise PolicyRefused(
            where,
            why="anyone who reaches it could use the models: no access keys exist yet, or they are switched off",
            hint="gemstead keys create --name NAME; or listen on 127.0.0.1 and reach it through an SSH tunnel:"
            " ssh -L 8484:127.0.0.1:8484 this-machine",
        )
    if not has_tls:
        raise PolicyRefused(
            where,
            why="keys and prompts would cross the network in plain text",
            hint="set server.tls_cert and server.tls_key; or server.allows_plain_http if a proxy in front does TLS",
        )
