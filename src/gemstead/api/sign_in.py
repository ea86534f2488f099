"""Who asks: the credential a call carries, and what the door does with it."""

from __future__ import annotations

from typing import Protocol

from gemstead.core.caller import Caller

KEY_HEADERS = (b"x-api-key", b"api-key")
"""Where a key may stand besides `Authorization: Bearer`: Anthropic's clients use the first, Azure's the second."""

EVERYBODY = Caller(scopes=frozenset({"use", "metrics", "admin"}))
"""The nameless caller of a door without keys."""

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""What supervisors and load balancers ask, which have no keys: `/readyz` tells them yes or no, and nothing more."""


class SignIn(Protocol):
    """The lock of the door."""

    def is_required(self) -> bool:
        """Whether a call needs a key now."""
        ...

    async def identify(self, credential: str | None, address: str) -> Caller:
        """Raises: SignInRefused, SignInUnavailable."""
        ...


def credential_of(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The first credential of a call, whichever way its dialect sends one; None: it has none."""
    in_key_header = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() == b"bearer" and token.strip():
                return str(token.strip().decode("latin-1"))
        elif name in KEY_HEADERS and in_key_header is None and value.strip():
            in_key_header = str(value.strip().decode("latin-1"))
    return in_key_header
