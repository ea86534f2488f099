"""A pull in a process of its own, which tests kill, race and starve; and the small model they pull.

Prints one JSON line: {"name": ...} or {"error": code, "what": ..., "hint": ...}, with the notes people would have seen.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
from pathlib import Path

from gemstead.catalog.download import RetryPolicy
from gemstead.catalog.entries import Artefact, Catalog, Licence, ModelEntry, Sampling
from gemstead.catalog.names import ModelName
from gemstead.catalog.pull import PullRequest, pull
from gemstead.catalog.source import SourceOptions
from gemstead.catalog.store import Store
from gemstead.core.errors import GemsteadError
from gemstead.core.progress import ProgressEvent

REPO = "trial/small-GGUF"
FILE = "small-Q4_0.gguf"
NO_WAITING = RetryPolicy(attempts=3, first_delay_s=0.01, max_delay_s=0.01)


def trial_artefact(sha256: str | None = None) -> Artefact:
    return Artefact(tag="q4_0", format="gguf", quant="Q4_0", publisher="trial", repo=REPO, file=FILE, sha256=sha256)


def trial_entry(*artefacts: Artefact, licence: str = "free") -> ModelEntry:
    return ModelEntry(
        name="trial:small",
        title="Trial",
        licence=licence,
        modalities=("text",),
        max_context=1024,
        sampling=Sampling(temperature=1.0, top_p=0.9),
        artefacts=artefacts,
        preferred=tuple(artefact.tag for artefact in artefacts if artefact.role == "model"),
        facts=("https://example.org",),
    )


def trial_store(root: Path, *artefacts: Artefact, licence: str = "free") -> Store:
    licences = (
        Licence(id="free", title="Free", url="https://example.org/free"),
        Licence(id="strict", title="Strict Terms", url="https://example.org/strict", must_accept=True),
    )
    entry = trial_entry(*(artefacts or (trial_artefact(),)), licence=licence)
    return Store(root, catalog=Catalog(licences=licences, models=(entry,)))


def trial_request(store: Store, *, accepts_new_digest: bool = False, retry: RetryPolicy = NO_WAITING) -> PullRequest:
    entry = store.catalog.models[0]
    artefact = entry.choices()[0]
    name = ModelName(entry.name, artefact.tag)
    return PullRequest(name, artefact, entry, accepts_new_digest=accepts_new_digest, retry=retry)


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def kill_at_rename(number: int) -> None:
    """This process ends with SIGKILL just before its rename `number`, the first being 1."""
    left = number

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event == "os.rename":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--token")
    parser.add_argument("--kill-at-rename", type=int)
    arguments = parser.parse_args()
    if arguments.kill_at_rename is not None:
        kill_at_rename(arguments.kill_at_rename)
    store, notes = trial_store(arguments.root), []

    def keep_notes(event: ProgressEvent) -> None:
        if event.note:
            notes.append(event.note)

    options = SourceOptions(hf_endpoint=arguments.endpoint, hf_token=arguments.token)
    try:
        manifest = pull(store, trial_request(store), options, keep_notes)
    except GemsteadError as exc:
        answer = {"error": exc.code, "what": exc.what, "hint": exc.hint, "notes": notes}
    else:
        answer = {"name": manifest.name, "notes": notes}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
