"""Models made from others: shared files, own words, and names that stay whose they are."""

from pathlib import Path

import pytest

from gemstead.catalog.derive import derive_model
from gemstead.catalog.manifests import Preset
from gemstead.catalog.store import Store
from gemstead.core.errors import ModelMissing, NameUnknown, RequestInvalid
from gemstead.core.types import Sampling
from small_store import add_model


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "models")
    add_model(store, "gemma4:e2b-q4_0", model="gemma4:e2b", tag="q4_0")
    return store


def test_a_copy_is_found_under_its_name_and_opens_the_same_bytes(store: Store) -> None:
    copy = derive_model(store, "gemma4:e2b", "mine:small")
    assert store.find("mine:small") == copy
    assert (copy.made_from, copy.base, copy.preset) == ("gemma4:e2b-q4_0", "gemma4:e2b", None)
    assert copy.licence == "Apache-2.0"
    path = store.path_of(copy)
    assert path is not None
    assert path.read_bytes() == b"gemma4:e2b-q4_0"


def test_a_copy_outlives_the_model_it_was_made_from(store: Store) -> None:
    copy = derive_model(store, "gemma4:e2b", "mine")
    assert store.remove("gemma4:e2b").freed_bytes == 0
    assert store.is_complete(copy)
    assert store.remove("mine").freed_bytes == copy.size_bytes


def test_what_a_created_model_leaves_open_is_as_the_one_it_was_made_from_has_it(store: Store) -> None:
    first = Preset("Be brief.", Sampling(temperature=0.5, stop=("END",)), wanted_context=4096, licence="MIT")
    derive_model(store, "gemma4:e2b", "brief", first)
    second = derive_model(store, "brief", "polite", Preset("Be polite.", Sampling(top_k=5)))
    assert second.preset == Preset(
        "Be polite.", Sampling(temperature=0.5, top_k=5, stop=("END",)), wanted_context=4096, licence="MIT"
    )
    assert (second.made_from, second.base) == ("brief", "gemma4:e2b")
    assert store.require("polite").preset == second.preset


def test_a_created_model_can_be_created_anew(store: Store) -> None:
    derive_model(store, "gemma4:e2b", "mine", Preset("one"))
    assert derive_model(store, "gemma4:e2b", "mine", Preset("two")).preset == Preset("two")


def test_a_model_with_files_of_its_own_is_never_overwritten(store: Store) -> None:
    add_model(store, "own:1b")
    with pytest.raises(RequestInvalid, match="own:1b is taken"):
        derive_model(store, "gemma4:e2b", "own:1b")
    derive_model(store, "own:1b", "last")
    store.remove("own:1b")
    with pytest.raises(RequestInvalid, match="last is taken"):
        derive_model(store, "gemma4:e2b", "last")
    assert store.require("last").made_from == "own:1b"


@pytest.mark.parametrize("name", ["gemma4:mine", "A B", "", "x/y", "../x", "a:b:c"])
def test_a_name_that_is_malformed_or_the_catalogues_is_refused(store: Store, name: str) -> None:
    with pytest.raises(RequestInvalid):
        derive_model(store, "gemma4:e2b", name)


def test_a_model_that_is_not_here_is_not_copied(store: Store) -> None:
    with pytest.raises(ModelMissing):
        derive_model(store, "gemma4:31b", "mine")
    with pytest.raises(NameUnknown):
        derive_model(store, "nothing", "mine")


def test_sampling_is_filled_where_it_is_open_and_nowhere_else() -> None:
    default = Sampling(temperature=1.0, seed=7, stop=("END",), logit_bias={1: 2.0})
    assert Sampling().filled(default) == default
    asked = Sampling(temperature=0.0, seed=0, stop=("STOP",), logit_bias={3: 4.0})
    assert asked.filled(default) == asked
