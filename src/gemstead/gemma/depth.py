"""How deep JSON from outside may be nested where it is walked level by level."""

from __future__ import annotations

from gemstead.core.errors import RequestInvalid

MAX_DEPTH = 64
"""Objects and lists inside each other: ten times what real schemas need, far from Python's own limit."""


def check_depth(depth: int) -> None:
    """Raises: RequestInvalid if `depth` is that of something nested too deeply."""
    if depth >= MAX_DEPTH:
        raise RequestInvalid(
            f"a value is nested deeper than {MAX_DEPTH} levels",
            why="it is written out for the model level by level",
            hint="flatten the tool's schema or the arguments of the call",
        )
