"""The lock of the door: who a credential belongs to. A key costs microseconds; nothing here waits but a new token."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from gemstead.access.address import failing_address, network_of
from gemstead.access.failures import FailureLimit
from gemstead.access.key_ring import KeyRing
from gemstead.access.keys import hash_key, is_same_hash, key_id_of
from gemstead.core.caller import Caller
from gemstead.core.errors import KeyInvalid, KeyMissing, SignInFailure, SignInRefused, TooManyFailures
from gemstead.core.units import format_duration

MAX_CREDENTIAL_CHARS = 8192
"""The longest token that is looked at; more than a header should hold."""

HOW_TO_SEND = 'send it as "Authorization: Bearer KEY" or "x-api-key: KEY"; gemstead keys create makes one'


class FailedAttempt(msgspec.Struct, frozen=True):
    """One sign-in that failed, without anything of what was sent. `network` is the peer's, cut to /24 or /48.

    `key_id` is set where the secret was right and the key is not (any more).
    """

    reason: SignInFailure
    network: str
    at_s: float
    key_id: str | None = None


class TokenCheck(Protocol):
    """Tokens of an identity provider."""

    def known(self, token: str) -> Caller | None:
        """The caller of a token that was found good a moment ago."""
        ...

    async def check(self, token: str) -> Caller:
        """Raises: KeyInvalid, SignInUnavailable."""
        ...


class Lock:
    """Implements `api.sign_in.SignIn`. `local_token` is this user's own command line's, for this process's life."""

    def __init__(
        self,
        ring: KeyRing,
        *,
        is_forced: bool | None = None,
        tokens: TokenCheck | None = None,
        local_token: str | None = None,
        on_failure: Callable[[FailedAttempt], None] = lambda _attempt: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ring = ring
        self._is_forced = is_forced
        self._tokens = tokens
        self._local_token = local_token
        self._on_failure = on_failure
        self._clock = clock
        self._limit = FailureLimit()

    def is_required(self) -> bool:
        """Once a key was made, for good: a door whose last key is revoked must not open for everybody."""
        if self._is_forced is not None:
            return self._is_forced
        return self._tokens is not None or self._ring.has_keys()

    async def identify(self, credential: str | None, address: str) -> Caller:
        """Raises: KeyMissing, KeyInvalid, TooManyFailures; SignInUnavailable if nobody can tell.

        What fails here is counted for its address; beyond the limit a token that is not known is not looked at.
        """
        try:
            return await self._identify(credential, address)
        except SignInRefused as exc:
            raise self._refusal(exc, address) from exc

    def _refusal(self, exc: SignInRefused, address: str) -> SignInRefused:
        now_s, place = self._clock(), failing_address(address)
        wait_s = self._limit.wait_s(place, now_s)
        self._limit.note(place, now_s)
        reason = exc.reason if wait_s <= 0 else "limited"
        key_id = exc.key_id if isinstance(exc, KeyInvalid) else None
        self._on_failure(FailedAttempt(reason, network_of(address), now_s, key_id))
        return exc if wait_s <= 0 else _too_many(wait_s)

    async def _identify(self, credential: str | None, address: str) -> Caller:
        if credential is None:
            raise KeyMissing("this server needs an access key, and none was sent", hint=HOW_TO_SEND)
        if len(credential) > MAX_CREDENTIAL_CHARS or not credential.isascii():
            raise _invalid("malformed")
        if self._local_token is not None and is_same_hash(credential.encode(), self._local_token.encode()):
            return LOCAL_USER
        if self._tokens is None or credential.startswith("gk_"):
            return self._holder(credential)
        if (known := self._tokens.known(credential)) is not None:
            return known
        if (wait_s := self._limit.wait_s(failing_address(address), self._clock())) > 0:
            raise _too_many(wait_s)
        return await self._tokens.check(credential)

    def _holder(self, credential: str) -> Caller:
        """Of a wrong secret and an unknown id nobody learns which it was, from the words or from the time."""
        key_id = key_id_of(credential)
        if key_id is None:
            raise _invalid("malformed")
        stored = self._ring.find(key_id)
        if not is_same_hash(hash_key(self._ring.pepper(), credential), None if stored is None else stored.hash):
            raise _invalid("unknown")
        assert stored is not None
        now_s = self._clock()
        state = stored.record.state(now_s)
        if state != "active":
            hint = f"gemstead keys create, or gemstead keys rotate {key_id} before it ends"
            raise KeyInvalid(f"the key {key_id} is {state}", reason=state, key_id=key_id, hint=hint)
        self._ring.note_use(key_id, now_s)
        return self._ring.caller(key_id)


LOCAL_USER = Caller(key_id="local", groups=("local",), scopes=frozenset({"use", "metrics", "admin"}))
"""Who runs the server, at the command line of the same machine."""


def _invalid(reason: SignInFailure) -> KeyInvalid:
    return KeyInvalid("the access key is not valid", reason=reason, hint=HOW_TO_SEND)


def _too_many(wait_s: float) -> TooManyFailures:
    return TooManyFailures(
        "too many failed sign-ins from this address",
        hint=f"wait {format_duration(wait_s)}; a valid key is let in at any time",
        retry_after_s=wait_s,
    )
