"""Which names mean the served model, and what is said to the others."""

from pathlib import Path

import pytest

from gemstead.app.names import ServedNames, with_preset
from gemstead.catalog.derive import derive_model
from gemstead.catalog.manifests import Preset
from gemstead.catalog.store import Store
from gemstead.core.errors import ModelMissing, NameUnknown
from gemstead.core.types import ChatRequest, Message, Sampling, TextPart
from small_store import add_model


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "models")
    add_model(store, "gemma4:e2b-q4_0", model="gemma4:e2b", tag="q4_0")
    return store


@pytest.fixture
def names(store: Store) -> ServedNames:
    return ServedNames(store, store.require("gemma4:e2b"))


@pytest.mark.parametrize(
    "name", ["gemma4:e2b-q4_0", "gemma4:e2b", "gemma4:e2b-it", "GEMMA4:E2B", "gemma4:e2b-it-q4_0", "gemma4:e2b:latest"]
)
async def test_every_spelling_of_the_served_model_means_it_without_a_word(names: ServedNames, name: str) -> None:
    meant = await names.meant_by(name)
    assert meant is not None
    assert meant.warning is None


@pytest.mark.parametrize("name", ["gemma4", "gemma4:latest"])
async def test_a_bare_family_name_means_the_served_model_and_says_what_it_usually_means(
    names: ServedNames, name: str
) -> None:
    meant = await names.meant_by(name)
    assert meant is not None
    assert meant.warning is not None
    assert "gemma4:e4b" in meant.warning.message


@pytest.mark.parametrize(
    "name", ["gemma4:e4b", "gemma4:e2b-q8_0", "gemma4:e2b@tiny", "llama3", "", "x" * 500, "../etc"]
)
async def test_any_other_name_means_something_else(names: ServedNames, name: str) -> None:
    assert await names.meant_by(name) is None


async def test_models_made_from_the_served_one_are_served_with_their_own_words(
    store: Store, names: ServedNames
) -> None:
    derive_model(store, "gemma4:e2b", "parrot", Preset("You are a parrot."))
    meant = await names.meant_by("parrot:latest")
    assert meant is not None
    assert meant.preset == Preset("You are a parrot.")


async def test_a_served_copy_has_the_names_of_its_family_too(store: Store) -> None:
    derive_model(store, "gemma4:e2b", "parrot", Preset("You are a parrot."))
    names = ServedNames(store, store.require("parrot"))
    plain, own = await names.meant_by("gemma4:e2b"), await names.meant_by("parrot")
    assert plain is not None
    assert plain.preset is None
    assert own is not None
    assert own.preset is not None


async def test_the_refusal_says_how_to_get_what_was_asked_for(store: Store, names: ServedNames) -> None:
    add_model(store, "other:1b")
    stored = await names.refusal("other:1b")
    missing = await names.refusal("gemma4:31b")
    unknown = await names.refusal("gema4:e2b-q4_0")
    assert isinstance(stored, ModelMissing)
    assert "gemstead serve --model other:1b" in str(stored.hint)
    assert isinstance(missing, ModelMissing)
    assert missing.hint == "gemstead models pull gemma4:31b"
    assert isinstance(unknown, NameUnknown)
    assert unknown.nearest == "gemma4:e2b-q4_0"


def test_what_a_request_says_wins_over_the_models_own_words() -> None:
    preset = Preset("You are a parrot.", Sampling(temperature=0.5, top_k=5), wanted_context=4096)
    user, system = Message("user", (TextPart("hi"),)), Message("system", (TextPart("Be brief."),))
    silent = with_preset(ChatRequest("m", (user,)), preset)
    assert [message.text for message in silent.messages] == ["You are a parrot.", "hi"]
    assert (silent.sampling, silent.wanted_context) == (preset.sampling, 4096)
    asked = ChatRequest("m", (system, user), sampling=Sampling(temperature=0.0), wanted_context=100)
    told = with_preset(asked, preset)
    assert told.messages == (system, user)
    assert (told.sampling, told.wanted_context) == (Sampling(temperature=0.0, top_k=5), 100)
    assert with_preset(asked, None) is asked


def test_a_raw_prompt_and_a_request_to_load_get_no_system_prompt() -> None:
    preset = Preset("You are a parrot.")
    assert with_preset(ChatRequest("m", (), prompt="once"), preset).messages == ()
    assert with_preset(ChatRequest("m", ()), preset).is_load
