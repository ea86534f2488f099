"""Whether an engine is here and works, and what is known to be wrong with its build."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.core.errors import EngineMissing
from gemstead.doctor.check import Check
from gemstead.doctor.finding import Evidence, Finding, Severity
from gemstead.doctor.known_bugs import LLAMA_CPP_BUGS, UNNUMBERED, KnownBug, Part, bugs_of, build_in
from gemstead.doctor.subject import Subject
from gemstead.engines.base import Installation

KIND_WITH_TABLE = "llama_cpp"
INSTALL = "gemstead engine install"


def look(subject: Subject) -> Iterator[Finding]:
    try:
        installation = subject.find_engine()
    except EngineMissing as exc:
        yield _unusable(exc)
        return
    if installation is None:
        what = f"{subject.kind.title} is not installed"
        yield Finding("warning", what, "`gemstead up` would install it, which takes minutes", INSTALL)
        return
    bugs = _bugs(subject, installation)
    here = [bug for bug in bugs if _concerns(subject, installation, bug.part)]
    yield from (_finding(bug, installation) for bug in here)
    if installation.version in UNNUMBERED:
        yield Finding(
            "note", f"{installation.program} does not know its build number", "known bugs cannot be told", INSTALL
        )
    severity: Severity = "note" if here else "ok"
    what = f"{subject.kind.title} {installation.version}, {installation.origin}"
    evidence: dict[str, Evidence] = {
        "program": str(installation.program),
        "sha256": installation.digest,
        "can_use_gpu": installation.can_use_gpu,
        "known_bugs_that_do_not_matter_here": "; ".join(bug.symptom for bug in bugs if bug not in here),
    }
    yield Finding(severity, what, evidence=evidence)


def _bugs(subject: Subject, installation: Installation) -> list[KnownBug]:
    if subject.kind.name != KIND_WITH_TABLE or installation.version in UNNUMBERED:
        return []
    return list(bugs_of(build_in(installation.version)))


def _unusable(exc: EngineMissing) -> Finding:
    build = build_in(exc.what)
    symptoms = "; ".join(bug.symptom for bug in bugs_of(build) if bug.part == "every") if build else ""
    why = f"known of that build: {symptoms}" if symptoms else exc.why
    return Finding("error", exc.what, why, exc.hint or INSTALL)


def _finding(bug: KnownBug, installation: Installation) -> Finding:
    build = f"from b{bug.first_bad} " if bug.first_bad else ""
    until = f"before b{bug.first_good}" if bug.first_good else "in every later build so far"
    return Finding(
        bug.severity,
        f"{installation.version} has a known bug: {bug.symptom}",
        f"{build}{until}: {bug.source}",
        INSTALL if bug.first_good else None,
        {"source": bug.source, "first_bad": bug.first_bad, "first_good": bug.first_good},
    )


def _concerns(subject: Subject, installation: Installation, part: Part) -> bool:
    """Whether somebody here uses what the bug breaks."""
    manifests = subject.store.list()
    match part:
        case "images":
            return any(manifest.files_of("mmproj") for manifest in manifests)
        case "drafters":
            return any(manifest.files_of("drafter") for manifest in manifests)
        case "gpu":
            return installation.can_use_gpu and bool(subject.machine.gpus)
        case _:
            return True


CHECK = Check(
    name="engine",
    group="engine",
    looks_at="the engine of the settings: found, intact, built for this processor; its build against known bugs",
    complains_when="it is missing, changed since it was built, too old, or its build has a bug that matters here",
    look=look,
    sources=tuple(dict.fromkeys(bug.source for bug in LLAMA_CPP_BUGS)),
)
