"""Kept responses: bounded by number, bytes and age; forks share what they have in common, owners share nothing."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.api.conversations import OVERHEAD_BYTES, Conversations, KeptResponse, OwnedMemory
from gemstead.api.errors import ResponseUnknown

CONTENT_BYTES = 100
SIZE_BYTES = OVERHEAD_BYTES + CONTENT_BYTES


def response(name: str, previous: KeptResponse | None = None) -> KeptResponse:
    return KeptResponse(
        name, b"b" * 50, (f"{name}-in".encode().ljust(25),), (f"{name}-out".encode().ljust(25),), previous
    )


def conversations(
    max_responses: int = 8, max_bytes: int = 100 * SIZE_BYTES, clock: Callable[[], float] = lambda: 0.0
) -> Conversations:
    return Conversations(max_responses, max_bytes, max_idle_s=10, clock=clock)


def is_kept(kept: Conversations, name: str) -> bool:
    try:
        kept.find(None, name)
    except ResponseUnknown:
        return False
    return True


def texts(items: tuple[bytes, ...]) -> list[str]:
    return [item.decode().strip() for item in items]


def test_a_conversation_is_every_item_of_its_turns_oldest_first() -> None:
    last = response("c", response("b", response("a")))
    assert texts(last.conversation()) == ["a-in", "a-out", "b-in", "b-out", "c-in", "c-out"]
    assert texts(last.input_items()) == ["a-in", "a-out", "b-in", "b-out", "c-in"]


def test_two_responses_may_go_on_from_one() -> None:
    kept = conversations()
    first = response("a")
    for turn in (first, response("b", first), response("c", first)):
        kept.keep(None, turn)
    assert texts(kept.find(None, "b").conversation()) == ["a-in", "a-out", "b-in", "b-out"]
    assert texts(kept.find(None, "c").conversation()) == ["a-in", "a-out", "c-in", "c-out"]
    assert kept.num_bytes == 3 * SIZE_BYTES


def test_the_least_recently_used_makes_room() -> None:
    kept = conversations(max_responses=2)
    kept.keep(None, response("a"))
    kept.keep(None, response("b"))
    kept.find(None, "a")
    kept.keep(None, response("c"))
    assert [is_kept(kept, name) for name in "abc"] == [True, False, True]


def test_content_over_the_bytes_allowed_makes_room() -> None:
    kept = conversations(max_bytes=2 * SIZE_BYTES)
    for name in "abc":
        kept.keep(None, response(name))
    assert [is_kept(kept, name) for name in "abc"] == [False, True, True]
    assert kept.num_bytes == 2 * SIZE_BYTES


def test_a_conversation_larger_than_all_the_room_is_not_kept() -> None:
    kept = conversations(max_bytes=2 * SIZE_BYTES)
    long = response("c", response("b", response("a")))
    kept.keep(None, long)
    assert not is_kept(kept, "c")
    assert kept.num_bytes == 0


def test_what_is_not_used_for_long_enough_is_gone() -> None:
    now = [0.0]
    kept = conversations(clock=lambda: now[0])
    kept.keep(None, response("a"))
    now[0] = 8.0
    kept.keep(None, response("b"))
    now[0] = 11.0
    assert [is_kept(kept, name) for name in "ab"] == [False, True]
    now[0] = 20.0
    assert is_kept(kept, "b"), "being used counts"


def test_a_deleted_response_is_gone_and_what_went_on_from_it_is_whole() -> None:
    kept = conversations()
    first = response("a")
    kept.keep(None, first)
    kept.keep(None, response("b", first))
    kept.forget(None, "a")
    assert not is_kept(kept, "a")
    assert texts(kept.find(None, "b").conversation()) == ["a-in", "a-out", "b-in", "b-out"]
    kept.forget(None, "b")
    assert (len(kept), kept.num_bytes) == (0, 0)


def test_a_response_that_went_on_from_one_deleted_meanwhile_holds_what_it_needs() -> None:
    kept = conversations()
    first = response("a")
    kept.keep(None, first)
    kept.forget(None, "a")
    kept.keep(None, response("b", first))
    assert kept.num_bytes == 2 * SIZE_BYTES


def test_deleting_what_is_not_there_is_an_error() -> None:
    with pytest.raises(ResponseUnknown):
        conversations().forget(None, "a")


def test_owners_do_not_see_each_other() -> None:
    kept = conversations()
    ann, ben = OwnedMemory(kept, "ann"), OwnedMemory(kept, "ben")
    ann.keep(response("a"))
    assert ann.find("a").id == "a"
    for tries in (ben.find, ben.forget, OwnedMemory(kept, None).find):
        with pytest.raises(ResponseUnknown):
            tries("a")


def test_a_store_that_keeps_nothing_says_so() -> None:
    kept = conversations(max_responses=0)
    assert not kept.can_keep(1)
    kept.keep(None, response("a"))
    assert (len(kept), kept.num_bytes) == (0, 0)
    with pytest.raises(ResponseUnknown) as caught:
        kept.find(None, "a")
    assert "responses.keep" in str(caught.value.hint)


@pytest.mark.parametrize(("num_bytes", "can_keep"), [(CONTENT_BYTES, True), (CONTENT_BYTES + 1, False)])
def test_what_could_never_be_kept_is_known_before(num_bytes: int, can_keep: bool) -> None:
    assert conversations(max_bytes=SIZE_BYTES).can_keep(num_bytes) is can_keep


@given(st.lists(st.tuples(st.sampled_from(["keep", "fork", "forget", "find"]), st.integers(0, 12)), max_size=40))
def test_the_bytes_counted_are_those_of_every_turn_that_is_held_and_no_other(steps: list[tuple[str, int]]) -> None:
    kept = conversations(max_responses=4, max_bytes=6 * SIZE_BYTES)
    made: list[KeptResponse] = []
    for step, choice in steps:
        chosen = made[choice % len(made)] if made else None
        if step in ("keep", "fork") or chosen is None:
            turn = response(f"r{len(made)}", chosen if step == "fork" else None)
            made.append(turn)
            kept.keep(None, turn)
        elif is_kept(kept, chosen.id) and step == "forget":
            kept.forget(None, chosen.id)
        held: dict[str, KeptResponse] = {}
        for turn in made:
            node: KeptResponse | None = turn if (None, turn.id) in kept._kept else None
            while node is not None:
                held[node.id] = node
                node = node.previous
        assert kept.num_bytes == len(held) * SIZE_BYTES <= kept.max_bytes
        assert len(kept) <= kept.max_responses
