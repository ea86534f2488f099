"""A file for an auditor: records, what proves them, the program that checks it, and a page that says how.

What it is worth is told in the page too: it proves that each record is the one that was written, not that a selection
left none out; of all records, without a filter, it proves both.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from gemstead.app.evidence import identity_path, opened_ledger_of, write_event
from gemstead.app.evidence_query import Filter, condition, database_of, moment
from gemstead.core.errors import DiskFull, FileDamaged, RequestInvalid
from gemstead.evidence import records, verify
from gemstead.evidence.canonical import Value
from gemstead.evidence.identity import read_identity
from gemstead.settings.load import Loaded
from gemstead.store.digest import file_sha256

ENTRY_DATE = (1980, 1, 1, 0, 0, 0)
"""The time an archive is made is in its signed manifest, nowhere else."""


class Bundle(msgspec.Struct, frozen=True):
    path: str
    num_records: int
    num_bytes: int
    sha256: str
    checkpoint_size: int
    verifier_key: str
    is_whole: bool


def write_bundle(loaded: Loaded, asked: Filter, target: Path, *, now_ms: int) -> Bundle:
    """Writes `target`, whole or not at all, after a checkpoint that covers everything until now; it leaves a record.

    Raises: RequestInvalid if it is there already; Missing; FileDamaged if the evidence does not verify;
    EvidenceUnavailable, SettingInvalid; DiskFull.
    """
    path = database_of(loaded)
    if target.exists():
        raise RequestInvalid(f"{target} exists", param="bundle", hint="choose a new file")
    with opened_ledger_of(loaded) as ledger:
        ledger.checkpoint_now()
    report, draft = verify.Report(str(path)), target.with_name(f".{target.name}.part")
    try:
        with closing(verify.opened(path)) as connection:
            examined = verify.examine_database(connection, None, [], report)
            if examined is None or examined.newest is None or report.findings:
                raise _not_as_written(report)
            source = _Source(connection, examined, examined.newest, asked)
            _write(draft, source, _Cover(loaded, report, asked, now_ms))
        digest = file_sha256(draft)
        fields: dict[str, Value] = {"sha256": digest, "num": source.num_records, "is_whole": source.is_whole}
        # Who looks into the records leaves one too.
        write_event(loaded, records.event("admin.evidence_exported", now_ms / 1000, **fields))
        draft.replace(target)
    except (sqlite3.Error, verify.Unreadable) as exc:
        raise FileDamaged(f"{path} cannot be read: {exc}", hint="gemstead evidence verify") from exc
    except OSError as exc:
        raise _cannot_write(target, exc) from exc
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    last_key = report.keys[-1][1]
    size = examined.newest.size
    return Bundle(str(target), source.num_records, target.stat().st_size, digest, size, last_key, asked.is_empty)


class _Source:
    """What goes into the bundle: lines of records, and of proofs between checkpoints."""

    def __init__(
        self, connection: sqlite3.Connection, examined: verify.Examined, newest: verify.Note, asked: Filter
    ) -> None:
        self.newest = newest
        self.notes = [note for note in examined.notes if note.size <= newest.size]
        self.is_whole = asked.is_empty
        self.num_records = 0
        self._connection = connection
        self._asked = asked
        self._own = [position for position, _ in examined.walk.own if position < newest.size]
        self._proofs = verify.proofs_of(connection, examined, newest.size)

    def records(self) -> Iterator[bytes]:
        for position, record, leaf, link in self._rows():
            self.num_records += 1
            parts = [f'{{"hash":"{verify.encoded(link)}"']
            if record is None:
                parts.append(f'"leaf":"{verify.encoded(leaf)}"')
            parts.append(f'"position":{position}')
            if not self.is_whole:
                nodes = ",".join(f'"{verify.encoded(node)}"' for node in self._proofs.inclusion(position))
                parts.append(f'"proof":[{nodes}]')
            # The record last, in its own bytes: they are what the hashes are of.
            yield f'{",".join(parts)},"record":'.encode() + (b"null" if record is None else record) + b"}\n"

    def consistency(self) -> Iterator[bytes]:
        for note in self.notes:
            if note.size < self.newest.size:
                proof = list(map(verify.encoded, self._proofs.consistency(note.size)))
                yield json.dumps({"size": note.size, "proof": proof}).encode() + b"\n"

    def _rows(self) -> Iterator[tuple[int, Any, Any, bytes]]:
        """The records that were asked for, and with a selection those that name the keys."""
        where, values = condition(self._asked)
        own = ", ".join(map(str, self._own)) if not self.is_whole else ""
        sql = (
            "SELECT position, record, leaf, hash FROM records "  # noqa: S608
            f"WHERE position < ? AND (({where}) OR position IN ({own})) ORDER BY position"
        )
        yield from self._connection.execute(sql, (self.newest.size, *values))


class _Cover:
    """What is said of the whole: the page, the manifest, and its signature."""

    def __init__(self, loaded: Loaded, report: verify.Report, asked: Filter, now_ms: int) -> None:
        self._identity = read_identity(identity_path(loaded.paths))
        self._report = report
        self._asked = asked
        self._now_ms = now_ms
        if self._identity.verifier_key != report.keys[-1][1]:
            raise FileDamaged("the signing key is not the one that the evidence names", hint="gemstead evidence key")

    def page(self, source: _Source) -> bytes:
        chosen = {name: value for name, value in msgspec.structs.asdict(self._asked).items() if value is not None}
        return PAGE.format(
            origin=self._report.origin,
            made=moment(self._now_ms),
            what=WHOLE if source.is_whole else SELECTION.format(filters=json.dumps(chosen)),
            size=source.newest.size,
            keys="\n".join(f"    from position {position}: {key}" for position, key in self._report.keys),
        ).encode()

    def manifest(self, source: _Source, files: dict[str, dict[str, Any]]) -> bytes:
        manifest = {
            "schema": "gemstead/evidence-bundle/1",
            "origin": self._report.origin,
            "made_ms": self._now_ms,
            "is_whole": source.is_whole,
            "filters": msgspec.structs.asdict(self._asked),
            "num_records": source.num_records,
            "checkpoint": f"{source.newest.text}\n{source.newest.signatures}",
            "keys": [{"position": position, "verifier_key": key} for position, key in self._report.keys],
            "files": files,
        }
        return json.dumps(manifest, indent=1, ensure_ascii=False).encode() + b"\n"

    def signature(self, manifest: bytes) -> bytes:
        return verify.encoded(self._identity.key.sign(verify.BUNDLE + manifest)).encode() + b"\n"


def _write(draft: Path, source: _Source, cover: _Cover) -> None:
    with zipfile.ZipFile(draft, "x", zipfile.ZIP_DEFLATED) as archive:
        files = {
            "README.txt": _put(archive, "README.txt", [cover.page(source)]),
            "verify.py": _put(archive, "verify.py", [Path(verify.__file__).read_bytes()]),
            "records.jsonl": _put(archive, "records.jsonl", source.records()),
            "checkpoints.txt": _put(
                archive, "checkpoints.txt", (f"{note.text}\n{note.signatures}\n".encode() for note in source.notes)
            ),
        }
        if not source.is_whole:
            files["consistency.jsonl"] = _put(archive, "consistency.jsonl", source.consistency())
        manifest = cover.manifest(source, files)
        _put(archive, "manifest.json", [manifest])
        _put(archive, "manifest.sig", [cover.signature(manifest)])


def _put(archive: zipfile.ZipFile, name: str, parts: Iterable[bytes]) -> dict[str, Any]:
    """Writes an entry, part by part; what the manifest says of it."""
    digest, num_bytes = hashlib.sha256(), 0
    info = zipfile.ZipInfo(name, ENTRY_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    with archive.open(info, "w", force_zip64=True) as entry:
        for part in parts:
            entry.write(part)
            digest.update(part)
            num_bytes += len(part)
    return {"sha256": digest.hexdigest(), "bytes": num_bytes}


def _not_as_written(report: verify.Report) -> FileDamaged:
    why = report.findings[0].what if report.findings else "no checkpoint covers it"
    return FileDamaged("the evidence is not as it was written", why=why, hint="gemstead evidence verify")


def _cannot_write(target: Path, exc: OSError) -> DiskFull | RequestInvalid:
    import errno

    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"there is no room for {target}", missing_bytes=0)
    return RequestInvalid(f"{target} cannot be written: {exc.strerror}", param="bundle")


WHOLE = "It holds every record. The chain shows that none was left out, changed or moved."
SELECTION = """It holds a selection: {filters},
  and the records that name the keys. Each has a proof that it is one of the records of this installation, at the
  position that it says. That no other record was left out of the selection cannot be proven this way; the manifest,
  which is signed, says what was selected. For all records, ask for a bundle without a filter."""

PAGE = """Evidence of {origin}, exported {made}

What this is
  Records of what a gemstead installation did: who asked which model, under which policy, and how it ended. There is no
  text of a prompt or an answer in it; people are pseudonyms.
  {what}
  The signed checkpoint in the manifest covers the first {size} records.

How to check it, offline
  python3 -m pip install cryptography        (once; Python 3.9 or newer)
  python3 verify.py BUNDLE.zip --key KEY --checkpoint FILE

  Take verify.py from a source that you trust rather than from here: whoever forges records can forge the program that
  checks them. It is src/gemstead/evidence/verify.py of gemstead, and needs nothing else of it.

  KEY is the verifier key that you were given beforehand, over another way than this file:
{keys}
  FILE holds checkpoints that were kept elsewhere, if you have some. Whoever has the signing key of the installation
  could make all of its records anew; only a key and a checkpoint that were out of reach at that time show it.

  Exit code 0: as it was written. 1: not so, and each finding names its position. 2: the file could not be read.

What is in it
  records.jsonl      one record a line, its bytes as they were hashed: leaf = SHA-256(0x00, record),
                     hash = SHA-256("gemstead chain 2\\n", hash before, position as 8 bytes, leaf)
  checkpoints.txt    signed notes (c2sp.org/signed-note): origin, number of records, root of their Merkle tree
                     (RFC 6962), hash of the last, time in milliseconds
  consistency.jsonl  with a selection: proofs that the tree of each older checkpoint is the beginning of the newest's
  manifest.json      what was exported, when, and the SHA-256 of each file; manifest.sig signs it
  verify.py          the program, to be read
"""
