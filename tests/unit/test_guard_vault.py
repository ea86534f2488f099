import json

from hypothesis import given
from hypothesis import strategies as st

from gemstead.guardrails.vault import MAX_VALUES, Vault, VaultFull
from guard_parts import cut


def test_a_value_comes_back_for_its_token_and_has_the_same_token_every_time() -> None:
    vault = Vault()
    token = vault.issue("email", "a@b.org")
    assert token.startswith("[EMAIL_")
    assert vault.issue("email", "a@b.org") == token == Vault().issue("email", "a@b.org")
    assert vault.issue("email", "c@b.org") != token
    assert vault.expand(f"write to {token}.") == "write to a@b.org."


def test_a_token_that_was_never_issued_here_stays_as_it_is() -> None:
    mine, other = Vault(), Vault()
    mine.issue("email", "a@b.org")
    stranger = other.issue("email", "c@d.org")
    text = f"{stranger} [EMAIL_abcdefgh] [EMAIL_1] [EMAIL] [[IBAN_"
    assert mine.expand(text) == text
    assert Vault(b"another secret").issue("email", "a@b.org") != mine.issue("email", "a@b.org")


def test_in_json_a_value_is_escaped() -> None:
    vault = Vault()
    token = vault.issue("secret", 'a"b\\c\n')
    assert json.loads(vault.expand(json.dumps({"to": token}), is_json=True)) == {"to": 'a"b\\c\n'}


@given(
    places=st.lists(st.integers(0, 1000), max_size=20),
    noise=st.lists(st.sampled_from(["[", "]", "[EMAIL_", "[E", "x"]), max_size=6),
)
def test_tokens_are_expanded_whatever_the_cuts(places: list[int], noise: list[str]) -> None:
    vault = Vault()
    tokens = [vault.issue("email", "a@b.org"), vault.issue("iban", "BE68 5390 0754 7034")]
    text = "".join(f"{bit} {token}" for bit, token in zip([*noise, "", ""], tokens * 4, strict=False))
    expander = vault.expander()
    assert "".join([*map(expander.feed, cut(text, places)), expander.close()]) == vault.expand(text)


def test_an_expander_holds_back_no_more_than_a_token() -> None:
    vault = Vault()
    vault.issue("email", "a@b.org")
    expander = vault.expander()
    assert expander.feed("see [1] and [A") == "see [1] and "
    assert expander.feed("B" * 60) == "[A" + "B" * 60


def test_a_vault_is_bounded() -> None:
    vault = Vault()
    for index in range(MAX_VALUES):
        vault.issue("phone", str(index))
    vault.issue("phone", "0")
    try:
        vault.issue("phone", "one more")
    except VaultFull:
        return
    raise AssertionError("a vault has no end")
