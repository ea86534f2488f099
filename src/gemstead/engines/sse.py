"""Server-sent events as engines send them: the data of each event, whatever the cut between chunks.

Source: WHATWG HTML Living Standard, 9.2 "Server-sent events" (read 2026-11). Fields other than `data` are skipped:
no engine here needs them.
"""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.core.errors import EngineFailed

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""One event holds a few tokens, or one tool call; an engine that sends more without an end is broken or hostile."""


class SseParser:
    """Feed it bytes, take out event data. Memory is bounded by `max_event_bytes`."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest = bytearray()
        self._event: list[bytes] = []
        self._event_bytes = 0
        self.num_events = 0
        """Events with data so far; comments are signs of life of the connection only."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of every event that `chunk` completes, in order.

        Raises: EngineFailed if one event grows past the bound.
        """
        if chunk.endswith(b"\n\n") and not self._rest and not self._event and b"\r" not in chunk:
            yield from self._feed_whole(chunk)
            return
        start_of_new = len(self._rest)
        self._rest += chunk
        start = 0
        # Only the new bytes can hold a line end: looking at the old ones again would be quadratic.
        while (end := self._rest.find(b"\n", max(start, start_of_new))) >= 0:
            line = bytes(self._rest[start:end]).removesuffix(b"\r")
            start = end + 1
            if (payload := self._take_line(line)) is not None:
                yield payload
        del self._rest[:start]
        self._check_size(len(self._rest))

    def _feed_whole(self, chunk: bytes) -> Iterator[bytes]:
        """Whole events and nothing else, as they nearly always come: a stream of tokens is thousands of them."""
        for event in chunk[:-2].split(b"\n\n"):
            if event.startswith(b"data: ") and b"\n" not in event:
                self.num_events += 1
                yield event[6:]
                continue
            for line in (*event.split(b"\n"), b""):
                if (payload := self._take_line(line)) is not None:
                    yield payload

    def _take_line(self, line: bytes) -> bytes | None:
        """The payload if `line` is the blank line that ends an event with data."""
        if line:
            field, _, value = line.partition(b":")
            if field == b"data":
                self._event.append(value.removeprefix(b" "))
                self._event_bytes += len(value)
                self._check_size(0)
            return None
        if not self._event:
            return None
        payload = b"\n".join(self._event)
        self._event.clear()
        self._event_bytes = 0
        self.num_events += 1
        return payload

    def _check_size(self, pending_bytes: int) -> None:
        if self._event_bytes + pending_bytes > self._max_event_bytes:
            raise EngineFailed(
                f"the engine sent an event of more than {self._max_event_bytes} bytes without an end",
                hint="gemstead engine show",
            )
