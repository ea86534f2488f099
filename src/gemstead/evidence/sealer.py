"""Makes the checkpoints of a chain: keeps its tree up to date, and signs what it holds."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from gemstead.core.errors import FileDamaged
from gemstead.evidence.appender import HASH_BYTES, Appended, Appender, Head
from gemstead.evidence.chain import Link, first_break
from gemstead.evidence.checkpoint import Checkpoint, opened, signed
from gemstead.evidence.identity import Identity
from gemstead.evidence.rotation import ROTATED, settled
from gemstead.evidence.tree import GrowingTree, leaf_hash

BEGUN = "evidence.begun"


class Sealer:
    """Used by one thread at a time, over the writer's connection.

    The tree lags behind the chain where another process appended; it catches up when a checkpoint is made.
    """

    def __init__(self, appender: Appender, identity: Identity) -> None:
        self._appender = appender
        self._identity = identity
        self._tree = GrowingTree()
        self._head = Head()
        self.sealed_size = 0
        """Of the last checkpoint."""

    @property
    def size(self) -> int:
        """Records in the tree."""
        return self._tree.size

    def open(self) -> None:
        """Takes up the tree at the last checkpoint, whose signed root vouches for what was kept of it, and checks the
        records since. So a chain of any length opens at once; to verify all of it is `gemstead evidence verify`'s.

        Raises: FileDamaged if the records are not those that were sealed, or the key is not the chain's;
        SettingInvalid, Missing; EvidenceUnavailable.
        """
        self._identity = settled(self._identity, self.named_key())
        self._resume()
        self._catch_up()

    def grow(self, group: Appended) -> None:
        """Takes in what was appended, if nothing is missing before it."""
        if group.first == self._tree.size:
            for leaf in group.leaves:
                self._tree.append(leaf)
            self._head = group.head

    def seal(self, at_ms: int) -> str:
        """The signed note of all that is in the chain now. It is kept, and safe against power loss with all it covers.

        Raises: EvidenceUnavailable, FileDamaged; SettingInvalid or Missing if the key was rotated and is not here.
        """
        self._catch_up()
        self._identity = settled(self._identity, self.named_key(self._tree.size))
        checkpoint = Checkpoint(self._identity.origin, self._tree.size, self._tree.root(), self._head.hash, at_ms)
        self._appender.write(
            "INSERT OR IGNORE INTO checkpoints (size, at_ms, note, peaks) VALUES (?, ?, ?, ?)",
            (checkpoint.size, at_ms, signed(checkpoint, self._identity.key), b"".join(self._tree.peaks)),
        )
        # Where another process was first, its note stands: one for each size.
        self.sealed_size = checkpoint.size
        ((note,),) = self._appender.rows("SELECT note FROM checkpoints WHERE size = ?", (checkpoint.size,))
        return str(note)

    def _resume(self) -> None:
        found = list(self._appender.rows("SELECT size, note, peaks FROM checkpoints ORDER BY size DESC LIMIT 1"))
        if not found:
            return
        size, note, peaks = found[0]
        if not (isinstance(size, int) and isinstance(note, str) and isinstance(peaks, bytes)):
            raise _damaged("the last checkpoint is no checkpoint")
        checkpoint = opened(note, self._identity.origin, self.named_key(size))
        head = list(self._appender.rows("SELECT hash FROM records WHERE position = ?", (checkpoint.size - 1,)))
        if checkpoint.size != size or head != [(checkpoint.head,)]:
            raise _damaged(f"the record at position {size - 1} is not the one that the checkpoint of {size} names")
        self.sealed_size = size
        tree = _tree_of(size, peaks)
        if tree is not None and tree.root() == checkpoint.root:
            self._tree, self._head = tree, Head(size, checkpoint.head)
            return
        # What was kept of the tree is only a short cut: without it the records themselves are read.
        self._catch_up(until=size)
        if self._tree.root() != checkpoint.root:
            raise _damaged(f"the records do not give the root that the checkpoint of {size} names")

    def _catch_up(self, until: int | None = None) -> None:
        """Reads what the tree lacks, up to `until` records. Raises: FileDamaged at the first broken link."""
        end = -1 if until is None else until - self._tree.size
        sql = "SELECT position, record, leaf, hash FROM records WHERE position >= ? ORDER BY position LIMIT ?"
        for position, record, leaf, digest in self._appender.rows(sql, (self._tree.size, end)):
            link = _link(position, record, leaf, digest)
            found = first_break([link], position=self._tree.size, previous=self._head.hash)
            if found is not None:
                raise _damaged(f"{found.why} (position {found.position})")
            self._tree.append(link.leaf)
            self._head = Head(self._tree.size, link.hash)

    def named_key(self, size: int | None = None) -> bytes:
        """The public key that the first `size` records name last; None: all.

        Raises: FileDamaged, EvidenceUnavailable.
        """
        limit = "" if size is None else f" AND position < {size:d}"
        for kind in (ROTATED, BEGUN):
            sql = f"SELECT record FROM records WHERE kind = ?{limit} ORDER BY position DESC LIMIT 1"  # noqa: S608
            for (record,) in self._appender.rows(sql, (kind,)):
                return _named_key(record)
        raise _damaged("no record names the key of this chain")


def _named_key(record: object) -> bytes:
    try:
        fields: Any = json.loads(str(record))
        return base64.b64decode(fields["public_key"], validate=True)
    except (ValueError, TypeError, KeyError) as exc:
        raise _damaged("the record that names the key cannot be read") from exc


def _link(position: object, record: object, leaf: object, digest: object) -> Link:
    if not isinstance(position, int) or not isinstance(digest, bytes):
        raise _damaged(f"position {position} holds no record")
    if isinstance(record, str):
        return Link(position, leaf_hash(record.encode()), digest)
    if isinstance(leaf, bytes) and len(leaf) == HASH_BYTES:
        return Link(position, leaf, digest)
    raise _damaged(f"position {position} holds no record")


def _tree_of(size: int, peaks: bytes) -> GrowingTree | None:
    parts: Sequence[bytes] = [peaks[start : start + HASH_BYTES] for start in range(0, len(peaks), HASH_BYTES)]
    try:
        return GrowingTree(size, parts)
    except ValueError:
        return None


def _damaged(why: str) -> FileDamaged:
    return FileDamaged(
        "the evidence is not what was written",
        why=why,
        hint="gemstead evidence verify shows where; to begin anew, keep evidence.db elsewhere and move it away",
    )
