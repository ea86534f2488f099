"""Reversible masking: what was taken out of one request, and the tokens that bring it back in its reply.

A token is `[EMAIL_k3f9abcd]`: the kind, and eight characters made of the value with a secret of this process. The same
value gets the same token in every turn of a conversation, so that an engine's prefix cache still fits; and nobody can
write a token for a value that was never taken out. A token that this vault has not issued stays as it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable

MAX_VALUES = 10_000
"""Values of one request; a request with more is refused rather than half masked."""

_TOKEN = re.compile(r"\[([A-Z][A-Z0-9_]{1,30}_[a-z2-7]{8,16})\]", re.ASCII)
_PREFIX = re.compile(r"\[(?:[A-Z][A-Z0-9_]{0,30}(?:_[a-z2-7]{0,16}\]?)?)?", re.ASCII)
LONGEST_TOKEN = 52

_PROCESS_SECRET = secrets.token_bytes(32)


class VaultFull(Exception):
    """More values in one request than a vault takes."""


class Vault:
    """The values of one request. Held in memory for as long as the request, and written nowhere."""

    def __init__(self, secret: bytes = _PROCESS_SECRET) -> None:
        self._secret = secret
        self._values: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._values)

    def issue(self, kind: str, value: str) -> str:
        """The token for `value`, brackets included. Raises: VaultFull."""
        digest = hmac.digest(self._secret, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        code = base64.b32encode(digest).decode().lower()
        length = 8
        while self._values.get(name := f"{kind.upper()}_{code[:length]}", value) != value:
            length += 1
        if name not in self._values and len(self._values) >= MAX_VALUES:
            raise VaultFull(f"more than {MAX_VALUES} values to mask in one request")
        self._values[name] = value
        return f"[{name}]"

    def expand(self, text: str, *, is_json: bool = False) -> str:
        """`text` with the values in place of the tokens issued here; `is_json`: as the inside of a JSON text."""
        if not self._values:
            return text
        return _TOKEN.sub(lambda match: self._value(match, is_json=is_json), text)

    def expander(self, *, is_json: bool = False) -> Expander:
        return Expander(lambda text: self.expand(text, is_json=is_json))

    def _value(self, match: re.Match[str], *, is_json: bool) -> str:
        value = self._values.get(match[1])
        if value is None:
            return match[0]
        return json.dumps(value, ensure_ascii=False)[1:-1] if is_json else value


class Expander:
    """A text in pieces, its tokens expanded. What may still become a token is held back: 52 characters at most."""

    def __init__(self, expand: Callable[[str], str]) -> None:
        self._expand = expand
        self._held = ""

    def feed(self, text: str) -> str:
        text = self._held + text
        begin = text.rfind("[", max(0, len(text) - LONGEST_TOKEN))
        is_open = begin >= 0 and _PREFIX.fullmatch(text, begin) is not None and not text.endswith("]")
        cut = begin if is_open else len(text)
        self._held = text[cut:]
        return self._expand(text[:cut])

    def close(self) -> str:
        rest, self._held = self._held, ""
        return self._expand(rest)
