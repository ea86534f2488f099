"""Where the server may listen: loopback until keys exist."""

from __future__ import annotations

from gemstead.api.hosts import is_loopback
from gemstead.core.errors import PolicyRefused


def check_bind(host: str, *, has_keys: bool) -> None:
    """Raises: PolicyRefused for any address others can reach, as long as there are no keys to tell callers apart."""
    if has_keys or is_loopback(host):
        return
    raise PolicyRefused(
        f"refused to listen on {host or 'every address'!r}",
        why="anyone who reaches it could use the models: no access keys exist yet",
        hint="listen on 127.0.0.1 and reach it through an SSH tunnel: ssh -L 8484:127.0.0.1:8484 this-machine",
    )
