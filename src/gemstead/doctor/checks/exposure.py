"""Who can reach the models: where servers are told to listen, and where they really do."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.doctor.check import Check
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import RunningServer, Subject

TUNNEL = "ssh -L 8484:127.0.0.1:8484 this-machine"


def look(subject: Subject) -> Iterator[Finding]:
    host = subject.loaded.settings.server.host
    is_open = not subject.is_loopback(host)
    if is_open:
        yield Finding(
            "error",
            f"server.host is {host!r}, which others can reach",
            "there are no access keys and no TLS yet, so `up` and `serve` refuse it",
            f"set server.host to 127.0.0.1 and reach it through a tunnel: {TUNNEL}",
            {"set_by": str(subject.loaded.origins["server.host"])},
        )
    exposed = [finding for server in subject.servers() for finding in _look_at(subject, server)]
    yield from exposed
    if not is_open and not exposed:
        why = "programs of this machine only; no access keys and no TLS are needed for that"
        yield Finding("ok", "nothing of ours listens beyond this machine", why, evidence={"host": host})


def _look_at(subject: Subject, server: RunningServer) -> Iterator[Finding]:
    for address in server.listens_at:
        host = address.rpartition(":")[0].strip("[]")
        if not subject.is_loopback(host):
            yield Finding(
                "error",
                f"{server.model} (process {server.pid}) listens on {address}, which others can reach",
                "anyone who reaches it can use the model: there are no access keys and no TLS",
                f"gemstead stop {server.pid}",
                {"address": address, "pid": server.pid},
            )


CHECK = Check(
    name="exposure",
    group="service",
    looks_at="the address in the settings, and every TCP address that running servers and their engines listen on",
    complains_when="one of them can be reached from other machines",
    look=look,
)
