"""What the policy says is kept is kept before the answer ends, under the person it concerns; or nothing is answered."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from door_fakes import ask
from gemstead.access.policy import Decision, Obligations
from gemstead.app.content import content_keeper, content_text, opened_vault
from gemstead.core.caller import Caller, Origin
from gemstead.core.errors import ContentUnavailable
from gemstead.core.types import AudioPart, ChatRequest, EmbedRequest, Message, TextPart
from gemstead.pipeline.fold import FoldedReply
from gemstead.settings.load import Loaded, load_settings

REPLY = FoldedReply("stop", text="of course")
SHOP = Origin(Caller(key_id="k1", owner="shop"), "req-1", label="internal")


def loaded_in(folder: Path, **environ: str) -> Loaded:
    return load_settings(environ={"GEMSTEAD_DATA_DIR": str(folder), **environ})


def decision(**duties: object) -> Decision:
    return Decision(is_allowed=True, rule_ids=("a",), why="", sha256="", obligations=Obligations(**duties))  # type: ignore[arg-type]


async def test_only_what_a_rule_keeps_is_kept_and_as_long_as_it_says(tmp_path: Path) -> None:
    keeper = content_keeper(loaded_in(tmp_path))
    try:
        assert not keeper.wants(None)
        assert not keeper.wants(decision())
        assert not keeper.wants(decision(keeps_content=False, retention_days=7))
        assert not keeper.wants(decision(keeps_content=True, retention_days=0))
        assert keeper.wants(decision(keeps_content=True))
        assert not (tmp_path / "content.db").exists()
        request = ask("the plan", origin=SHOP, user="carol")
        await keeper.keep(request, decision(keeps_content=True, retention_days=7), REPLY, 4, "secret")
        await keeper.keep(request, decision(keeps_content=True), REPLY, 5, "")
    finally:
        keeper.close()
    with opened_vault(loaded_in(tmp_path)) as (vault, _connection):
        (carol,) = vault.subjects()
        assert str(carol.subject) == "shop/carol"
        short, usual = vault.contents([carol.id])
        assert [one.place.label for one in (short, usual)] == ["secret", "internal"]
        days = [(one.expires_at_ms - one.place.at_ms) / 86_400_000 for one in (short, usual)]
        assert days == [7, 30]
        text = msgspec.json.decode(vault.text_of(short))
    assert text["request"]["messages"][0]["content"][0]["text"] == "the plan"
    assert "origin" not in text["request"]
    assert (text["reply"]["text"], text["request"]["user"]) == ("of course", "carol")


async def test_what_cannot_be_kept_is_not_answered(tmp_path: Path) -> None:
    keeper = content_keeper(loaded_in(tmp_path, GEMSTEAD_CONTENT_MASTER_KEY="short"))
    try:
        with pytest.raises(ContentUnavailable) as caught:
            await keeper.keep(ask("hi", origin=SHOP), decision(keeps_content=True), REPLY, 1, "")
    finally:
        keeper.close()
    assert "short" not in str(caught.value.why)


async def test_a_damaged_vault_refuses_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "content.db").write_bytes(b"no database" * 1000)
    keeper = content_keeper(loaded_in(tmp_path))
    try:
        with pytest.raises(ContentUnavailable, match="kept"):
            await keeper.keep(ask("hi", origin=SHOP), decision(keeps_content=True), REPLY, 1, "")
    finally:
        keeper.close()


def test_media_and_texts_to_embed_are_part_of_what_is_kept() -> None:
    sound = Message("user", (TextPart("listen"), AudioPart(b"\x00\xff", "audio/wav")))
    kept = msgspec.json.decode(content_text(ChatRequest("m", (sound,)), REPLY))
    assert kept["request"]["messages"][0]["content"][1]["content"] == "AP8="
    kept = msgspec.json.decode(content_text(EmbedRequest("m", ("one", "two")), REPLY))
    assert kept["request"]["texts"] == ["one", "two"]
