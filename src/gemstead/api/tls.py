"""TLS by files: the certificate (with its chain) and its key, as PEM."""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

from gemstead.core.errors import SettingInvalid


def load_tls(cert: str | None, key: str | None) -> ssl.SSLContext | None:
    """None if neither is set.

    Raises: SettingInvalid if one is missing, unreadable, not for the other, or if others can read the key.
    """
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise SettingInvalid(
            "TLS needs a certificate and its key", hint="set server.tls_cert and server.tls_key, or neither"
        )
    _check_files(Path(cert), Path(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # An encrypted key would make OpenSSL ask on the terminal: a server has nobody there.
        context.load_cert_chain(cert, key, password=_no_passphrase)
    except (ssl.SSLError, ValueError) as exc:
        raise SettingInvalid(
            f"the certificate {cert} and the key {key} do not work together",
            why=getattr(exc, "reason", None) or str(exc),
            hint="both as PEM, the key without a passphrase",
        ) from exc
    return context


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def _check_files(cert: Path, key: Path) -> None:
    for path in (cert, key):
        try:
            with path.open("rb"):
                pass
        except OSError as exc:
            raise SettingInvalid(f"{path} cannot be read: {exc.strerror}") from exc
    if os.name == "posix" and stat.S_IMODE(key.stat().st_mode) & 0o007:
        raise SettingInvalid(f"everybody can read the TLS key {key}", hint=f"chmod 600 {key}")
