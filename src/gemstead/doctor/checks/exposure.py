"""Who can reach the models: where servers are told to listen, where they really do, and what stands in between."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.doctor.check import Check
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import RunningServer, Subject

TUNNEL = "ssh -L 8484:127.0.0.1:8484 this-machine"
MAKE_A_KEY = "gemstead keys create --name NAME"


def look(subject: Subject) -> Iterator[Finding]:
    server = subject.loaded.settings.server
    is_open = not subject.is_loopback(server.host)
    if is_open:
        yield _of_settings(subject)
    exposed = [finding for one in subject.servers() for finding in _look_at(subject, one)]
    yield from exposed
    if not is_open and not exposed:
        why = "programs of this machine only; no access keys and no TLS are needed for that"
        yield Finding("ok", "nothing of ours listens beyond this machine", why, evidence={"host": server.host})


def _of_settings(subject: Subject) -> Finding:
    server = subject.loaded.settings.server
    what = f"server.host is {server.host!r}, which others can reach"
    evidence = {"set_by": str(subject.loaded.origins["server.host"])}
    if not subject.is_locked():
        why = "there are no access keys, or they are switched off: `up` and `serve` refuse it"
        return Finding("error", what, why, f"{MAKE_A_KEY}; or 127.0.0.1 and a tunnel: {TUNNEL}", evidence)
    if server.tls_cert is None and not server.allows_plain_http:
        why = "keys would cross the network in plain text: `up` and `serve` refuse it"
        return Finding("error", what, why, "set server.tls_cert and server.tls_key", evidence)
    if server.tls_cert is None:
        why = "server.allows_plain_http says that a proxy in front does TLS: nobody else may reach this port"
        return Finding("warning", what, why, "listen on 127.0.0.1 if the proxy is on this machine", evidence)
    return Finding("ok", what, "callers need a key, and TLS is spoken", evidence=evidence)


def _look_at(subject: Subject, server: RunningServer) -> Iterator[Finding]:
    """A door with keys and TLS is told by the settings; an engine that listens for others is never right."""
    is_guarded = subject.is_locked() and (server.has_tls or subject.loaded.settings.server.allows_plain_http)
    for address in server.listens_at:
        host, _, port = address.rpartition(":")
        if subject.is_loopback(host.strip("[]")) or (is_guarded and port == str(server.port)):
            continue
        is_door = port == str(server.port)
        why = "anyone who reaches it can use the model, or read what crosses the network: it needs keys and TLS"
        yield Finding(
            "error",
            f"{server.model} (process {server.pid}) listens on {address}, which others can reach",
            why if is_door else "it is the engine's own port, which has no door before it",
            f"gemstead stop {server.pid}",
            {"address": address, "pid": server.pid},
        )


CHECK = Check(
    name="exposure",
    group="service",
    looks_at="the address in the settings, and every TCP address that running servers and their engines listen on",
    complains_when="one of them can be reached from other machines, and asks for no key or speaks no TLS",
    look=look,
)
