"""Bearer tokens of an identity provider (OpenID Connect): whose they are, if they are good.

Source: RFC 7519 (JWT), RFC 8725 (best practice): one pinned list of algorithms, issuer, audience and expiry required.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from gemstead.access.signing_keys import SigningKeys
from gemstead.core.caller import Caller
from gemstead.core.errors import KeyInvalid, SignInFailure

if TYPE_CHECKING:
    from jwt import PyJWTError

MAX_KNOWN = 1024
KNOWN_S = 60.0
"""How long a token that was found good is not looked at again: a check costs about 100 us."""

MAX_GROUPS = 256
MAX_TEXT_CHARS = 256

REQUIRED = ("exp", "iss", "aud", "sub")


class TokenRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a token has to say, and what that means here.

    `groups_claim` may be a path (`realm_access.roles`). `use_groups` empty: every good token may ask models.
    Members of `admin_groups` may change them, too.
    """

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    owner_claim: str = "sub"
    groups_claim: str = "groups"
    use_groups: tuple[str, ...] = ()
    admin_groups: tuple[str, ...] = ()
    leeway_s: float = 30.0


class Tokens:
    """Implements `lock.TokenCheck`."""

    def __init__(self, rules: TokenRules, keys: SigningKeys, clock: Callable[[], float] = time.time) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    def known(self, token: str) -> Caller | None:
        """The caller of a token that was found good less than a minute ago and has not expired since."""
        entry = self._known.get(_digest(token))
        return entry[0] if entry is not None and self._clock() < entry[1] else None

    async def check(self, token: str) -> Caller:
        """Raises: KeyInvalid with the reason; SignInUnavailable if the provider's keys cannot be had."""
        import jwt

        algorithm, key_id = self._head(token)
        candidates = await self._keys.candidates(key_id, algorithm)
        if not candidates:
            raise _invalid("token_signature", "it is signed with a key that its issuer does not name")
        try:
            claims = self._decode(token, candidates[0], algorithm)
        except jwt.PyJWTError as exc:
            raise _explained(exc) from exc
        caller = self._caller(claims)
        self._remember(token, caller, float(claims["exp"]))
        return caller

    def _head(self, token: str) -> tuple[str, str | None]:
        """Read before anything is known to be true: it only chooses among what is allowed."""
        import jwt

        try:
            head = jwt.get_unverified_header(token)
        except jwt.PyJWTError as exc:
            raise _invalid("malformed", "it is neither a key nor a token") from exc
        algorithm, key_id = head.get("alg"), head.get("kid")
        if algorithm not in self._rules.algorithms:
            raise _invalid("token_algorithm", f"tokens signed with {str(algorithm)[:20]!r} are not taken")
        return str(algorithm), None if key_id is None else str(key_id)

    def _decode(self, token: str, jwk: dict[str, Any], algorithm: str) -> dict[str, Any]:
        import jwt

        rules = self._rules
        # The clock of PyJWT is the system's; ours is asked below, so that both checks see the same moment in tests.
        return jwt.decode(
            token,
            jwt.PyJWK(jwk, algorithm).key,
            algorithms=[algorithm],
            audience=list(rules.audience),
            issuer=[rules.issuer, rules.issuer.rstrip("/"), rules.issuer.rstrip("/") + "/"],
            leeway=rules.leeway_s,
            options={
                "require": list(REQUIRED),
                "verify_exp": True,
                "verify_nbf": True,
                "enforce_minimum_key_length": True,
            },
        )

    def _caller(self, claims: dict[str, Any]) -> Caller:
        rules = self._rules
        owner = _claim(claims, rules.owner_claim)
        if not isinstance(owner, str) or not 0 < len(owner) <= MAX_TEXT_CHARS:
            raise _invalid("token_claims", f"its claim {rules.owner_claim!r} names nobody")
        groups = _texts(_claim(claims, rules.groups_claim))
        scopes = set()
        if not rules.use_groups or not set(rules.use_groups).isdisjoint(groups):
            scopes.add("use")
        if not set(rules.admin_groups).isdisjoint(groups):
            scopes |= {"admin", "metrics"}
        pseudonym = hashlib.sha256(f"{claims['iss']}\0{claims['sub']}".encode()).hexdigest()[:16]
        return Caller(key_id=f"oidc_{pseudonym}", owner=owner, groups=groups, scopes=frozenset(scopes))

    def _remember(self, token: str, caller: Caller, expires_at_s: float) -> None:
        self._known[_digest(token)] = caller, min(expires_at_s, self._clock() + KNOWN_S)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _claim(claims: dict[str, Any], name: str) -> Any:
    """A claim by its name, else by the path that the name may be."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(one for one in values[:MAX_GROUPS] if isinstance(one, str) and 0 < len(one) <= MAX_TEXT_CHARS)


def _explained(exc: PyJWTError) -> KeyInvalid:
    import jwt

    told: tuple[tuple[type[Exception], SignInFailure, str], ...] = (
        (jwt.ExpiredSignatureError, "token_expired", "it has expired"),
        (jwt.ImmatureSignatureError, "token_expired", "it is not valid yet"),
        (jwt.InvalidAudienceError, "token_audience", "it was made for another audience"),
        (jwt.InvalidIssuerError, "token_issuer", "it is of another issuer"),
        (jwt.MissingRequiredClaimError, "token_claims", f"it needs the claims {', '.join(REQUIRED)}"),
        (jwt.InvalidSignatureError, "token_signature", "its signature is wrong"),
        (jwt.InvalidAlgorithmError, "token_algorithm", "it is signed in a way that is not taken"),
        (jwt.DecodeError, "malformed", "it cannot be read"),
    )
    for kind, reason, why in told:
        if isinstance(exc, kind):
            return _invalid(reason, why)
    return _invalid("token_claims", "one of its claims is not as it should be")


def _invalid(reason: SignInFailure, why: str) -> KeyInvalid:
    return KeyInvalid("the token is not valid", reason=reason, why=why, hint="sign in again to get a new one")
