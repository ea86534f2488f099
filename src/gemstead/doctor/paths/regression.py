"""It worked before: what changed since, and how to go back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from gemstead.doctor.finding import Finding, Severity
from gemstead.doctor.path import DecisionPath, Step
from gemstead.doctor.subject import Subject

RECENT_DAYS = 7.0


def _program(subject: Subject) -> Iterator[Finding]:
    """A program of the user's own changes when its package does; ours is pinned."""
    installation = subject.find_engine()
    if installation is None:
        yield Finding("note", f"{subject.kind.title} is not installed", fix="gemstead engine install")
        return
    changed = datetime.fromtimestamp(installation.program.stat().st_mtime, UTC)
    days = (subject.now_s - changed.timestamp()) / 86_400
    what = f"{installation.version} ({installation.origin}), program of {changed.date().isoformat()}"
    evidence = {"program": str(installation.program), "sha256": installation.digest, "age_days": round(days, 1)}
    if subject.loaded.settings.engine.program is not None or installation.origin == "on PATH":
        why = "it is not the pinned one, and changes whenever its own package does"
        severity: Severity = "warning" if days < RECENT_DAYS else "note"
        fix = "unset engine.program, then run: gemstead engine install"
        yield Finding(severity, what, why, fix, evidence)
    else:
        yield Finding("ok", what, "the pinned release, which changes with gemstead only", evidence=evidence)


def _models(subject: Subject) -> Iterator[Finding]:
    now = datetime.fromtimestamp(subject.now_s, UTC)
    fresh = [
        manifest
        for manifest in subject.store.list()
        if (now - datetime.fromisoformat(manifest.stored_at)).total_seconds() < RECENT_DAYS * 86_400
    ]
    for manifest in fresh:
        why = f"from {manifest.place}" + (f", revision {manifest.revision}" if manifest.revision else "")
        yield Finding("note", f"{manifest.name} came on {manifest.stored_at[:10]}", why, "gemstead models list")
    if not fresh:
        yield Finding("ok", f"no model came in the last {RECENT_DAYS:.0f} days")


def _settings(subject: Subject) -> Iterator[Finding]:
    changed = [f"{name} ({origin})" for name, origin in subject.loaded.origins.items() if origin.kind != "default"]
    if not changed:
        yield Finding("ok", "every setting has its default")
        return
    what = f"{len(changed)} settings differ from their defaults"
    yield Finding("note", what, ", ".join(changed), "gemstead config show --origin")


def _measured(subject: Subject) -> Iterator[Finding]:
    """The proof: the same questions and the same measurements again, held against what is stored of before."""
    model = subject.plan(None).model
    why = "the same greedy questions again; it names each answer that changed since the last time"
    yield Finding("note", "answers", why, f"gemstead bench quality --model {model} --parts regression")
    why = "measure again, then hold it against an earlier run: gemstead bench list, gemstead bench compare RUN RUN"
    yield Finding("note", "speed", why, f"gemstead bench run --model {model}")


PATH = DecisionPath(
    name="regression",
    title="Engine regression",
    symptom="it worked, and after an update it does not, or is slower",
    steps=(
        Step("Has this build a known bug?", check="engine"),
        Step("Did the engine's program change?", look=_program),
        Step("Do servers still run the engine of before?", check="servers"),
        Step("Did the model change?", look=_models),
        Step("Do settings differ from the defaults?", look=_settings),
        Step("How did it end the last time?", check="last_run"),
        Step("Did answers or speed really change?", look=_measured),
    ),
    last_resort="gemstead doctor --deep (greedy answers, tokens and cache of this very build)",
)
