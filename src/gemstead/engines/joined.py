"""Pieces of text that arrived together go on together: under load, when it counts, every later stage has less to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gemstead.core.errors import GemsteadError
from gemstead.core.types import Event, ReasoningDelta, TextDelta


def joined(events: Iterable[Event]) -> Iterator[Event]:
    """`events` with adjacent text deltas as one, and adjacent reasoning deltas as one.

    Raises: what `events` raises, after the text that came before it.
    """
    pieces: list[TextDelta | ReasoningDelta] = []
    try:
        for event in events:
            if pieces and type(event) is not type(pieces[0]):
                yield _join(pieces)
            if isinstance(event, TextDelta | ReasoningDelta):
                pieces.append(event)
            else:
                yield event
    except GemsteadError:
        if pieces:
            yield _join(pieces)
        raise
    if pieces:
        yield _join(pieces)


def _join(pieces: list[TextDelta | ReasoningDelta]) -> Event:
    """Takes the pieces out of the list."""
    text = "".join(piece.text for piece in pieces)
    kind = type(pieces[0])
    pieces.clear()
    return kind(text)
