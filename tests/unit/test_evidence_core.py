"""Records, chain and tree: what is written, and that any change of it shows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemstead.evidence.canonical import canonical
from gemstead.evidence.chain import START, Link, first_break, link_hash
from gemstead.evidence.tree import (
    EMPTY_ROOT,
    GrowingTree,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    root_of,
)

KEYS = st.text(st.characters(max_codepoint=127), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=9,
)
# The roots of the eight leaves that RFC 6962's reference implementation is tested with.
LEAVES = [leaf_hash(bytes.fromhex(text)) for text in ("", "00", "10", "2021", "3031", "40414243")]
LEAVES += [leaf_hash(bytes.fromhex(text)) for text in ("5051525354555657", "606162636465666768696a6b6c6d6e6f")]

OTHER = leaf_hash(b"{}")


def chain(number: int) -> list[Link]:
    links: list[Link] = []
    for position in range(number):
        leaf = leaf_hash(canonical({"n": position}))
        links.append(Link(position, leaf, link_hash(links[-1].hash if links else START, position, leaf)))
    return links


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw ever makes a table of all characters
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_a_record_is_written_as_a_plain_sorted_encoder_writes_it(record):
    plain = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(record) == plain.encode()


@pytest.mark.parametrize("value", [0.5, 2**53, -(2**53), {"é": 1}, [b"x"], (1,)])
def test_what_could_be_written_in_two_ways_is_refused(value):
    with pytest.raises(ValueError, match="record"):
        canonical({"v": value})


def test_an_untouched_chain_has_no_break():
    assert first_break(chain(9)) is None


@dataclass
class Change:
    links: list[Link]
    position: int


CHANGES = {
    "edited": lambda c: Change([*c[:3], Link(3, OTHER, c[3].hash), *c[4:]], 3),
    "edited with its own hash": lambda c: Change([*c[:3], Link(3, OTHER, link_hash(c[2].hash, 3, OTHER)), *c[4:]], 4),
    "hash edited": lambda c: Change([*c[:3], Link(3, c[3].leaf, START), *c[4:]], 3),
    "left out": lambda c: Change([*c[:3], *c[4:]], 3),
    "left out and renumbered": lambda c: Change([*c[:3], *(Link(x.position - 1, x.leaf, x.hash) for x in c[4:])], 3),
    "swapped": lambda c: Change([*c[:3], c[4], c[3], *c[5:]], 3),
    "inserted": lambda c: Change([*c[:3], Link(3, OTHER, START), *c[3:]], 3),
    "doubled": lambda c: Change([*c[:4], c[3], *c[4:]], 4),
    "start cut off": lambda c: Change(c[2:], 0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_at_its_position(name):
    change = CHANGES[name](chain(9))
    found = first_break(change.links)
    assert found is not None
    assert found.position == change.position


def test_the_root_is_that_of_the_published_vectors():
    assert root_of([]) == EMPTY_ROOT == hashlib.sha256().digest()
    assert root_of(LEAVES).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(st.integers(1, 70), st.data())
def test_every_leaf_is_shown_to_be_included_and_no_other_is(size, data):
    leaves = [leaf_hash(bytes([n])) for n in range(size)]
    root, index = root_of(leaves), data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(leaves, index)
    assert is_included(leaves[index], index, size, proof, root)
    assert not is_included(leaf_hash(b"another"), index, size, proof, root)
    assert not is_included(leaves[index], index, size, [*proof, root], root)
    if size > 1:
        assert not is_included(leaves[index], (index + 1) % size, size, proof, root)


@given(st.integers(1, 70), st.data())
def test_a_tree_is_shown_to_begin_with_an_older_one_and_with_no_other(size, data):
    leaves = [leaf_hash(bytes([n])) for n in range(size)]
    old_size = data.draw(st.integers(1, size))
    old_root, root, proof = root_of(leaves[:old_size]), root_of(leaves), consistency_proof(leaves, old_size)
    assert is_consistent(old_size, old_root, size, root, proof)
    assert not is_consistent(old_size, leaf_hash(b"another"), size, root, proof)
    assert not is_consistent(old_size, old_root, size, leaf_hash(b"another"), proof)


def test_a_proof_for_what_is_not_there_is_refused():
    for proof in (lambda: inclusion_proof(LEAVES, 8), lambda: consistency_proof(LEAVES, 9)):
        with pytest.raises(ValueError, match="tree of 8"):
            proof()


def test_a_growing_tree_knows_its_size():
    tree = GrowingTree()
    for leaf in LEAVES:
        tree.append(leaf)
    assert (tree.size, tree.root()) == (8, root_of(LEAVES))


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_tree_goes_on_from_its_peaks_as_if_it_had_never_stopped(before, after):
    leaves = [leaf_hash(bytes([n])) for n in range(before + after)]
    first = GrowingTree()
    for leaf in leaves[:before]:
        first.append(leaf)
    second = GrowingTree(first.size, first.peaks)
    for leaf in leaves[before:]:
        second.append(leaf)
    assert (second.size, second.root()) == (len(leaves), root_of(leaves))


def test_peaks_that_are_not_of_that_size_are_refused():
    with pytest.raises(ValueError, match="peaks"):
        GrowingTree(3, [LEAVES[0]])
