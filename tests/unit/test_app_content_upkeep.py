"""A running server lets content go when it is due, and forgets what was erased by another process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gemstead.app.content import opened_vault
from gemstead.app.content_upkeep import opened_upkeep
from gemstead.app.subjects import list_subjects
from gemstead.core.errors import EngineFailed
from gemstead.evidence.vault.erasures import done_by, last_erasure
from gemstead.settings.load import Loaded, load_settings
from vaults import ALICE, BOB, place


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    monkeypatch.setattr("gemstead.app.content_upkeep.LOOK_EVERY_S", 0.001)
    return load_settings(environ={"GEMSTEAD_DATA_DIR": str(tmp_path)})


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 (a database tells nobody)
            await asyncio.sleep(0.001)


def is_seen(loaded: Loaded) -> bool:
    with opened_vault(loaded) as (_vault, connection):
        return os.getpid() in done_by(connection, max(1, last_erasure(connection)))


async def test_what_is_due_goes_without_being_asked(loaded: Loaded) -> None:
    with opened_vault(loaded) as (vault, _connection):
        vault.keep(ALICE, place(1), 10, b"{}")
        vault.keep(BOB, place(2), 2**50, b"{}")
    async with opened_upkeep(loaded, _nothing):
        await until(lambda: [str(one.subject) for one in list_subjects(loaded)] == ["bob"])


async def test_an_erasure_is_forgotten_once_and_then_said_to_be_even_if_it_fails_at_first(loaded: Loaded) -> None:
    tries = []

    async def forget() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise EngineFailed("it does not stop")

    with opened_vault(loaded) as (vault, connection):
        vault.erase([], 1)
        async with opened_upkeep(loaded, forget):
            await until(lambda: is_seen(loaded))
            assert tries == []
            vault.erase([], 2)
            await until(lambda: is_seen(loaded))
            assert len(tries) == 2
        assert last_erasure(connection) == 2


async def test_where_nothing_was_ever_kept_no_vault_is_made(loaded: Loaded) -> None:
    async with opened_upkeep(loaded, _nothing):
        await asyncio.sleep(0)
    assert not loaded.paths.content.exists()


async def _nothing() -> None:
    return None
