"""The model files by their records: all there, the publisher's own, and not replaced since."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.catalog.entries import Artefact
from gemstead.catalog.manifests import Manifest
from gemstead.catalog.store import Store
from gemstead.core.units import format_bytes
from gemstead.doctor.check import Check
from gemstead.doctor.finding import Evidence, Finding, Severity
from gemstead.doctor.subject import Subject
from gemstead.doctor.superseded import SUPERSEDED, superseded_as


def look(subject: Subject) -> Iterator[Finding]:
    store = subject.store
    manifests = store.list()
    if not manifests:
        severity: Severity = "warning" if subject.loaded.settings.sources.is_offline else "note"
        yield Finding(severity, "no model is here yet", fix="gemstead up")
        return
    complaints = [finding for manifest in manifests for finding in _look_at(store, manifest)]
    yield from complaints
    if not complaints:
        size = format_bytes(sum(manifest.size_bytes for manifest in manifests))
        num_published = sum(manifest.is_digest_published for manifest in manifests)
        yield Finding(
            "ok",
            f"{len(manifests)} models, {size}: every file is there",
            f"{num_published} with a published digest; `gemstead models verify` reads the bytes through",
            evidence={manifest.name: manifest.files[0].sha256 for manifest in manifests},
        )


def _look_at(store: Store, manifest: Manifest) -> Iterator[Finding]:
    if not store.is_complete(manifest):
        yield Finding("error", f"files of {manifest.name} are gone or cut short", fix=_again(manifest))
        return
    for file in manifest.files:
        if (known := superseded_as(file)) is not None:
            what = f"{file.name} of {manifest.name} was replaced by its publisher"
            evidence: dict[str, Evidence] = {
                "source": known.place,
                "sha256": file.sha256,
                "size_bytes": file.size_bytes,
            }
            yield Finding("warning", what, known.why, _again(manifest), evidence)
            return
    if (artefact := _artefact_of(store, manifest)) is not None:
        yield from _compare(manifest, artefact)


def _compare(manifest: Manifest, artefact: Artefact) -> Iterator[Finding]:
    """The main file against what the catalogue says of it; a split one has no such entry."""
    files = manifest.files_of("model")
    if len(files) != 1:
        return
    (file,) = files
    expected: dict[str, Evidence] = {"sha256": artefact.sha256, "size_bytes": artefact.size_bytes}
    found: dict[str, Evidence] = {"sha256": file.sha256, "size_bytes": file.size_bytes}
    if any(expected[key] is not None and expected[key] != found[key] for key in expected):
        yield Finding(
            "warning",
            f"{manifest.name} is not the file the catalogue knows",
            "its publisher may have replaced it since, or it was taken from elsewhere; benchmarks may not apply",
            f"compare it with {artefact.place}, then run: {_again(manifest)}",
            {**{f"expected_{key}": value for key, value in expected.items()}, **found},
        )


def _artefact_of(store: Store, manifest: Manifest) -> Artefact | None:
    if manifest.form != "weights":
        return None
    entry = next((model for model in store.catalog.models if model.name == manifest.model), None)
    return next((one for one in entry.artefacts if one.tag == manifest.tag), None) if entry else None


def _again(manifest: Manifest) -> str:
    if manifest.form != "weights":
        return f"gemstead models rm {manifest.name} and make it again with: gemstead models synth {manifest.model}"
    return f"gemstead models rm {manifest.name} && gemstead models pull {manifest.name}"


CHECK = Check(
    name="files",
    group="models",
    looks_at="the files of every model: presence, size, recorded digest against the catalogue and replaced uploads",
    complains_when="a file is gone or cut, was replaced by its publisher, or is not the one the catalogue knows",
    look=look,
    sources=tuple(dict.fromkeys(known.place for known in SUPERSEDED)),
)
