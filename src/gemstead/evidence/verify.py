#!/usr/bin/env python3
"""Checks what gemstead recorded, without gemstead: Python 3.9 or newer, and the package `cryptography`.

    python verify.py evidence.db | bundle.zip | proof.json [--key KEY] [--checkpoint FILE]... [--prove N] [--json]

Order: each record's hash covers the one before. Completeness: signed checkpoints name the number of records, the root
of their Merkle tree (RFC 6962) and the hash of the last. Whoever holds the signing key can make all of that anew: only
a checkpoint kept elsewhere (--checkpoint) and a key known beforehand (--key) show it.

Exit code: 0 as it was written, 1 not so (each finding is printed), 2 this could not be read.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import sqlite3
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

CHAIN, ROTATION, BUNDLE = b"gemstead chain 2\n", b"gemstead key rotation 1\n", b"gemstead evidence bundle 1\n"
START = bytes(32)
ED25519 = b"\x01"
BLOCK = 1024
"""Records hashed at a time; of each block one hash is kept, so that memory is bounded: 320 kB for ten million."""
MAX_RUNS = 10_000
"""Findings of one kind kept apart; what comes after is told as one."""
MAX_OPEN = 1_000_000
MAX_TEXT_BYTES = 16 * 1024 * 1024
MAX_UNCOVERED = 10_000
MIN_SHARE, MAX_WORKERS = 100_000, 16
"""Of a long chain each processor takes a share, and not less than this many records."""

SCHEMA = {
    "records": "CREATE TABLE records (position INTEGER PRIMARY KEY, record TEXT, leaf BLOB, hash BLOB NOT NULL, "
    "\"at_ms\" INTEGER GENERATED ALWAYS AS (json_extract(record, '$.at_ms')) VIRTUAL, "
    "\"kind\" TEXT GENERATED ALWAYS AS (json_extract(record, '$.kind')) VIRTUAL, "
    "\"exchange\" TEXT GENERATED ALWAYS AS (json_extract(record, '$.exchange')) VIRTUAL, "
    "\"key\" TEXT GENERATED ALWAYS AS (json_extract(record, '$.key')) VIRTUAL, "
    "\"model\" TEXT GENERATED ALWAYS AS (json_extract(record, '$.model')) VIRTUAL, "
    "CHECK ((record IS NULL) <> (leaf IS NULL)))",
    "records_by_at_ms": 'CREATE INDEX records_by_at_ms ON records ("at_ms")',
    "records_by_kind": 'CREATE INDEX records_by_kind ON records ("kind")',
    **{
        f"records_by_{name}": f'CREATE INDEX records_by_{name} ON records ("{name}") WHERE "{name}" IS NOT NULL'
        for name in ("exchange", "key", "model")
    },
    "checkpoints": "CREATE TABLE checkpoints ( size INTEGER NOT NULL, at_ms INTEGER NOT NULL, note TEXT NOT NULL, "
    "peaks BLOB NOT NULL, PRIMARY KEY (size) )",
    "alembic_version": "CREATE TABLE alembic_version ( version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num) )",
}
VERSIONS = (b"e0001_evidence",)
NOTE = re.compile(
    r"^([^\n]{1,200})\n([1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\nhead ([A-Za-z0-9+/]{43}=)\ntime (0|[1-9]\d{0,15})\n\n"
    r"((?:\u2014 [^\n ]+ [A-Za-z0-9+/=]+\n)+)",
    re.MULTILINE,
)
KIND, OWN, OPENED, CLOSED = b'"kind":"e', b'"kind":"evidence.', b"exchange.o", b"exchange.c"
# A quote within a string of JSON has a backslash before it: none of these can stand in what a caller wrote.
CLOSES = re.compile(rb'"opened":(\d{1,16})')


NOT_OURS = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError),
    *(sqlite3.Error, zipfile.BadZipFile, zlib.error, struct.error),
)
"""What reading a file can end with that gemstead did not write."""


class Unreadable(Exception):
    """It cannot be checked at all, and why."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was written, at `position`, or from there to `last`."""

    kind: str
    what: str
    position: int | None = None
    last: int | None = None


@dataclass
class Report:
    """What was found. `cuts` are the first exchanges that began and never ended: that is no change, but it is told.

    `keys`: from which position on which key signs. `covered`: how many records the newest good checkpoint covers.
    `remarks`: what is no change of a record, and worth knowing.
    """

    source: str
    findings: list[Finding] = field(default_factory=list)
    origin: str = ""
    keys: list[tuple[int, str]] = field(default_factory=list)
    is_key_known: bool = False
    num_records: int = 0
    num_checkpoints: int = 0
    num_elsewhere: int = 0
    covered: int = 0
    expired: list[tuple[int, int]] = field(default_factory=list)
    num_cuts: int = 0
    cuts: list[int] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.findings

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    def add(self, kind: str, what: str, position: int | None = None, last: int | None = None) -> None:
        self.findings.append(Finding(kind, what, position, last))


@dataclass(frozen=True)
class Note:
    """A checkpoint: `text` is what was signed, `where` where this copy of it lies."""

    where: str
    text: str
    signatures: str
    origin: str
    size: int
    root: bytes
    head: bytes
    at_ms: int


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def examine(
    path: Path | str,
    key: str | None = None,
    elsewhere: Sequence[tuple[str, str]] = (),
    max_uncovered: int = MAX_UNCOVERED,
    is_deep: bool = False,
) -> Report:
    """Checks a database or, by its name, a bundle (.zip) or proof (.json). `elsewhere`: (name, text) of files that hold
    checkpoints. `is_deep`: that the indexes of the database, by which records are looked up, hold what the records say,
    which takes several times as long. Raises: Unreadable.
    """
    path = Path(path)
    report = Report(str(path))
    notes = [note for name, text in elsewhere for note in read_notes(text, name, report)]
    report.num_elsewhere = len(notes)
    if not path.is_file():
        raise Unreadable(f"there is no file {path}")
    try:
        if path.suffix == ".zip":
            _examine_bundle(path, key, notes, report)
        elif path.suffix == ".json":
            _examine_proof(path.read_bytes()[: MAX_TEXT_BYTES + 1], key, notes, report)
        else:
            with closing(opened(path)) as connection:
                if examine_database(connection, key, notes, report) and is_deep:
                    _check_indexes(connection, report)
                if report.num_records - report.covered > max_uncovered:
                    report.add("uncovered", "no checkpoint covers what follows", report.covered, report.num_records - 1)
    except NOT_OURS as exc:
        raise Unreadable(f"{path}: {type(exc).__name__}: {str(exc)[:200]}") from exc
    return report


# The tree of RFC 6962, by blocks.


def subtrees(leaves: list[bytes]) -> list[list[bytes]]:
    """Roots of all full aligned subtrees of a block: leaves, pairs, fours ..."""
    levels = [leaves]
    while len(levels[-1]) > 1:
        nodes = levels[-1]
        levels.append([hashlib.sha256(b"\x01" + left + right).digest() for left, right in zip(nodes[::2], nodes[1::2])])
    return levels


def peaks_of(levels: list[list[bytes]], size: int) -> list[bytes]:
    """Roots of the full subtrees that make up the first `size` leaves of a block, largest first."""
    peaks, start = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            peaks.append(levels[level][start >> level])
            start += 1 << level
    return peaks


def folded(peaks: list[bytes]) -> bytes:
    if not peaks:
        return sha256(b"")
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = sha256(b"\x01" + peak + root)
    return root


class Proofs:
    """Proofs in the tree of the first `size` records, of which `leaves_of(n)` gives the leaves of block n."""

    def __init__(self, blocks: bytes, size: int, leaves_of: Callable[[int], list[bytes]]) -> None:
        self._blocks, self._size, self._leaves_of = bytes(blocks), size, leaves_of
        self._known: dict[tuple[int, int], bytes] = {}
        self._block = -1
        self._leaves: list[bytes] = []

    def root(self, start: int, end: int) -> bytes:
        if (start, end) in self._known:
            return self._known[start, end]
        block, offset = divmod(start, BLOCK)
        if end - start == 1:
            return self._leaf(block, offset)
        if end - start == BLOCK and not offset and len(self._blocks) >= 32 * block + 32:
            return self._blocks[32 * block : 32 * block + 32]
        cut = start + _cut(end - start)
        root = sha256(b"\x01" + self.root(start, cut) + self.root(cut, end))
        if end - start > BLOCK:
            self._known[start, end] = root
        return root

    def inclusion(self, index: int) -> list[bytes]:
        path, start, end = [], 0, self._size
        while end - start > 1:
            cut = start + _cut(end - start)
            path.append(self.root(cut, end) if index < cut else self.root(start, cut))
            start, end = (start, cut) if index < cut else (cut, end)
        return path[::-1]

    def consistency(self, old: int) -> list[bytes]:
        path, start, end, is_whole = [], 0, self._size, True
        while old != end:
            cut = start + _cut(end - start)
            path.append(self.root(cut, end) if old <= cut else self.root(start, cut))
            is_whole = is_whole and old <= cut
            start, end = (start, cut) if old <= cut else (cut, end)
        return ([] if is_whole else [self.root(start, end)]) + path[::-1]

    def _leaf(self, block: int, offset: int) -> bytes:
        if block != self._block:
            self._block, self._leaves = block, self._leaves_of(block)
        return self._leaves[offset]


def _cut(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162, section 2.1.3.2."""
    if not 0 <= index < size:
        return False
    node, last = index, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            leaf = sha256(b"\x01" + sibling + leaf)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            leaf = sha256(b"\x01" + leaf + sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and leaf == root


def is_consistent(old: Note, new: Note, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `new` begins with all of the tree of `old`. RFC 9162, section 2.1.4.2."""
    if old.size >= new.size:
        return old.size == new.size and old.root == new.root and not proof
    path = list(proof) if old.size & (old.size - 1) else [old.root, *proof]
    node, last = old.size - 1, new.size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = path[0] if path else b""
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            before, after = sha256(b"\x01" + sibling + before), sha256(b"\x01" + sibling + after)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            after = sha256(b"\x01" + after + sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and before == old.root and after == new.root


# Once over all records.

Row = tuple[int, Any, Any, Any]  # (position, record or None, leaf or None, hash), all but the first in bytes


class Walk:
    """Goes over the records once, in order, and keeps what is judged afterwards. It may begin at any block."""

    def __init__(self, sizes: Iterable[int], start: int = 0, head: bytes = START) -> None:
        self.size = start
        self.head = head
        self.blocks = bytearray()
        """The root of each whole block, one after the other."""
        self.points: dict[int, tuple[list[bytes] | None, bytes]] = {}
        """Peaks of the tree, if it can be known, and hash of the last record, at each size a checkpoint is of. Until
        `finish` the peaks are those within the last block alone.
        """
        self.breaks: list[list[int]] = []
        self.gaps: list[list[int]] = []
        self.blanks: list[list[int]] = []
        self.own: list[tuple[int, bytes]] = []
        self.open: set[int] = set()
        self.closed: set[int] = set()
        """Opened before the start."""
        self.is_complete = True
        self._sizes = sorted((size for size in set(sizes) if size > start), reverse=True)

    def add(self, rows: list[Row]) -> None:
        """A block of rows; the last may be shorter."""
        while rows:
            num = 1 if rows[-1][0] - rows[0][0] + 1 != len(rows) else len(rows)
            while num < len(rows) and rows[num][0] == rows[num - 1][0] + 1:
                num += 1
            self._add_run(rows[:num])
            rows = rows[num:]

    def _add_run(self, rows: list[Row]) -> None:
        first, end = rows[0][0], rows[-1][0] + 1
        if is_after_gap := first != self.size:
            _extend(self.gaps, self.size, first - 1)
        leaves = leaves_of(rows)
        hashes = [row[3] for row in rows]
        expected = [
            hashlib.sha256(CHAIN + link + struct.pack(">Q", position) + leaf).digest()
            for link, position, leaf in zip([self.head, *hashes], range(first, end), leaves)
        ]
        if is_after_gap:
            expected[0] = hashes[0]  # what stood before it is gone
        if expected != hashes:
            for position, is_same in enumerate(map(bytes.__eq__, expected, hashes), first):
                if not is_same:
                    _extend(self.breaks, position, position)
        levels = [] if self.gaps else subtrees(leaves)
        while self._sizes and self._sizes[-1] <= end:
            size = self._sizes.pop()
            if size > first:
                peaks = peaks_of(levels, size % BLOCK) if levels else None
                self.points[size] = peaks, hashes[size - first - 1]
        if levels and len(leaves) == BLOCK:
            self.blocks += levels[-1][0]
        self.size, self.head = end, hashes[-1]
        self._note_kinds(rows)

    def _note_kinds(self, rows: list[Row]) -> None:
        for position, record, _, _ in rows:
            if record is None:
                _extend(self.blanks, position, position)
                continue
            at = record.find(KIND)
            if at < 0:
                continue
            kind = record[at + 8 : at + 18]
            if kind == OPENED:
                if len(self.open) < MAX_OPEN:
                    self.open.add(position)
            elif kind == CLOSED:
                found = CLOSES.search(record, at)
                if found and (number := int(found[1])) in self.open:
                    self.open.remove(number)
                elif found and len(self.closed) < MAX_OPEN:
                    self.closed.add(int(found[1]))
            elif OWN in record and len(self.own) < MAX_RUNS:
                self.own.append((position, record))

    def finish(self) -> None:
        peaks: list[bytes] = []
        num = 0
        for size, (inner, head) in sorted(self.points.items()):
            while num < size // BLOCK and inner is not None:
                root, rest = bytes(self.blocks[32 * num : 32 * num + 32]), num
                while rest & 1:
                    root, rest = sha256(b"\x01" + peaks.pop() + root), rest >> 1
                peaks.append(root)
                num += 1
            self.points[size] = (None if inner is None else [*peaks, *inner]), head


def leaves_of(rows: Iterable[Row]) -> list[bytes]:
    """A hash that has begun is copied, which is faster than beginning it for each."""
    leaves, begun = [], hashlib.sha256(b"\0")
    for _, record, leaf, _ in rows:
        if record is None:
            leaves.append(leaf)
        else:
            digest = begun.copy()
            digest.update(record)
            leaves.append(digest.digest())
    return leaves


def _extend(runs: list[list[int]], first: int, last: int) -> None:
    if runs and (runs[-1][1] == first - 1 or len(runs) >= MAX_RUNS):
        runs[-1][1] = last
    else:
        runs.append([first, last])


# Keys and checkpoints.


class Keys:
    """Which key signs from which position on: record 0 names the first, and each signs the one after it."""

    def __init__(self, own: Iterable[tuple[int, bytes]], known: str | None, report: Report) -> None:
        self.origin = ""
        self._keys: list[tuple[int, bytes]] = []
        self.expired: list[tuple[int, int, int]] = []
        entries = list(own)
        if known and not (entries and entries[0][0] == 0):
            # What names it is gone: the rest can be judged all the same.
            self.origin, _, text = known.split("+", 2)
            self._keys.append((-1, decoded(text, 33)[1:]))
        for position, record in entries:
            try:
                self._take(position, json.loads(record), report)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                report.add("key", "this record about the evidence itself cannot be read", position)
        if not any(position == 0 for position, _ in self._keys):
            report.add("key", "record 0 should name the key, and does not", 0)
        report.origin, report.keys = self.origin, [(at, verifier_key(self.origin, key)) for at, key in self._keys]
        report.is_key_known = known in {key for _, key in report.keys}
        if known is not None and not report.is_key_known:
            report.add("key", f"it is not signed by the key that is known, {known[:300]}", 0)

    def in_force(self, size: int) -> bytes:
        """For a checkpoint of `size` records; empty: none."""
        return next((key for position, key in reversed(self._keys) if position < size), b"")

    def _take(self, position: int, record: dict[str, Any], report: Report) -> None:
        kind = record["kind"]
        if kind == "evidence.expired":
            self.expired.append((int(record["first"]), int(record["last"]), position))
            return
        public = decoded(record["public_key"], 32)
        if kind == "evidence.begun":
            if position:
                report.add("key", "the evidence begins a second time", position)
                return
            self.origin = str(record["origin"])
        elif kind == "evidence.key_rotated":
            signature = decoded(record.pop("signature"), 64)
            text = json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
            is_ours = self._keys and record["origin"] == self.origin
            if not is_ours or not is_signed(self._keys[-1][1], signature, ROTATION + text):
                report.add("key", "the key before did not sign this new key", position)
                return
        self._keys.append((position, public))


def verifier_key(origin: str, public: bytes) -> str:
    return f"{origin}+{_key_id(origin, public).hex()}+{encoded(ED25519 + public)}"


def _key_id(origin: str, public: bytes) -> bytes:
    return sha256(origin.encode() + b"\n" + ED25519 + public)[:4]


def encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def decoded(text: str, num_bytes: int) -> bytes:
    """Base64 that could be written in no other way. Raises: ValueError."""
    value = base64.b64decode(text, validate=True)
    if len(value) != num_bytes or encoded(value) != text:
        raise ValueError(f"{text[:100]!r} is no base64 of {num_bytes} bytes")
    return value


def is_signed(public: bytes, signature: bytes, text: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_notes(text: str, where: str, report: Report) -> list[Note]:
    """The checkpoints that stand one after the other in `text`."""
    notes = [_note(found, where) for found in NOTE.finditer(text)]
    rest = NOTE.sub("", text).strip()
    if rest:
        report.add("checkpoint", f"{where} holds what is no checkpoint: {rest[:80]!r}")
    return notes


def _note(found: re.Match[str], where: str) -> Note:
    """Raises: ValueError."""
    text, _, _ = found[0].rpartition("\n\n")
    root, head = decoded(found[3], 32), decoded(found[4], 32)
    return Note(where, f"{text}\n", found[6], found[1], int(found[2]), root, head, int(found[5]))


def is_genuine(note: Note, keys: Keys) -> bool:
    """Whether the key in force at its size signed it."""
    public = keys.in_force(note.size)
    if not public or note.origin != keys.origin:
        return False
    for line in note.signatures.splitlines():
        _, name, encoded = line.split(" ", 2)
        if name == note.origin:
            try:
                signature = decoded(encoded, 68)
            except ValueError:
                return False
            return signature[:4] == _key_id(name, public) and is_signed(public, signature[4:], note.text.encode())
    return False


def judge_notes(notes: list[Note], walk: Walk, keys: Keys, report: Report) -> Note | None:
    """Compares the checkpoints with the records; the newest that is right."""
    beyond = max((note for note in notes if note.size > walk.size), key=lambda note: note.size, default=None)
    if beyond:
        what = f"records are missing at the end: {beyond.where} has a checkpoint of {beyond.size}"
        report.add("truncated", what, walk.size, beyond.size - 1)
    genuine: dict[str, list[Note]] = {}
    for note in sorted(notes, key=lambda note: note.size):
        if note.size > walk.size:
            continue
        if is_genuine(note, keys):
            genuine.setdefault(note.where, []).append(note)
        else:
            report.add("checkpoint", f"the key did not sign the checkpoint of {note.size} in {note.where}", note.size)
    right = [note for same_place in genuine.values() for note in _right_ones(same_place, walk, report)]
    newest = max(right, key=lambda note: note.size, default=None)
    report.covered = newest.size if newest else 0
    return newest


def _right_ones(notes: list[Note], walk: Walk, report: Report) -> list[Note]:
    """Those of one place, in order of size, that fit the records."""
    right: list[Note] = []
    odd: list[Note] = []
    for note in notes:
        if _is_explained(note, walk):
            continue
        if not _is_right(note, walk):
            odd.append(note)
            continue
        for other in odd:
            report.add("fork", f"the checkpoint of {other.size} in {other.where} is of other records", other.size)
        right, odd = [*right, note], []
    if odd:
        what = f"changed, and hashed anew: the checkpoint of {odd[0].size} in {odd[0].where} is of other records"
        report.add("rewritten", what, right[-1].size if right else 0, odd[0].size - 1)
    return right


def _is_right(note: Note, walk: Walk) -> bool:
    peaks, head = walk.points[note.size]
    # What the links show is told where it is: the root, which it changes too, says nothing more.
    is_told = peaks is None or any(first < note.size for first, _ in walk.breaks)
    return head == note.head and (is_told or folded(peaks or []) == note.root)


def _is_explained(note: Note, walk: Walk) -> bool:
    """Whether its last record is one that is missing, or does not follow: that is told already."""
    return note.size not in walk.points or any(first < note.size <= last + 1 for first, last in walk.breaks)


def judge_walk(walk: Walk, keys: Keys, report: Report) -> None:
    report.num_records = walk.size
    for first, last in walk.gaps:
        report.add("gap", "records are missing", first, last)
    for first, last in walk.breaks:
        if first == last:
            report.add("edited", "this record, or the hash before it, is not the one that was written", first)
        else:
            what = "these records do not follow from each other: changed, moved, put in or taken out"
            report.add("edited", what, first, last)
    for blank in walk.blanks if walk.is_complete else []:
        for first, last in _outside(blank, keys.expired):
            report.add("blanked", "emptied, and no later record says that its time was over", first, last)
    report.expired = [(first, last) for first, last, _ in keys.expired]
    report.num_cuts = len(walk.open)
    report.cuts = sorted(walk.open)[:100]


def _outside(blank: list[int], expired: list[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    """The parts of a run of blanked records that no range of a later record holds."""
    first, last = blank
    for start, end, named_at in sorted(expired):
        if named_at > last and end >= first and start <= last:
            if start > first:
                yield first, start - 1
            first = end + 1
    if first <= last:
        yield first, last


# A database.


@dataclass
class Examined:
    """What proofs are made from. `newest` is the newest checkpoint that is right."""

    walk: Walk
    keys: Keys
    newest: Note | None
    notes: list[Note]


def opened(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, in one view of the data. Raises: Unreadable, sqlite3.Error."""
    address, log = f"{path.absolute().as_uri()}?mode=ro", path.with_name(f"{path.name}-wal")
    try:
        return _connected(address)
    except sqlite3.OperationalError as exc:
        if log.exists() and log.stat().st_size:
            raise Unreadable(f"{path} cannot be opened: {exc}; copy it with {log.name} to where you may write") from exc
        # Where nothing may be written beside it, SQLite cannot share a log; without a log there is nothing to share.
        return _connected(f"{address}&immutable=1")


def _connected(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        connection.text_factory = bytes
        if hasattr(connection, "setlimit"):  # Python 3.11
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_TEXT_BYTES)
        for pragma in ("query_only = ON", "cell_size_check = ON", "mmap_size = 0"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def examine_database(
    connection: sqlite3.Connection, key: str | None, elsewhere: list[Note], report: Report
) -> Examined | None:
    """None: its tables are not those of gemstead, and reading on would mean running what somebody put there."""
    if not _has_our_schema(connection, report):
        return None
    own = _own_notes(connection, report)
    sizes = sorted({note.size for note in [*own, *elsewhere]})
    walk = _walked_quickly(connection, sizes) or _walked(connection, sizes, report)
    walk.finish()
    keys = Keys(walk.own, key, report)
    judge_walk(walk, keys, report)
    known_sizes, signed = {note.size for note in own}, {(note.text, note.signatures) for note in own}
    for note in elsewhere:
        if note.size not in known_sizes and note.size <= walk.size and is_genuine(note, keys):
            report.add("checkpoint", f"{note.where} has a checkpoint that is gone from the database", note.size)
    others = [note for note in elsewhere if (note.text, note.signatures) not in signed]
    newest = judge_notes([*own, *others], walk, keys, report)
    _judge_peaks(connection, walk, report)
    report.num_checkpoints = len(own)
    report.findings.sort(key=lambda finding: -1 if finding.position is None else finding.position)
    return Examined(walk, keys, newest, own)


def _walked(connection: sqlite3.Connection, sizes: list[int], report: Report) -> Walk:
    walk = Walk(sizes)
    try:
        for rows in _rows(connection, report):
            walk.add(rows)
    except sqlite3.Error as exc:
        report.add("damaged", f"the file cannot be read from here on: {exc}", walk.size)
        walk.is_complete = False
    return walk


def _walked_quickly(connection: sqlite3.Connection, sizes: list[int]) -> Walk | None:
    """A long chain is split among the processors. None: something is not as it should be; then one looks closely."""
    (_, _, path), *_ = connection.execute("PRAGMA database_list")
    ends = "SELECT (SELECT min(position) FROM records NOT INDEXED), (SELECT max(position) FROM records NOT INDEXED)"
    first, last = connection.execute(ends).fetchone()
    if first != 0:
        return None
    end = last + 1
    num = min(os.cpu_count() or 1, MAX_WORKERS, end // MIN_SHARE)
    try:
        if num < 2:
            return _share_of(connection, 0, end, sizes)
        share = -(-end // num // BLOCK) * BLOCK
        shares = [(_text(path), start, min(start + share, end), sizes) for start in range(0, end, share)]
        with ProcessPoolExecutor(num, get_context("spawn")) as pool:
            parts = list(pool.map(_share, shares))
    except NOT_OURS:
        return None
    whole = Walk(())
    for part in parts:
        if part is None:
            return None
        whole.size, whole.head = part.size, part.head
        whole.blocks += part.blocks
        whole.points |= part.points
        whole.blanks += part.blanks
        whole.own += part.own
        whole.open = (whole.open | part.open) - part.closed
    return whole


def _share(asked: tuple[str, int, int, list[int]]) -> Walk | None:
    path, start, end, sizes = asked
    with closing(opened(Path(path))) as connection:
        return _share_of(connection, start, end, sizes)


def _share_of(connection: sqlite3.Connection, start: int, end: int, sizes: list[int]) -> Walk | None:
    """The records from `start` to `end`, if nothing is wrong with them."""
    before = connection.execute("SELECT hash FROM records NOT INDEXED WHERE position = ?", (start - 1,)).fetchone()
    walk = Walk((size for size in sizes if size <= end), start, before[0] if before else START)
    cursor = connection.execute(QUICK_ROWS, (start, end))
    while rows := cursor.fetchmany(BLOCK):
        walk.add(rows)
        if walk.gaps or walk.breaks:
            return None
    return walk if walk.size == end else None


def _has_our_schema(connection: sqlite3.Connection, report: Report) -> bool:
    num_before = len(report.findings)
    found: set[str] = set()
    for kind, raw_name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        name, text = _text(raw_name), " ".join(_text(sql).split())
        is_automatic = sql is None and kind == b"index" and name.startswith("sqlite_autoindex_")
        if name in found or not (is_automatic or text == SCHEMA.get(name)):
            report.add("schema", f"the {_text(kind)[:20]} {name[:60]} is not gemstead's")
        found.add(name)
    for name in sorted(SCHEMA.keys() - found):
        report.add("schema", f"{name} is missing")
    if len(report.findings) > num_before:
        return False
    for (version,) in connection.execute("SELECT version_num FROM alembic_version"):
        if version not in VERSIONS:
            report.add("schema", f"the version of its tables is {version!r:.60}, which this program does not know")
    return True


def _check_indexes(connection: sqlite3.Connection, report: Report) -> None:
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != b"ok":
            report.add("index", f"records would be looked up wrongly: {_text(line)[:200]}")


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _own_notes(connection: sqlite3.Connection, report: Report) -> list[Note]:
    notes = []
    for size, at_ms, note in connection.execute("SELECT size, at_ms, note FROM checkpoints ORDER BY size"):
        where = "the database"
        try:
            found = NOTE.fullmatch(note.decode()) if isinstance(note, bytes) else None
            read = _note(found, where) if found else None
        except ValueError:
            read = None
        if read is None or read.signatures.count("\n") != 1:
            report.add("checkpoint", f"the checkpoint of {size} is none", size)
        elif read.size != size or read.at_ms != at_ms:
            report.add("checkpoint", f"the row of the checkpoint of {size} says other than what was signed", size)
        else:
            notes.append(read)
    return notes


FINE = (
    "position >= 0 AND typeof(hash) = 'blob' AND length(hash) = 32 AND ((typeof(record) = 'text' AND leaf IS NULL) OR "
    "(record IS NULL AND typeof(leaf) = 'blob' AND length(leaf) = 32))"
)
ROWS = "SELECT position, record, leaf, hash FROM records NOT INDEXED WHERE position >= ? ORDER BY position"
QUICK_ROWS = (
    "SELECT position, record, leaf, hash FROM records NOT INDEXED WHERE position >= ? AND position < ? AND hash >= x'' "
    "AND ((record < x'' AND leaf IS NULL) OR (record IS NULL AND leaf >= x'')) ORDER BY position"
)
"""Without rows of other types, which is the same as a gap: to SQLite every blob is after every text."""


def _rows(connection: sqlite3.Connection, report: Report) -> Iterator[list[Row]]:
    """Block by block. Raises: sqlite3.Error where the file cannot be read on, after all rows before that."""
    try:
        sql = f"SELECT position FROM records NOT INDEXED WHERE NOT ({FINE}) LIMIT 1000"  # noqa: S608
        bad = connection.execute(sql).fetchall()
    except sqlite3.Error:
        bad = None
    for (position,) in bad or []:
        report.add("edited", "something else than one record, or its leaf, and a hash stands here", position)
    cursor, end = connection.execute(ROWS, (0,)), 0
    while True:
        try:
            rows, damage = cursor.fetchmany(BLOCK), None
        except sqlite3.Error as exc:
            rows, damage = list(_readable(connection, end)), exc
        if rows:
            yield [_as_bytes(row) for row in rows] if bad != [] else rows
            end = rows[-1][0] + 1
        if damage:
            raise damage
        if not rows:
            return


def _readable(connection: sqlite3.Connection, start: int) -> Iterator[Row]:
    cursor = connection.execute(ROWS, (start,))
    try:
        yield from cursor
    except sqlite3.Error:
        return


def _as_bytes(row: Row) -> Row:
    position, record, leaf, link = row
    if record is not None and not isinstance(record, bytes):
        record = str(record).encode()
    return position, record, leaf if isinstance(leaf, bytes) else START, link if isinstance(link, bytes) else b""


def _judge_peaks(connection: sqlite3.Connection, walk: Walk, report: Report) -> None:
    if walk.breaks or walk.gaps:
        return
    for size, peaks in connection.execute("SELECT size, peaks FROM checkpoints ORDER BY size"):
        known, _ = walk.points.get(size, (None, b""))
        if known is not None and peaks != b"".join(known):
            report.add("checkpoint", f"the tree kept with the checkpoint of {size} is not that of the records", size)


def proofs_of(connection: sqlite3.Connection, examined: Examined, size: int) -> Proofs:
    """In the tree of the first `size` records."""

    def block_of(number: int) -> list[bytes]:
        return leaves_of(connection.execute(f"{ROWS} LIMIT ?", (number * BLOCK, BLOCK)))

    return Proofs(bytes(examined.walk.blocks), size, block_of)


def prove(path: Path | str, position: int) -> dict[str, Any]:
    """A proof, to be checked offline, that the newest checkpoint covers the record at `position`.

    Raises: Unreadable if there is none that does.
    """
    with closing(opened(Path(path))) as connection:
        examined = examine_database(connection, None, [], Report(str(path)))
        if examined is None or examined.newest is None or not 0 <= position < examined.newest.size:
            raise Unreadable(f"no checkpoint covers position {position}")
        newest = examined.newest
        proofs, entries = proofs_of(connection, examined, newest.size), []
        for at in sorted({at for at, _ in examined.walk.own if at < newest.size} | {position}):
            sql = "SELECT record, leaf FROM records NOT INDEXED WHERE position = ?"
            record, leaf = connection.execute(sql, (at,)).fetchone()
            kept = {"leaf": encoded(leaf)} if record is None else {"record": record.decode()}
            leaf, path_up = leaf if record is None else sha256(b"\0" + record), proofs.inclusion(at)
            if not is_included(leaf, at, newest.size, path_up, newest.root):
                raise Unreadable(f"the record at {at} is not the one that the checkpoint of {newest.size} covers")
            entries.append({"position": at, **kept, "proof": list(map(encoded, path_up))})
    note = f"{newest.text}\n{newest.signatures}"
    return {"schema": "gemstead/evidence-proof/1", "proves": position, "checkpoint": note, "records": entries}


# A proof, and a bundle for an auditor.


class Selection:
    """Records that stand alone, each with its proof of inclusion in the tree of one checkpoint."""

    def __init__(self, checkpoint: str, report: Report) -> None:
        found = NOTE.fullmatch(checkpoint)
        if found is None:
            raise Unreadable("the checkpoint that all proofs are against is none")
        self.note = _note(found, report.source)
        self.own: list[tuple[int, bytes]] = []
        self._report = report

    def add(self, position: int, record: bytes | None, leaf: bytes, proof: list[str]) -> None:
        self._report.num_records += 1
        path = [decoded(node, 32) for node in proof]
        if record is not None:
            leaf = sha256(b"\0" + record)
            if OWN in record and len(self.own) < MAX_RUNS:
                self.own.append((position, record))
        if not is_included(leaf, position, self.note.size, path, self.note.root):
            self._report.add("edited", "this record is not the one that the checkpoint covers", position)

    def judge(self, key: str | None, elsewhere: list[Note], consistency: dict[int, list[bytes]]) -> Keys:
        keys, report, note = Keys(sorted(self.own), key, self._report), self._report, self.note
        if is_genuine(note, keys):
            report.covered = note.size
        else:
            report.add("checkpoint", "the key did not sign the checkpoint", note.size)
        for other in elsewhere:
            if not is_genuine(other, keys):
                report.add("checkpoint", f"the key did not sign the one in {other.where}", other.size)
            elif other.size > note.size:
                report.add("truncated", f"{other.where} covers {other.size} records", note.size, other.size - 1)
            elif other.size != note.size and other.size not in consistency:
                report.add("checkpoint", f"there is no proof for the one in {other.where}", other.size)
            elif not is_consistent(other, note, consistency.get(other.size, [])):
                report.add("fork", f"the checkpoint in {other.where} is of other records", other.size)
        return keys


def _examine_proof(content: bytes, key: str | None, elsewhere: list[Note], report: Report) -> None:
    if len(content) > MAX_TEXT_BYTES:
        raise Unreadable("it is too long for a proof")
    proof = json.loads(content)
    if proof["schema"] != "gemstead/evidence-proof/1":
        raise Unreadable("it is no proof of gemstead")
    selection = Selection(proof["checkpoint"], report)
    positions = set()
    for entry in proof["records"]:
        leaf = decoded(entry["leaf"], 32) if "leaf" in entry else b""
        record = None if "leaf" in entry else entry["record"].encode()
        selection.add(entry["position"], record, leaf, entry["proof"])
        positions.add(entry["position"])
    if proof["proves"] not in positions:
        report.add("gap", "the record that it speaks of is not in it", proof["proves"])
    selection.judge(key, elsewhere, {})


ENTRIES = {"README.txt", "manifest.json", "manifest.sig", "records.jsonl", "checkpoints.txt", "verify.py"}
LINE = re.compile(
    rb'\{"hash":"([A-Za-z0-9+/]{43}=)"(?:,"leaf":"([A-Za-z0-9+/]{43}=)")?,"position":(0|[1-9]\d{0,15})'
    rb'(?:,"proof":\[((?:"[A-Za-z0-9+/]{43}=",?)*)\])?,"record":(null|\{.*\})\}\n'
)


def _examine_bundle(path: Path, key: str | None, elsewhere: list[Note], report: Report) -> None:
    _check_layout(path, report)
    with zipfile.ZipFile(path) as bundle:
        content = _entry(bundle, "manifest.json")
        manifest = json.loads(content)
        if manifest["schema"] != "gemstead/evidence-bundle/1":
            raise Unreadable("it is no bundle of gemstead")
        _check_digests(bundle, manifest["files"], report)
        notes = read_notes(_entry(bundle, "checkpoints.txt").decode(), "checkpoints.txt", report)
        report.num_checkpoints = len(notes)
        judge = _judge_whole if manifest["is_whole"] else _judge_selection
        keys = judge(bundle, manifest["checkpoint"], key, [notes, elsewhere], report)
        signature = decoded(_entry(bundle, "manifest.sig").decode().strip(), 64)
        if not report.keys or not is_signed(keys.in_force(sys.maxsize), signature, BUNDLE + content):
            report.add("manifest", "the key did not sign the manifest")
        if report.num_records != manifest["num_records"]:
            report.add("truncated", f"the manifest counts {manifest['num_records']} records", report.num_records)


def _judge_whole(
    bundle: zipfile.ZipFile, checkpoint: str, key: str | None, notes: list[list[Note]], report: Report
) -> Keys:
    every = [*notes[0], *notes[1], *read_notes(checkpoint, "the manifest", report)]
    walk = Walk(note.size for note in every)
    rows: list[Row] = []
    for position, record, leaf, link, _ in _lines(bundle, report):
        if (rows and position <= rows[-1][0]) or position < walk.size:
            report.add("edited", f"a second record, or one in the wrong place: {position}", walk.size + len(rows))
            walk.is_complete = False
            break
        rows.append((position, record, leaf, link))
        if len(rows) == BLOCK:
            walk.add(rows)
            rows = []
    walk.add(rows)
    walk.finish()
    keys = Keys(walk.own, key, report)
    judge_walk(walk, keys, report)
    judge_notes(every, walk, keys, report)
    if report.covered < walk.size:
        report.add("uncovered", "no checkpoint covers what follows", report.covered, walk.size - 1)
    return keys


def _judge_selection(
    bundle: zipfile.ZipFile, checkpoint: str, key: str | None, notes: list[list[Note]], report: Report
) -> Keys:
    selection = Selection(checkpoint, report)
    for position, record, leaf, _, proof in _lines(bundle, report):
        selection.add(position, record, leaf or b"", proof)
    paths = {}
    for line in _entry(bundle, "consistency.jsonl").splitlines():
        entry = json.loads(line)
        paths[entry["size"]] = [decoded(node, 32) for node in entry["proof"]]
    return selection.judge(key, [*notes[0], *notes[1]], paths)


def _lines(
    bundle: zipfile.ZipFile, report: Report
) -> Iterator[tuple[int, bytes | None, bytes | None, bytes, list[str]]]:
    with bundle.open("records.jsonl") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(MAX_TEXT_BYTES), b""), 1):
            found = LINE.fullmatch(line)
            if found is None or (found[5] == b"null") != (found[2] is not None):
                report.add("bundle", f"line {number} of records.jsonl is not one that gemstead writes: {line[:60]!r}")
                return
            record = None if found[5] == b"null" else found[5]
            leaf = None if found[2] is None else decoded(found[2].decode(), 32)
            proof = [node.strip('"') for node in (found[4] or b"").decode().split(",") if node]
            yield int(found[3]), record, leaf, decoded(found[1].decode(), 32), proof


def _entry(bundle: zipfile.ZipFile, name: str) -> bytes:
    with bundle.open(name) as entry:
        content = entry.read(MAX_TEXT_BYTES + 1)
    if len(content) > MAX_TEXT_BYTES:
        raise Unreadable(f"{name} is too long")
    return content


def _check_digests(bundle: zipfile.ZipFile, files: dict[str, dict[str, Any]], report: Report) -> None:
    names = set(bundle.namelist())
    expected = set(files) | {"manifest.json", "manifest.sig"}
    if names != expected or not ENTRIES <= names <= ENTRIES | {"consistency.jsonl"}:
        report.add("manifest", f"what it holds is not what the manifest lists: {', '.join(sorted(names ^ expected))}")
    for name in sorted(set(files) & names):
        digest = hashlib.sha256()
        with bundle.open(name) as entry:
            while part := entry.read(1 << 20):
                digest.update(part)
        if digest.hexdigest() != files[name]["sha256"]:
            report.add("manifest", f"{name} is not what the manifest says")


def _check_layout(path: Path, report: Report) -> None:
    """Nothing before, between or after the entries, and none twice: no two programs see different contents."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as bundle, path.open("rb") as file:
        at, end = 0, bundle.start_dir
        infos = sorted(bundle.infolist(), key=lambda info: info.header_offset)
        for info in infos:
            file.seek(info.header_offset)
            header = file.read(30)
            name_length, extra_length = struct.unpack_from("<HH", header, 26)
            is_same = file.read(name_length) == info.orig_filename.encode()
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Unreadable(f"{info.filename[:60]!r} is packed in a way that gemstead does not use")
            is_plain = not (info.flag_bits & 9 or info.extra or info.comment) and extra_length in (0, 20)
            if info.header_offset != at or not is_same or not is_plain:
                report.add("bundle", f"the entry {info.filename[:60]!r} is not as gemstead writes it")
            at += 30 + name_length + extra_length + info.compress_size
            end += 46 + name_length
        if len({info.filename for info in infos}) != len(infos):
            report.add("bundle", "an entry is there twice")
        if at != bundle.start_dir or bundle.comment or size not in (end + 22, end + 98):
            report.add("bundle", "bytes stand before, between or after its entries")


# The command.


def told(report: Report) -> str:
    """A report as text."""
    lines = [f"{report.source}: {'as it was written' if report.is_clean else 'NOT as it was written'}"]
    for finding in report.findings:
        where = "" if finding.position is None else f"position {finding.position}"
        if finding.last is not None and finding.last != finding.position:
            where = f"positions {finding.position} to {finding.last}"
        lines.append(f"  {finding.kind:<11} {where}{': ' if where else ''}{finding.what}")
    elsewhere = f", {report.num_elsewhere} elsewhere" if report.num_elsewhere else ""
    lines.append(f"  records     {report.num_records} of {report.origin or 'nobody'}")
    lines.append(f"  checkpoints {report.num_checkpoints}{elsewhere}; the newest covers {report.covered} records")
    for position, key in report.keys:
        lines.append(f"  key         from {position}: {key}")
    if report.keys and not report.is_key_known:
        lines.append("              named by the evidence itself; compare it with one you know (--key)")
    for first, last in report.expired:
        lines.append(f"  expired     {first} to {last}: emptied when their time was over, and recorded")
    if report.num_cuts:
        some = ", ".join(map(str, report.cuts[:10])) + (", ..." if report.num_cuts > 10 else "")
        lines.append(f"  unfinished  {report.num_cuts} exchanges began and did not end: {some}")
    return "\n".join([*lines, *(f"  remark      {remark}" for remark in report.remarks)])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("path", type=Path, help="evidence.db, a bundle (.zip) or a proof (.json)")
    parser.add_argument("--key", help="the verifier key you were given: origin+id+base64")
    parser.add_argument("--checkpoint", action="append", type=Path, default=[], help="a file of checkpoints")
    parser.add_argument("--max-uncovered", type=int, default=MAX_UNCOVERED, help="records after the last checkpoint")
    parser.add_argument("--prove", type=int, metavar="N", help="print a proof that the record at N is covered")
    parser.add_argument("--deep", action="store_true", help="look at the indexes of the database too")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    try:
        elsewhere = [(str(path), path.read_text("utf-8")[:MAX_TEXT_BYTES]) for path in given.checkpoint]
        if given.prove is not None:
            sys.stdout.write(json.dumps(prove(given.path, given.prove), indent=1, ensure_ascii=False) + "\n")
            return 0
        report = examine(given.path, given.key, elsewhere, given.max_uncovered, given.deep)
    except (Unreadable, OSError, ValueError) as exc:
        sys.stderr.write(f"error: {exc}\n")
        return 2
    sys.stdout.write(f"{json.dumps(report.plain(), indent=1) if given.json else told(report)}\n")
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
