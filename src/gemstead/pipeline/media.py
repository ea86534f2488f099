"""Pictures and sounds of a request: what a model cannot take, or no one should have to, never reaches the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec

from gemstead.core.errors import RequestInvalid
from gemstead.core.facts import ModelFacts
from gemstead.core.types import AudioPart, ChatRequest, ImagePart, Message, Part, TextPart, VideoPart, Warning
from gemstead.core.units import MIB, format_bytes
from gemstead.gemma.media_tokens import DEFAULT_IMAGE_BUDGET, IMAGE_BUDGETS, audio_tokens, image_tokens
from gemstead.pipeline.images import ready_image
from gemstead.pipeline.sounds import read_sound


class MediaLimits(msgspec.Struct, frozen=True):
    """Of one request. `image_budget_tokens` is what Gemma 4 spends on a picture where the request does not say."""

    max_images: int = 16
    max_image_bytes: int = 20 * MIB
    max_image_pixels: int = 36_000_000
    image_budget_tokens: int = DEFAULT_IMAGE_BUDGET
    max_sounds: int = 4
    max_audio_bytes: int = 25 * MIB
    max_audio_s: float = 30.0


class CheckedMedia(msgspec.Struct, frozen=True):
    """`most_tokens` bounds what all media take in the prompt; None: this model's way of counting is not known."""

    request: ChatRequest
    most_tokens: int | None = 0
    warnings: tuple[Warning, ...] = ()


async def check_media(model: ModelFacts, limits: MediaLimits, request: ChatRequest) -> CheckedMedia:
    """The request with its media as an engine gets them; one without media is given back as it is.

    Raises: RequestInvalid naming the message and part.
    """
    parts = list(_media_of(request))
    if not parts:
        return CheckedMedia(request)
    _check_counts(request.model, model, limits, parts)
    ready: dict[tuple[int, int], Part] = {}
    tokens = 0
    for at, part in parts:
        path = f"messages[{at[0]}].content[{at[1]}]"
        if isinstance(part, ImagePart):
            ready[at], used = await _image(part, model, limits, path)
        else:
            ready[at], used = await _sound(part, limits, path)
        tokens += used
    is_known = model.template is not None
    return CheckedMedia(_replaced(request, ready), tokens if is_known else None, _warnings(parts, is_known=is_known))


def _media_of(request: ChatRequest) -> Iterator[tuple[tuple[int, int], ImagePart | AudioPart]]:
    """((message, part), medium). Raises: RequestInvalid for video: no engine here takes it."""
    for index, message in enumerate(request.messages):
        for place, part in enumerate(message.content):
            if isinstance(part, TextPart):
                continue
            if isinstance(part, VideoPart):
                raise RequestInvalid(
                    "video is not taken",
                    param=f"messages[{index}].content[{place}]",
                    hint="send its frames as pictures",
                )
            yield (index, place), part


def _check_counts(
    name: str, model: ModelFacts, limits: MediaLimits, parts: list[tuple[tuple[int, int], ImagePart | AudioPart]]
) -> None:
    num_images = sum(isinstance(part, ImagePart) for _, part in parts)
    kinds = (
        ("pictures", num_images, model.can_see, "see pictures", limits.max_images),
        ("sounds", len(parts) - num_images, model.can_hear, "hear sounds", limits.max_sounds),
    )
    for kind, number, is_able, verb, most in kinds:
        if number and not is_able:
            raise RequestInvalid(
                f"{name} does not {verb} as it is served here",
                param="messages",
                hint=f"leave the {kind} out, or serve a model that can",
            )
        if number > most:
            raise RequestInvalid(
                f"{number} {kind}: at most {most} are taken", param="messages", hint=f"send fewer {kind}"
            )


async def _image(part: ImagePart, model: ModelFacts, limits: MediaLimits, path: str) -> tuple[ImagePart, int]:
    """The picture, and the most tokens it takes: engines that see it smaller than its budget may still scale it up."""
    budget = (part.token_budget or limits.image_budget_tokens) if model.template is not None else None
    image = await asyncio.to_thread(ready_image, part, limits.max_image_bytes, limits.max_image_pixels, budget, path)
    return image.part, image_tokens(image.width_px, image.height_px, IMAGE_BUDGETS[-1])


async def _sound(part: AudioPart, limits: MediaLimits, path: str) -> tuple[AudioPart, int]:
    if len(part.content) > limits.max_audio_bytes:
        raise RequestInvalid(f"the sound is larger than {format_bytes(limits.max_audio_bytes)}", param=path)
    sound = await asyncio.to_thread(read_sound, part.content, path)
    if sound.duration_s > limits.max_audio_s:
        raise RequestInvalid(
            f"the sound is {sound.duration_s:.1f} s long, at most {limits.max_audio_s:g} s are taken",
            param=path,
            why="the model hears 30 s at once",
            hint="send a shorter piece",
        )
    return msgspec.structs.replace(part, media_type=sound.media_type), audio_tokens(sound.duration_s)


def _warnings(parts: list[tuple[tuple[int, int], ImagePart | AudioPart]], *, is_known: bool) -> tuple[Warning, ...]:
    """For models that are not Gemma 4, nothing here knows how many tokens a picture of a given size gets."""
    if is_known or not any(isinstance(part, ImagePart) and part.token_budget for _, part in parts):
        return ()
    message = "how many tokens a picture gets is up to this model: the detail asked for is not honoured"
    return (Warning(code="image_budget", message=message, param="messages"),)


def _replaced(request: ChatRequest, ready: dict[tuple[int, int], Part]) -> ChatRequest:
    def message(index: int, given: Message) -> Message:
        content = tuple(ready.get((index, place), part) for place, part in enumerate(given.content))
        return msgspec.structs.replace(given, content=content)

    messages = tuple(message(index, given) for index, given in enumerate(request.messages))
    return msgspec.structs.replace(request, messages=messages)
