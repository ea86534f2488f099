"""Models in a store that tests make: small files, right in form where a test gives sound ones."""

import hashlib

from gemstead.catalog.manifests import Manifest, StoredFile
from gemstead.catalog.store import Store


def add_model(
    store: Store, name: str, model: str | None = None, tag: str | None = None, content: bytes = b""
) -> Manifest:
    """Publishes a model of one file; its bytes are `content`, or its name where none are given."""
    content = content or name.encode()
    sha256 = hashlib.sha256(content).hexdigest()
    store.incoming.mkdir(parents=True, exist_ok=True)
    path = store.incoming / "new"
    path.write_bytes(content)
    store.add_blob(path, sha256)
    return store.publish(
        Manifest(
            name=name,
            model=model or name,
            tag=tag,
            format="gguf",
            source="file",
            place="here",
            files=(StoredFile("m.gguf", "model", sha256, len(content)),),
            stored_at="2026-11-24T00:00:00+00:00",
            licence="Apache-2.0",
        )
    )
