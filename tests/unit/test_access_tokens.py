"""Tokens of an identity provider: whose they are, and every way in which one is not good."""

from __future__ import annotations

import time
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gemstead.access.signing_keys import FRESH_S, MIN_INTERVAL_S, STALE_S, SigningKeys, check_transport
from gemstead.access.tokens import KNOWN_S, TokenRules, Tokens
from gemstead.core.errors import KeyInvalid, SignInUnavailable

ISSUER = "https://login.example.org/realms/main"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())


class Provider:
    """Answers as an issuer does, and can be down, lie, or change its keys."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.wall_s = time.time()
        self.num_asked = 0
        self.is_down = False
        self.issuer = ISSUER
        self.jwks_uri = f"{ISSUER}/keys"
        self.jwks = [_jwk(RSA_KEY, "RS256", kid="rsa"), _jwk(EC_KEY, "ES256", kid="ec")]

    async def fetch(self, address: str) -> bytes:
        self.num_asked += 1
        if self.is_down:
            raise OSError("connection refused")
        if address.endswith("/.well-known/openid-configuration"):
            return msgspec.json.encode({"issuer": self.issuer, "jwks_uri": self.jwks_uri})
        assert address == self.jwks_uri
        return msgspec.json.encode({"keys": self.jwks})

    def tokens(self, **rules: Any) -> Tokens:
        given: dict[str, Any] = {"issuer": ISSUER, "audience": ("gemstead",)}
        keys = SigningKeys(ISSUER, self.fetch, clock=lambda: self.now_s)
        return Tokens(TokenRules(**(given | rules)), keys, clock=lambda: self.wall_s)


def _jwk(key: Any, algorithm: str, **fields: str) -> dict[str, Any]:
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)  # type: ignore[call-overload]
    return {**made, "use": "sig", **fields}


def token(key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "rsa", **claims: Any) -> str:
    now_s = int(time.time())
    given = {"iss": ISSUER, "aud": "gemstead", "sub": "u-17", "exp": now_s + 300, "groups": ["staff"]}
    headers = {} if kid is None else {"kid": kid}
    whole = {name: value for name, value in (given | claims).items() if value is not None}
    return jwt.encode(whole, key, algorithm=algorithm, headers=headers)


async def refused(tokens: Tokens, text: str) -> str:
    with pytest.raises(KeyInvalid) as caught:
        await tokens.check(text)
    assert not text or text not in f"{caught.value.what} {caught.value.why} {caught.value.hint}"
    return caught.value.reason


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA_KEY, "RS256", "rsa"), (EC_KEY, "ES256", "ec")])
async def test_a_good_token_says_who_asks_and_for_which_groups(key: Any, algorithm: str, kid: str) -> None:
    caller = await Provider().tokens().check(token(key, algorithm, kid))
    assert (caller.owner, caller.groups, caller.scopes) == ("u-17", ("staff",), frozenset({"use"}))
    assert caller.key_id is not None
    assert caller.key_id.startswith("oidc_")
    assert "u-17" not in caller.key_id


async def test_groups_may_be_nested_and_owners_have_another_claim() -> None:
    tokens = Provider().tokens(groups_claim="realm_access.roles", owner_claim="email")
    caller = await tokens.check(token(realm_access={"roles": ["a", 3, "b"]}, email="ada@example.org"))
    assert (caller.owner, caller.groups) == ("ada@example.org", ("a", "b"))


async def test_groups_decide_who_may_use_and_who_may_administrate() -> None:
    tokens = Provider().tokens(use_groups=("staff",), admin_groups=("ops",))
    assert (await tokens.check(token(groups=["staff"]))).scopes == {"use"}
    assert (await tokens.check(token(groups=["ops"]))).scopes == {"admin", "metrics"}
    assert (await tokens.check(token(groups=[]))).scopes == set()


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "another-service"}, "token_audience"),
        ({"aud": ["another-service"]}, "token_audience"),
        ({"aud": None}, "token_claims"),
        ({"iss": "https://evil.example"}, "token_issuer"),
        ({"iss": None}, "token_claims"),
        ({"exp": 1_000_000_000}, "token_expired"),
        ({"exp": None}, "token_claims"),
        ({"exp": "soon"}, "malformed"),
        ({"nbf": 4_000_000_000}, "token_expired"),
        ({"sub": None}, "token_claims"),
        ({"sub": ""}, "token_claims"),
        ({"sub": "x" * 300}, "token_claims"),
    ],
)
async def test_a_token_with_a_wrong_claim_opens_nothing(claims: dict[str, Any], reason: str) -> None:
    assert await refused(Provider().tokens(), token(**claims)) == reason


async def test_a_token_without_a_signature_opens_nothing() -> None:
    unsigned = jwt.encode({"iss": ISSUER, "aud": "gemstead", "sub": "x", "exp": 4e9}, None, algorithm="none")
    assert await refused(Provider().tokens(), unsigned) == "token_algorithm"


async def test_a_public_key_is_never_taken_for_a_shared_secret() -> None:
    """The old trick: sign with HMAC, the secret being the issuer's public key, which everybody has."""
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = {"iss": ISSUER, "aud": "gemstead", "sub": "x", "exp": 4_000_000_000}
    import base64
    import hashlib
    import hmac

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    body = f"{part(msgspec.json.encode({'alg': 'HS256', 'kid': 'rsa'}))}.{part(msgspec.json.encode(claims))}"
    forged = f"{body}.{part(hmac.digest(pem, body.encode(), hashlib.sha256))}"
    assert await refused(Provider().tokens(), forged) == "token_algorithm"
    assert await refused(Provider().tokens(algorithms=("HS256", "RS256")), forged) == "token_signature"


async def test_a_signature_by_somebody_else_under_a_known_name_is_refused() -> None:
    assert await refused(Provider().tokens(), token(OTHER_KEY, "ES256", "ec")) == "token_signature"


async def test_an_algorithm_that_the_operator_did_not_name_is_refused() -> None:
    assert await refused(Provider().tokens(algorithms=("ES256",)), token()) == "token_algorithm"


async def test_a_key_made_for_encryption_checks_no_signature() -> None:
    provider = Provider()
    provider.jwks = [_jwk(RSA_KEY, "RS256", kid="rsa") | {"use": "enc"}]
    assert await refused(provider.tokens(), token()) == "token_signature"


@pytest.mark.parametrize("text", ["", "x.y", "a.b.c", "gk_nothing", "...", "eyJhbGciOiJSUzI1NiJ9.e30.AA"])
async def test_what_is_no_token_is_refused(text: str) -> None:
    provider = Provider()
    provider.jwks = []
    assert await refused(provider.tokens(), text) in ("malformed", "token_signature")


async def test_a_changed_signing_key_is_fetched_when_it_is_first_seen() -> None:
    provider = Provider()
    tokens = provider.tokens()
    await tokens.check(token())
    provider.jwks = [_jwk(OTHER_KEY, "ES256", kid="new")]
    provider.now_s += MIN_INTERVAL_S
    await tokens.check(token(OTHER_KEY, "ES256", "new"))
    assert await refused(tokens, token()) == "token_signature"


async def test_made_up_key_ids_do_not_become_a_request_each() -> None:
    provider = Provider()
    tokens = provider.tokens()
    for number in range(50):
        assert await refused(tokens, token(OTHER_KEY, "ES256", f"made-up-{number}")) == "token_signature"
    assert provider.num_asked == 2


async def test_a_token_without_a_key_id_is_taken_only_if_one_key_fits() -> None:
    provider = Provider()
    await provider.tokens().check(token(kid=None))
    provider.jwks.append(_jwk(rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256", kid="2"))
    assert await refused(provider.tokens(), token(kid=None)) == "token_signature"


async def test_an_issuer_that_is_down_from_the_start_is_no_verdict_on_the_token() -> None:
    provider = Provider()
    provider.is_down = True
    with pytest.raises(SignInUnavailable) as caught:
        await provider.tokens().check(token())
    assert caught.value.retry_after_s == MIN_INTERVAL_S


async def test_known_keys_go_on_while_the_issuer_is_down_but_not_for_ever() -> None:
    provider = Provider()
    tokens = provider.tokens()
    await tokens.check(token())
    provider.is_down = True
    provider.now_s += FRESH_S + 1
    await tokens.check(token(sub="another"))
    provider.now_s += STALE_S
    with pytest.raises(SignInUnavailable):
        await tokens.check(token(sub="a third"))


async def test_a_new_key_while_the_issuer_is_down_is_told_apart_from_a_wrong_one() -> None:
    provider = Provider()
    tokens = provider.tokens()
    await tokens.check(token())
    provider.is_down = True
    provider.now_s += MIN_INTERVAL_S
    with pytest.raises(SignInUnavailable):
        await tokens.check(token(OTHER_KEY, "ES256", "new"))


async def test_a_discovery_document_of_another_issuer_or_with_keys_in_the_open_is_not_believed() -> None:
    for change in ({"issuer": "https://evil.example"}, {"jwks_uri": "http://login.example.org/keys"}):
        provider = Provider()
        for name, value in change.items():
            setattr(provider, name, value)
        with pytest.raises(SignInUnavailable):
            await provider.tokens().check(token())


async def test_a_good_token_is_known_for_a_minute_and_never_longer_than_it_lives() -> None:
    provider = Provider()
    tokens = provider.tokens()
    long, short = token(), token(exp=int(provider.wall_s) + 10)
    assert tokens.known(long) is None
    for text in (long, short):
        await tokens.check(text)
        assert tokens.known(text) is not None
    provider.wall_s += 11
    assert tokens.known(short) is None
    assert tokens.known(long) is not None
    provider.wall_s += KNOWN_S
    assert tokens.known(long) is None


@pytest.mark.parametrize("address", ["http://login.example.org", "ftp://localhost/", "file:///etc/passwd", "login"])
def test_keys_are_not_fetched_in_the_open(address: str) -> None:
    with pytest.raises(ValueError, match="neither https"):
        check_transport(address)
    check_transport("http://127.0.0.1:9/x")
    check_transport("https://login.example.org")
