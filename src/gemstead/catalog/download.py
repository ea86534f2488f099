"""One file from an address to the disk: resumed where it was cut, its digest computed on the way, published whole.

    target.part        the bytes so far
    target.part.json   which remote file they belong to, so that a changed file is never glued to an old half
    target             appears in one step, complete, flushed and verified

One process per target at a time: callers that may collide hold a lock (the artefact store does).
"""

from __future__ import annotations

import hashlib
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gemstead.catalog.partial import PartFile, Reporter, publish
from gemstead.catalog.space import disk_full_named, require_space
from gemstead.catalog.transport import Hints, Transport, new_client, raise_for_status, translated, without_secrets
from gemstead.core.errors import DigestMismatch, SourceError, SourceNotFound, SourceUnreachable
from gemstead.core.progress import Progress, no_progress
from gemstead.core.units import MIB, format_bytes

if TYPE_CHECKING:
    import httpx2

SPACE_CHECK_BYTES = 64 * MIB
"""How often free space is looked at while a server sends bytes without saying how many."""


class RemoteFile(msgspec.Struct, frozen=True):
    """A file at an http(s) or file address. Size and sha256 are None where its source does not tell them.

    `headers` may carry credentials: they go to the origin of `url` only, never to where a redirect leads, and are never
    shown. `revision` is the source's name for this state of the file (a commit, a version).
    """

    url: str
    name: str
    size_bytes: int | None = None
    sha256: str | None = None
    headers: dict[str, str] = {}
    revision: str | None = None
    hints: Hints = Hints()
    transport: Transport = Transport()

    def __repr__(self) -> str:
        return f"RemoteFile({without_secrets(self.url)})"


class RetryPolicy(msgspec.Struct, frozen=True):
    """`attempts` in a row without progress, then the error. Delays double from `first_delay_s`, with jitter."""

    attempts: int = 5
    first_delay_s: float = 0.5
    max_delay_s: float = 20.0

    def delay_s(self, attempt: int, asked_s: float | None) -> float:
        """Before try `attempt` (1 is the first repetition); what the server asked for goes first."""
        if asked_s is not None:
            return asked_s
        delay_s: float = min(self.first_delay_s * 2 ** (attempt - 1), self.max_delay_s)
        return delay_s * random.uniform(0.5, 1.0)  # noqa: S311 (spreads retries, no secret)


def download(
    remote: RemoteFile,
    target: Path,
    *,
    progress: Progress = no_progress,
    task: str | None = None,
    client: httpx2.Client | None = None,
    quarantine: Path | None = None,
    retry: RetryPolicy = RetryPolicy(),  # noqa: B008 (frozen)
) -> str:
    """Fetches `remote` to `target` and returns its sha256. A cut leaves a part that the next call goes on from.

    A file that is not what `remote` promised is moved to `quarantine` (default: that name beside `target`).

    Raises: SourceUnauthorized, SourceForbidden, SourceNotFound, SourceUnreachable, SourceError; DiskFull;
    DigestMismatch.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    quarantine = quarantine or target.parent / "quarantine"
    part = PartFile(target)
    report = Reporter(progress, task or f"download {remote.name}")
    if remote.url.startswith("file:"):
        sha256 = _copy_local(remote, part, report)
    else:
        own_client = client or new_client(remote.transport)
        try:
            sha256 = _Transfer(remote, part, report, retry).run(own_client)
        finally:
            if client is None:
                own_client.close()
    if remote.sha256 is not None and sha256 != remote.sha256:
        raise _mismatch(remote, f"its sha256 is {sha256}, expected {remote.sha256}", part.quarantined(quarantine))
    publish(part.path, target)
    part.forget()
    report.close(target.stat().st_size)
    return sha256


class _Transfer:
    """The state of one download over HTTP, kept between tries."""

    def __init__(self, remote: RemoteFile, part: PartFile, report: Reporter, retry: RetryPolicy) -> None:
        self.remote, self.part, self.report, self.retry = remote, part, report, retry
        self.total_bytes = remote.size_bytes
        self.offset = part.usable_bytes(remote.sha256, remote.size_bytes)
        self.hasher = part.rehash(self.offset, report) if self.offset else hashlib.sha256()

    def run(self, client: httpx2.Client) -> str:
        failures = 0
        while not self._is_complete():
            before = self.offset
            try:
                self._attempt(client)
            except SourceUnreachable as exc:
                failures = 1 if self.offset - before >= MIB else failures + 1
                if failures >= self.retry.attempts:
                    raise
                delay_s = self.retry.delay_s(failures, exc.retry_after_s)
                self.report.note(f"{exc.what}; trying again in {delay_s:.0f} s", self.offset, self.total_bytes)
                time.sleep(delay_s)
        return self.hasher.hexdigest()

    def _is_complete(self) -> bool:
        return self.total_bytes is not None and self.offset == self.total_bytes and self.part.path.exists()

    def _attempt(self, client: httpx2.Client) -> None:
        headers = {**self.remote.headers, "Accept-Encoding": "identity"}
        if self.offset:
            headers["Range"] = f"bytes={self.offset}-"
            if self.part.etag:
                headers["If-Range"] = self.part.etag
        with (
            translated(self.remote.url, self.remote.hints),
            client.stream("GET", self.remote.url, headers=headers) as response,
        ):
            if response.status_code == 416:
                self._restart()
                return
            raise_for_status(response, self.remote.url, self.remote.hints)
            self._accept(response)
            self._receive(response)

    def _accept(self, response: httpx2.Response) -> None:
        """Decides whether these bytes continue the part, and notes which file they belong to."""
        start, total = _range_of(response)
        if response.status_code == 206 and (start != self.offset or total not in (None, self.total_bytes or total)):
            self._restart()
            raise SourceUnreachable(f"{self.remote!r} answered with another part of the file than asked for")
        if response.status_code == 200 and self.offset:
            self.report.note("the file changed at its source, or cannot be resumed: starting again", 0, total)
            self._restart()
        expected = self.remote.size_bytes
        if expected is not None and total is not None and total != expected:
            raise _mismatch(self.remote, f"it has {total} bytes at its source, expected {expected}", None)
        self.total_bytes = expected if total is None else total
        self.part.remember(response.headers.get("ETag"), self.total_bytes, self.remote.sha256)
        if self.total_bytes is not None:
            require_space(self.part.folder, self.total_bytes - self.offset, self.report.task)

    def _receive(self, response: httpx2.Response) -> None:
        """Writes and hashes the body. Raises: SourceUnreachable if it ends early."""
        unchecked = 0
        if self.offset:
            self.report.note(f"resuming at {format_bytes(self.offset)}", self.offset, self.total_bytes)
        with disk_full_named(self.part.folder, (self.total_bytes or 0) - self.offset), self.part.appending() as file:
            for chunk in response.iter_raw():
                file.write(chunk)
                self.hasher.update(chunk)
                self.offset += len(chunk)
                unchecked += len(chunk)
                self.report.bytes(self.offset, self.total_bytes)
                if self.total_bytes is None and unchecked >= SPACE_CHECK_BYTES:
                    require_space(self.part.folder, 2 * SPACE_CHECK_BYTES, self.report.task)
                    unchecked = 0
                if self.total_bytes is not None and self.offset > self.total_bytes:
                    self.part.discard()
                    raise _mismatch(self.remote, f"more than its {self.total_bytes} bytes arrive", None)
        if self.total_bytes is None:
            self.total_bytes = self.offset
        if self.offset < self.total_bytes:
            raise SourceUnreachable(f"{self.remote!r} ended early", hint=self.remote.hints.unreachable)

    def _restart(self) -> None:
        self.part.discard()
        self.offset, self.hasher, self.total_bytes = 0, hashlib.sha256(), self.remote.size_bytes


def _range_of(response: httpx2.Response) -> tuple[int, int | None]:
    """First byte and whole size that the answer speaks of; the size is None if it does not tell."""
    content_range = response.headers.get("Content-Range", "")
    if response.status_code == 206:
        unit, _, rest = content_range.partition(" ")
        span, _, total = rest.partition("/")
        start = span.partition("-")[0]
        if unit != "bytes" or not start.isdigit():
            raise SourceError(f"{without_secrets(str(response.url))} sent a bad Content-Range: {content_range[:80]!r}")
        return int(start), int(total) if total.isdigit() else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _copy_local(remote: RemoteFile, part: PartFile, report: Reporter) -> str:
    """The file at a file: address, copied with its digest; nothing to resume, a disk is fast enough to start again."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    source = Path(url2pathname(urlsplit(remote.url).path))
    if not source.is_file():
        raise SourceNotFound(f"{source} does not exist", hint="check the path")
    total = source.stat().st_size
    if remote.size_bytes is not None and total != remote.size_bytes:
        raise _mismatch(remote, f"it has {total} bytes, expected {remote.size_bytes}", None)
    part.discard()
    require_space(part.folder, total, report.task)
    hasher, done = hashlib.sha256(), 0
    with disk_full_named(part.folder, total), source.open("rb") as reading, part.appending() as writing:
        while chunk := reading.read(MIB):
            writing.write(chunk)
            hasher.update(chunk)
            done += len(chunk)
            report.bytes(done, total)
    return hasher.hexdigest()


def _mismatch(remote: RemoteFile, problem: str, kept_at: Path | None) -> DigestMismatch:
    return DigestMismatch(
        f"{remote.name} is not the file expected: {problem}",
        why=f"it came from {without_secrets(remote.url)}" + (f" and is kept at {kept_at}" if kept_at else ""),
        hint="do not use it; if the publisher announced a new file, pull again with --accept-new-digest",
    )
