"""The HTTP client that model sources and the downloader share, and its failures in gemstead's words.

Plain http is refused except to this machine and to hosts the user trusts: a model that arrives unencrypted can be
replaced on its way, and its digest is not always known beforehand.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from gemstead.core.errors import (
    SettingInvalid,
    SourceError,
    SourceForbidden,
    SourceNotFound,
    SourceUnauthorized,
    SourceUnreachable,
)

if TYPE_CHECKING:
    import ssl

    import httpx2

MAX_REDIRECTS = 10
CONNECT_TIMEOUT_S = 15.0
MAX_RETRY_AFTER_S = 120.0
"""A server may ask for any delay; longer ones are cut to this."""


class Hints(msgspec.Struct, frozen=True):
    """What to do when a source says no: one command or change for each kind of refusal."""

    unauthorized: str = "put the user name and password for this host into ~/.netrc"
    forbidden: str = "ask the owner of this address for access"
    not_found: str = "check the address: the file may have been renamed or removed"
    unreachable: str = "check the network, or fetch the file elsewhere: `gemstead models import FILE --name NAME`"


class Transport(msgspec.Struct, frozen=True):
    """How to reach a host. `trusted_hosts` may be spoken to in plain http and with an unverified certificate.

    `timeout_s` bounds each wait for bytes, not the whole transfer. `ca_file` None: the system's own certificates.
    """

    ca_file: str | None = None
    proxy: str | None = None
    trusted_hosts: tuple[str, ...] = ()
    timeout_s: float = 60.0


def new_client(transport: Transport) -> httpx2.Client:
    """A client that follows redirects and drops credentials when they lead to another origin.

    Raises: SettingInvalid if the certificate file cannot be read.
    """
    import httpx2

    def refuse_plain_http(request: httpx2.Request) -> None:
        host = request.url.host
        if request.url.scheme != "https" and not is_loopback(host) and host not in transport.trusted_hosts:
            raise SourceError(
                f"plain http to {host} is refused",
                why="what arrives unencrypted can be replaced on its way",
                hint="use the https address",
            )

    unverified = {f"all://{host}": httpx2.HTTPTransport(verify=_unverified()) for host in transport.trusted_hosts}
    return httpx2.Client(
        verify=_verified(transport.ca_file),
        proxy=transport.proxy,
        mounts=unverified,
        timeout=httpx2.Timeout(transport.timeout_s, connect=min(CONNECT_TIMEOUT_S, transport.timeout_s)),
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        event_hooks={"request": [refuse_plain_http]},
        headers={"User-Agent": "gemstead"},
    )


def _verified(ca_file: str | None) -> ssl.SSLContext | bool:
    import ssl

    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as exc:
        raise SettingInvalid(
            f"the certificate file {ca_file} cannot be read", why=str(exc), hint="set `cert` in pip's configuration"
        ) from exc


def _unverified() -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def is_loopback(host: str) -> bool:
    """Whether `host` can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def split_url(url: str) -> SplitResult:
    """The parts of an address that others wrote. Raises: SourceError if it is malformed."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # checked when it is read
    except ValueError as exc:
        raise SourceError(f"{url[:100]!r} is not an address", why=str(exc), hint="check its spelling") from exc
    return parts


def without_secrets(url: str) -> str:
    """`url` as it may be shown: no user, password or query (signed addresses carry their key there)."""
    parts = split_url(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def raise_for_status(response: Any, url: str, hints: Hints) -> None:
    """Turns a status of 400 or more of an httpx2 response into the error it means; `url` is the address asked for."""
    status: int = response.status_code
    if status < 400:
        return
    shown, retry_after_s = without_secrets(url), _retry_after_s(response.headers.get("Retry-After"))
    match status:
        case 401 | 407:
            raise SourceUnauthorized(f"{shown} asks who you are ({status})", hint=hints.unauthorized)
        case 403 | 451:
            raise SourceForbidden(f"{shown} refuses access ({status})", hint=hints.forbidden)
        case 404 | 410:
            raise SourceNotFound(f"{shown} does not exist ({status})", hint=hints.not_found)
        case 408 | 425 | 429:
            raise SourceUnreachable(
                f"{shown} is busy ({status})", hint="try again in a few minutes", retry_after_s=retry_after_s
            )
        case _ if status >= 500:
            raise SourceUnreachable(
                f"{shown} has a fault of its own ({status})", hint="try again later", retry_after_s=retry_after_s
            )
    raise SourceError(f"{shown} refuses the request ({status})", hint=hints.not_found)


def _retry_after_s(value: str | None) -> float | None:
    """The delay in seconds; the date form of the header is left out: clocks differ."""
    if value is None or not value.isascii() or not value.isdigit():
        return None
    return min(float(value), MAX_RETRY_AFTER_S)


@contextmanager
def translated(url: str, hints: Hints) -> Iterator[None]:
    """Inside, failures of httpx2 become SourceUnreachable (worth trying again) or SourceError."""
    import httpx2

    try:
        yield
    except httpx2.TransportError as exc:
        if _is_certificate_fault(exc):
            raise SourceError(
                f"the certificate of {split_url(url).hostname} is not trusted here",
                why=str(exc),
                hint="point SSL_CERT_FILE, or pip's `cert` setting, at your organisation's certificates",
            ) from exc
        raise SourceUnreachable(
            f"cannot reach {without_secrets(url)}", why=str(exc) or type(exc).__name__, hint=hints.unreachable
        ) from exc
    except (httpx2.InvalidURL, httpx2.TooManyRedirects) as exc:
        raise SourceError(f"{without_secrets(url)} cannot be followed", why=str(exc), hint=hints.not_found) from exc


def _is_certificate_fault(exc: BaseException | None) -> bool:
    import ssl

    while exc is not None:
        if isinstance(exc, ssl.SSLCertVerificationError):
            return True
        exc = exc.__cause__ or exc.__context__
    return False
