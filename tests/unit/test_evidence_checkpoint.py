"""Checkpoints: only the text that the known key signed is believed."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gemstead.core.errors import FileDamaged
from gemstead.evidence.checkpoint import Checkpoint, opened, signed, verifier_key

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
POINT = Checkpoint("gemstead.test", 7, b"r" * 32, b"h" * 32, 5)
NOTE = signed(POINT, KEY)


def test_what_was_signed_is_read_back():
    assert opened(NOTE, "gemstead.test", PUBLIC) == POINT


def test_a_verifier_key_names_origin_and_key():
    name, key_id, _ = verifier_key("gemstead.test", PUBLIC).split("+", 2)
    assert (name, len(key_id)) == ("gemstead.test", 8)


CHANGES = {
    "size": NOTE.replace("\n7\n", "\n8\n"),
    "root": NOTE.replace("cnJy", "cnJz", 1),
    "head": NOTE.replace("aGho", "aGhp", 1),
    "time": NOTE.replace("time 5", "time 6"),
    "origin": NOTE.replace("gemstead.test", "another.test"),
    "line added": NOTE.replace("\n7\n", "\n7\nmore\n"),
    "signature left out": NOTE.partition("\n\n")[0],
    "signature empty": NOTE.partition("\n\n")[0] + "\n\n",
    "signature cut": NOTE[:-9] + "\n",
    "signature no base64": NOTE[:-9] + "!!\n",
    "signed anew by another key": signed(POINT, Ed25519PrivateKey.generate()),
    "no checkpoint": signed(Checkpoint("gemstead.test", 7, b"", b"", 5), KEY).replace("7", ""),
    "too long": NOTE + "\n" * 20_000,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_note_is_not_believed(name):
    with pytest.raises(FileDamaged, match="not to be trusted"):
        opened(CHANGES[name], "gemstead.test", PUBLIC)


def test_a_note_of_another_installation_under_the_same_key_is_not_believed():
    note = signed(Checkpoint("another.test", 7, b"r" * 32, b"h" * 32, 5), KEY)
    with pytest.raises(FileDamaged):
        opened(note, "gemstead.test", PUBLIC)
