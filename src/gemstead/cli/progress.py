"""Progress on stderr: bars with rate and ETA on a terminal, one line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gemstead.cli.output import is_terminal, note
from gemstead.core.progress import Progress, ProgressEvent
from gemstead.core.units import format_bytes, format_duration

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

LINE_INTERVAL_S = 5.0


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """A `Progress` for as long as the block runs. Bars stand only while something is under way; closing lines stay."""
    if not is_terminal():
        yield _LineReporter()
        return
    reporter = _BarReporter()
    try:
        yield reporter
    finally:
        reporter.close()


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True, highlight=False),
        transient=True,
    )


class _BarReporter:
    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._rates = _Rates()

    def __call__(self, event: ProgressEvent) -> None:
        rate = self._rates.rate(event)
        if event.is_done:
            self._finish(event)
            return
        if self._bars is None:
            self._bars = _bars()
            self._bars.start()
        if event.task not in self._tasks:
            self._tasks[event.task] = self._bars.add_task(event.task, total=event.total, amount="", note="")
        self._bars.update(
            self._tasks[event.task],
            completed=event.done,
            total=event.total,
            amount=_amount(event, rate),
            note=event.note or "",
        )

    def _finish(self, event: ProgressEvent) -> None:
        if self._bars is not None and event.task in self._tasks:
            self._bars.remove_task(self._tasks.pop(event.task))
        if not self._tasks:
            self.close()
        note(_closing_line(event))

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


class _LineReporter:
    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._rates = _Rates()

    def __call__(self, event: ProgressEvent) -> None:
        now = time.monotonic()
        rate = self._rates.rate(event)
        if event.is_done:
            self._last.pop(event.task, None)
            note(_closing_line(event))
        elif now - self._last.get(event.task, 0.0) >= LINE_INTERVAL_S:
            self._last[event.task] = now
            note("  ".join(filter(None, (event.task, _amount(event, rate), _eta(event, rate), event.note))))


class _Rates:
    """Units per second since the task began here: what was there before a resume does not count."""

    def __init__(self) -> None:
        self._start: dict[str, tuple[float, float]] = {}

    def rate(self, event: ProgressEvent) -> float | None:
        began, done = self._start.setdefault(event.task, (time.monotonic(), event.done))
        elapsed_s = time.monotonic() - began
        if event.is_done:
            del self._start[event.task]
        return (event.done - done) / elapsed_s if elapsed_s > 0.5 else None


def _amount(event: ProgressEvent, rate: float | None) -> str:
    if event.unit == "bytes":
        of = f" / {format_bytes(event.total)}" if event.total else ""
        speed = f"  {format_bytes(rate)}/s" if rate else ""
        return f"{format_bytes(event.done)}{of}{speed}"
    if event.unit == "percent":
        return f"{event.done:.0f} %"
    return f"{event.done:.0f}/{event.total:.0f}" if event.total else f"{event.done:.0f}"


def _eta(event: ProgressEvent, rate: float | None) -> str | None:
    if not rate or not event.total or event.done >= event.total:
        return None
    return f"about {format_duration((event.total - event.done) / rate)} left"


def _closing_line(event: ProgressEvent) -> str:
    return f"{event.task}: {event.note or 'done'}"
