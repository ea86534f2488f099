"""The servers that run: do they answer, with which engine; and the records of those that are gone."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.core.errors import EngineMissing
from gemstead.doctor.check import Check
from gemstead.doctor.finding import Evidence, Finding
from gemstead.doctor.subject import RunningServer, Subject
from gemstead.engines.base import Installation


def look(subject: Subject) -> Iterator[Finding]:
    stale = subject.stale_folders()
    if stale:
        what = f"{len(stale)} records of servers that are gone"
        why = "they were killed; their engines ended with them"
        yield Finding("note", what, why, "gemstead ps", {"first": str(stale[0])})
    servers = subject.servers()
    for server in servers:
        yield _look_at(server)
    yield from _compare(subject, servers)
    if not servers and not stale:
        yield Finding("ok", "no server is running, none left anything behind")


def _look_at(server: RunningServer) -> Finding:
    evidence: dict[str, Evidence] = {
        "pid": server.pid,
        "port": server.port,
        "rss_bytes": server.rss_bytes,
        "engine": server.engine,
    }
    name = f"{server.model} on port {server.port}"
    match server.state:
        case None:
            fix = f"gemstead stop {server.pid} --now"
            return Finding("error", f"{name} does not answer", "its process is there", fix, evidence)
        case "failed":
            fix = f"gemstead stop {server.pid} && gemstead doctor explain oom"
            return Finding("error", f"the engine of {name} has failed", "see the check last_run", fix, evidence)
        case _:
            return Finding("ok", f"{name} is {server.state}", evidence=evidence)


def _compare(subject: Subject, servers: tuple[RunningServer, ...]) -> Iterator[Finding]:
    """A server keeps the engine it started with."""
    try:
        installation: Installation | None = subject.find_engine()
    except EngineMissing:
        return  # the check of the engine says so
    for server in servers:
        if installation is None or not server.engine.startswith(f"{installation.kind} "):
            continue
        if server.engine != f"{installation.kind} {installation.version}":
            what = f"{server.model} on port {server.port} runs {server.engine}, installed is {installation.version}"
            why = "a server keeps the engine it was started with"
            yield Finding("note", what, why, f"gemstead stop {server.port} && gemstead up --model {server.model}")


CHECK = Check(
    name="servers",
    group="service",
    looks_at="running servers: do they answer, is their engine the installed one; records of servers that are gone",
    complains_when="one does not answer or its engine has failed",
    look=look,
)
