"""What tests of the content vault share: a vault in a folder, and a search for bytes in everything below one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gemstead.evidence.vault.master_key import KeySource
from gemstead.evidence.vault.subject import Subject
from gemstead.evidence.vault.vault import Place, Vault
from gemstead.store.database import open_database

DAY_MS = 86_400_000
ALICE, BOB = Subject("alice"), Subject("bob")


@contextmanager
def vault_in(folder: Path, secret: str | None = None) -> Iterator[Vault]:
    connection = open_database(folder / "content.db", "content").raw()
    source = KeySource(folder / "secrets" / "content.key", given=secret)
    try:
        yield Vault(connection, source)
    finally:
        connection.close()


def place(opened: int = 1, at_ms: int = 1_000, label: str = "internal") -> Place:
    return Place(opened, f"req-{opened}", at_ms, label)


def forms_of(text: str) -> dict[str, bytes]:
    """How a text may lie in a file: as it is, in another encoding, inside JSON, inside base64 wherever it begins."""
    raw = text.encode()
    forms = {
        "utf-8": raw,
        "utf-16": text.encode("utf-16-le"),
        "utf-16 big": text.encode("utf-16-be"),
        "hex": raw.hex().encode(),
    }
    forms["json"] = json.dumps(text)[1:-1].encode()
    forms["json in json"] = json.dumps(json.dumps(text))[3:-3].encode()
    for shift in range(3):
        # Only the middle: what stands before and after it changes the characters at the edges.
        encoded = base64.b64encode(b"\0" * shift + raw)
        forms[f"base64 at {shift}"] = encoded[4 if shift else 0 : -4]
        forms[f"base64 url at {shift}"] = base64.urlsafe_b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4]
    return forms


def places_of(needles: dict[str, bytes], folder: Path, skipped: tuple[str, ...] = (".gguf",)) -> list[str]:
    """Files below `folder` that hold one of these, and which."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in skipped:
            continue
        content = path.read_bytes()
        found += [f"{path.relative_to(folder)}: {name}" for name, needle in needles.items() if needle in content]
    return found
