"""Proxies and offline settings: what stands between this machine, the model sources and its own clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from gemstead.doctor.check import Check
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import Subject

PROXIES = ("HTTP_PROXY", "ALL_PROXY")
"""What clients use for http://127.0.0.1; HTTPS_PROXY does not concern it."""
NO_PROXY = "NO_PROXY"
LOCAL_NAMES = ("localhost", "127.0.0.1")


def look(subject: Subject) -> Iterator[Finding]:
    sources = subject.loaded.settings.sources
    complaints = [*_look_at_proxies(subject.loaded.environ), *_look_at_hub(sources.hf_endpoint, sources.is_offline)]
    yield from complaints
    if sources.is_offline:
        origin = subject.loaded.origins["sources.is_offline"]
        yield Finding("note", "offline: nothing is fetched", f"set by {origin}", "gemstead config show --origin")
    elif not complaints:
        yield Finding("ok", f"models come from {urlsplit(sources.hf_endpoint).hostname} and the package index")


def _look_at_proxies(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Variables are read in both spellings, as clients do."""
    named = {name: _either(environ, name) for name in PROXIES}
    used = {name: urlsplit(value).hostname or "?" for name, value in named.items() if value}
    if not used:
        return
    spared = [part.strip() for part in (_either(environ, NO_PROXY) or "").split(",")]
    missing = [] if "*" in spared else [name for name in LOCAL_NAMES if name not in spared]
    evidence = {"proxies": ", ".join(f"{name} -> {host}" for name, host in used.items())}
    if missing:
        yield Finding(
            "warning",
            f"{NO_PROXY} does not name {' and '.join(missing)}",
            "clients of this machine would send their prompts to the proxy instead of to gemstead",
            f"export {NO_PROXY}={','.join(dict.fromkeys([*filter(None, spared), *LOCAL_NAMES]))}",
            evidence,
        )


def _look_at_hub(endpoint: str, is_offline: bool) -> Iterator[Finding]:
    if urlsplit(endpoint).scheme != "https" and not is_offline:
        yield Finding(
            "warning",
            f"models would be fetched from {urlsplit(endpoint).hostname} without TLS",
            "what nobody published a digest for could be replaced on the way",
            "set sources.hf_endpoint to an https:// address",
        )


def _either(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name.lower()) or environ.get(name)


CHECK = Check(
    name="network",
    group="service",
    looks_at="proxy variables, the offline setting, the address of the model hub",
    complains_when="a proxy would see requests to this machine's own servers, or the hub is reached without TLS",
    look=look,
)
