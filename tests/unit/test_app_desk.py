"""The model desk over a store of small files."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gemstead.api.desk import CreateModel, WorkProgress
from gemstead.app.desk import DeskRules, Loaded, StoreDesk
from gemstead.catalog.source import SourceOptions
from gemstead.catalog.store import Store
from gemstead.core.errors import GemsteadError, ModelMissing, PolicyRefused, SourceUnreachable
from gemstead.core.types import Sampling
from small_gguf import gguf_bytes
from small_store import add_model

SERVED = "gemma4:e2b-q4_0"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "models")
    add_model(store, SERVED, model="gemma4:e2b", tag="q4_0", content=gguf_bytes(4096))
    add_model(store, "spare:1b", content=gguf_bytes(4096, architecture="llama", seed=1))
    return store


def desk_over(store: Store, loaded: Loaded | None = None, *, allows_changes: bool = True) -> StoreDesk:
    rules = DeskRules(("gguf",), SourceOptions(is_offline=True), store.root / "servers", allows_changes)
    return StoreDesk(store, rules, SERVED, lambda: loaded)


async def steps_of(desk: StoreDesk, name: str) -> list[WorkProgress]:
    return [step async for step in desk.pull(name)]


async def create(desk: StoreDesk, **fields: Any) -> list[WorkProgress]:
    return [step async for step in desk.create(CreateModel(**fields))]


async def test_models_are_listed_with_what_their_headers_tell(store: Store) -> None:
    served, spare = await desk_over(store).list_models()
    assert (served.name, served.architecture) == (SERVED, "gemma4")
    assert (spare.name, spare.architecture, spare.num_parameters) == ("spare:1b", "llama", 1024)


async def test_a_copy_is_listed_without_reading_its_file_again(store: Store) -> None:
    desk = desk_over(store)
    await desk.copy("spare:1b", "second")
    listed = {model.name: model for model in await desk.list_models()}
    assert listed["second"].made_from == "spare:1b"
    assert listed["second"].sha256 == listed["spare:1b"].sha256


async def test_what_is_loaded_is_told_by_the_engine(store: Store) -> None:
    assert await desk_over(store).list_loaded() == ()
    (loaded,) = await desk_over(store, Loaded(SERVED, 8192, 300, 200, None)).list_loaded()
    assert (loaded.model.name, loaded.context_length, loaded.gpu_bytes) == (SERVED, 8192, 200)


async def test_a_model_is_shown_with_its_own_words(store: Store) -> None:
    desk = desk_over(store)
    fields = {"system": "You are a parrot.", "sampling": Sampling(top_k=5), "licence": "MIT"}
    assert await create(desk, name="parrot", source="gemma4:e2b:latest", **fields)
    shown = await desk.show("parrot:latest")
    assert (shown.system, shown.sampling) == ("You are a parrot.", Sampling(top_k=5))
    assert str(shown.licence).startswith("MIT\n\nApache License 2.0")
    assert shown.model.made_from == SERVED
    assert shown.metadata["general.architecture"] == "gemma4"
    assert shown.capabilities == ("completion",)


async def test_a_model_that_is_not_here_is_not_shown(store: Store) -> None:
    with pytest.raises(ModelMissing):
        await desk_over(store).show("gemma4:31b")


async def test_a_model_that_is_not_served_can_be_removed(store: Store) -> None:
    await desk_over(store).remove("spare:1b")
    assert [manifest.name for manifest in store.list()] == [SERVED]


@pytest.mark.parametrize("name", [SERVED, "gemma4:e2b", "gemma4:e2b:latest"])
async def test_the_served_model_stays_under_whatever_name_it_is_meant(store: Store, name: str) -> None:
    with pytest.raises(PolicyRefused, match="being served"):
        await desk_over(store).remove(name)
    assert store.find("gemma4:e2b") is not None


async def test_where_the_operator_forbids_changes_none_is_made(store: Store) -> None:
    desk = desk_over(store, allows_changes=False)
    before = store.list()
    for attempt in (
        desk.copy("spare:1b", "second"),
        desk.remove("spare:1b"),
        create(desk, name="parrot", source="spare:1b"),
        steps_of(desk, "smollm2:135m"),
    ):
        with pytest.raises(PolicyRefused, match="not changed over HTTP"):
            await attempt
    assert store.list() == before
    assert len(await desk.list_models()) == 2


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("https://example.org/model.gguf", PolicyRefused),
        ("gemma3:270m", PolicyRefused),
        ("gemma4:e4b", SourceUnreachable),
        ("hf.co/owner/repo", SourceUnreachable),
        ("nothing:at-all", GemsteadError),
        ("gemma4:e2b@tiny", GemsteadError),
    ],
)
async def test_a_pull_that_may_or_can_not_be_is_an_error(store: Store, name: str, error: type[GemsteadError]) -> None:
    async with asyncio.timeout(15):
        with pytest.raises(error):
            await steps_of(desk_over(store), name)
