from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from gemstead.core.errors import RequestInvalid
from gemstead.core.facts import ModelFacts
from gemstead.core.types import AudioPart, ChatRequest, ImagePart, Message, Part, TextPart, VideoPart
from gemstead.pipeline.media import CheckedMedia, MediaLimits, check_media
from gemstead.settings.model import MediaSettings
from media_samples import picture, wav

GEMMA = ModelFacts(template="gemma4-small", can_see=True, can_hear=True)
IMAGE = ImagePart(picture(), "image/png")
SOUND = AudioPart(wav(2.0), "audio/wav")


def asking(*parts: Part) -> ChatRequest:
    return ChatRequest("gemma4:e2b", (Message("system", (TextPart("Look."),)), Message("user", parts)))


async def check(*parts: Part, facts: ModelFacts = GEMMA, **limits: Any) -> CheckedMedia:
    return await check_media(facts, MediaLimits(**limits), asking(*parts))


async def test_a_request_without_media_is_given_back_as_it_is() -> None:
    request = asking(TextPart("hi"))
    checked = await check_media(ModelFacts(), MediaLimits(), request)
    assert checked.request is request
    assert checked.most_tokens == 0


async def test_media_keep_their_places_and_are_called_by_their_true_types() -> None:
    checked = await check(TextPart("a"), ImagePart(picture("JPEG"), "image/png"), TextPart("b"), SOUND)
    parts = checked.request.messages[1].content
    assert [getattr(part, "media_type", None) for part in parts] == [None, "image/jpeg", None, "audio/wav"]
    assert parts[0] == TextPart("a")
    assert checked.request.messages[0] == asking().messages[0]


async def test_the_tokens_of_all_media_are_bounded() -> None:
    sound_tokens = 2 * 25 + 2
    assert (await check(SOUND)).most_tokens == sound_tokens
    both = (await check(IMAGE, SOUND)).most_tokens
    assert both is not None
    assert 1000 < both <= 1120 + 2 + sound_tokens


async def test_the_tokens_of_a_model_that_is_not_gemma_4_are_not_known() -> None:
    assert (await check(IMAGE, facts=ModelFacts(can_see=True))).most_tokens is None


@pytest.mark.parametrize(
    ("budget", "limits", "most"), [(70, {}, 70), (None, {}, 280), (None, {"image_budget_tokens": 140}, 140)]
)
async def test_a_picture_gets_the_budget_asked_for_or_the_operators(
    budget: int | None, limits: dict[str, int], most: int
) -> None:
    large = picture("JPEG", size=(1500, 1400))
    checked = await check(ImagePart(large, "image/jpeg", token_budget=budget), **limits)
    (part,) = checked.request.messages[1].content
    assert isinstance(part, ImagePart)
    width_px, height_px = Image.open(BytesIO(part.content)).size
    assert most / 2 < width_px * height_px / 48**2 <= most
    assert checked.warnings == ()


async def test_a_budget_that_a_model_has_no_notion_of_is_warned_about_and_the_picture_left_alone() -> None:
    large = ImagePart(picture("JPEG", size=(1500, 1400)), "image/jpeg", token_budget=70)
    checked = await check(large, facts=ModelFacts(can_see=True))
    assert checked.request.messages[1].content == (large,)
    assert [warning.code for warning in checked.warnings] == ["image_budget"]


@pytest.mark.parametrize(("part", "facts"), [(IMAGE, ModelFacts(can_hear=True)), (SOUND, ModelFacts(can_see=True))])
async def test_what_the_model_has_no_sense_for_is_refused_naming_the_model(part: Part, facts: ModelFacts) -> None:
    with pytest.raises(RequestInvalid, match=r"gemma4:e2b does not (see|hear)") as caught:
        await check(part, facts=facts)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("part", "limits", "message"),
    [
        (IMAGE, {"max_images": 0}, "1 pictures: at most 0"),
        (SOUND, {"max_sounds": 0}, "1 sounds: at most 0"),
        (IMAGE, {"max_image_bytes": 100}, "at most 100 B"),
        (IMAGE, {"max_image_pixels": 100}, "at most 100 are taken"),
        (SOUND, {"max_audio_bytes": 100}, "larger than 100 B"),
        (SOUND, {"max_audio_s": 1.5}, "2.0 s long, at most 1.5 s"),
        (ImagePart(b"x", "image/png"), {}, "not a PNG"),
        (AudioPart(b"x", "audio/wav"), {}, "not a WAV or MP3"),
        (VideoPart(b"x", "video/mp4"), {}, "video is not taken"),
    ],
)
async def test_what_is_over_a_limit_is_refused_naming_its_place(
    part: Part, limits: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestInvalid, match=message) as caught:
        await check(TextPart("a"), part, **limits)
    assert caught.value.param in ("messages", "messages[1].content[1]")


def test_the_limits_are_the_settings() -> None:
    assert MediaLimits(**MediaSettings().model_dump()) == MediaLimits()
