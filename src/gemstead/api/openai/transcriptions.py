"""Audio transcriptions: a form with a sound becomes a chat request with one; the answer is the transcript."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from gemstead.api.body import apply_fields, bounded, take_fields
from gemstead.api.dialect import Decoded, Form, FormFile, ReplyHead
from gemstead.api.extension import ReplyExtension, reply_extension
from gemstead.api.media import AUDIO_TYPES
from gemstead.api.openai.errors import encode_error
from gemstead.api.openai.rest_fields import TRANSCRIPTION_FIELDS
from gemstead.api.openai.sampling import ModelName, Share
from gemstead.core.errors import GemsteadError, RequestInvalid
from gemstead.core.types import AudioPart, ChatRequest, Event, Message, Sampling, TextDelta, TextPart, Usage, Warning
from gemstead.pipeline.fold import FoldedReply

INSTRUCTION = (
    "Write down what is said in this recording, word for word and in the language it is spoken in. "
    "Answer with the transcript only: no heading, no comment, no translation."
)

AUDIO_NAMES = {
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    **{media_type: media_type for media_type in AUDIO_TYPES.values()},
}
"""Media types that clients send, and the one that is meant."""

LISTS = frozenset(
    ("include", "keywords", "known_speaker_names", "known_speaker_references", "languages", "timestamp_granularities")
)
"""Fields that hold several values: clients write them with brackets, and repeat them."""

RESPONSE_FORMAT = "response_format"

Hint = Annotated[str, msgspec.Meta(max_length=4000)]
Language = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z -]{1,39}$")]


class TranscriptionRequest(msgspec.Struct, frozen=True):
    """The honoured fields but for the file; `rest_fields.TRANSCRIPTION_FIELDS` deals with the others."""

    model: ModelName
    keywords: Annotated[list[Annotated[str, msgspec.Meta(max_length=100)]], msgspec.Meta(max_length=100)] = []
    language: Language | None = None
    languages: Annotated[list[Language], msgspec.Meta(max_length=20)] = []
    prompt: Hint | None = None
    response_format: Literal["json", "text", "verbose_json", "srt", "vtt", "diarized_json"] = "json"
    stream: bool = False
    temperature: Share = 0.0


class TranscriptionForm(TranscriptionRequest, frozen=True, kw_only=True):
    """As the API document shows it, with the file."""

    file: bytes


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["tokens"] = "tokens"
    input_tokens: int
    output_tokens: int
    total_tokens: int


class Transcription(msgspec.Struct, frozen=True):
    text: str
    usage: TokenUsage | UnsetType = UNSET
    gemstead: ReplyExtension | UnsetType = UNSET


class TextPiece(msgspec.Struct, frozen=True, tag_field="type", tag="transcript.text.delta"):
    delta: str


class TextDone(msgspec.Struct, frozen=True, tag_field="type", tag="transcript.text.done"):
    text: str
    usage: TokenUsage | UnsetType = UNSET
    gemstead: ReplyExtension | UnsetType = UNSET


def decode_transcription(form: Form) -> Decoded:
    """Raises: RequestInvalid whose `param` is the field's name."""
    body = _body_of(form)
    warnings = list(apply_fields(body, TRANSCRIPTION_FIELDS))
    asked = take_fields(body, TranscriptionRequest, is_strict=False)
    if asked.response_format not in ("json", "text"):
        raise RequestInvalid(
            f"transcripts as {asked.response_format} are not offered",
            param=RESPONSE_FORMAT,
            why="the model does not say when a word was spoken, nor by whom",
            hint="use json or text",
        )
    if asked.stream and asked.response_format == "text":
        raise RequestInvalid("a stream is events, not plain text", param=RESPONSE_FORMAT, hint="use json")
    content = (_sound(form.files.get("file")), TextPart(_instruction(asked)))
    request = ChatRequest(
        model=asked.model,
        messages=(Message("user", content),),
        sampling=Sampling(temperature=asked.temperature),
        is_stream=asked.stream,
        raw={RESPONSE_FORMAT: asked.response_format},
    )
    return Decoded(request, bounded(warnings))


def _body_of(form: Form) -> dict[str, object]:
    """Fields as a JSON body has them. Raises: RequestInvalid for one that is given twice."""
    body: dict[str, object] = dict.fromkeys(form.files, "a file")
    for name, values in form.fields.items():
        plain = name.partition("[")[0]
        if plain in LISTS:
            body[plain] = list(values)
        elif len(values) > 1:
            raise RequestInvalid(f"{plain} is given {len(values)} times", param=plain)
        else:
            body[plain] = values[0]
    return body


def _sound(file: FormFile | None) -> AudioPart:
    if file is None:
        raise RequestInvalid("file is missing", param="file", hint="curl -F file=@speech.wav -F model=...")
    extension = file.name.rpartition(".")[2].lower()
    media_type = AUDIO_NAMES.get(file.media_type) or AUDIO_TYPES.get(extension)
    if media_type is None:
        raise RequestInvalid(
            f"audio of type {(file.media_type or file.name)[:40]!r} is not taken",
            param="file",
            hint=f"use one of {', '.join(AUDIO_TYPES)}",
        )
    if not file.content:
        raise RequestInvalid("the file is empty", param="file")
    return AudioPart(file.content, media_type)


def _instruction(asked: TranscriptionRequest) -> str:
    languages = [asked.language] if asked.language else asked.languages
    lines = [
        INSTRUCTION,
        f"The language is {' or '.join(languages)}." if languages else "",
        f"Words that may come up: {', '.join(asked.keywords)}." if asked.keywords else "",
        f"For spelling and style, this came before: {asked.prompt}" if asked.prompt else "",
    ]
    return "\n".join(line for line in lines if line)


def reply_media_type(request: ChatRequest) -> str:
    return "text/plain; charset=utf-8" if request.raw[RESPONSE_FORMAT] == "text" else "application/json"


def encode_reply(head: ReplyHead, request: ChatRequest, reply: FoldedReply) -> bytes:  # noqa: ARG001 (one signature)
    text = reply.text.strip()
    if request.raw[RESPONSE_FORMAT] == "text":
        return f"{text}\n".encode()
    return msgspec.json.encode(Transcription(text, _usage(reply.usage), reply_extension(reply.warnings)))


class TranscriptionStream:
    """Pieces as they come, then the whole text with usage and warnings."""

    def __init__(self, head: ReplyHead, request: ChatRequest) -> None:  # noqa: ARG002 (one signature)
        self._texts: list[str] = []
        self._usage: Usage | None = None
        self._warnings: list[Warning] = []

    def feed(self, event: Event) -> bytes:
        match event:
            case TextDelta(text=text):
                self._texts.append(text)
                return _event(TextPiece(text))
            case Usage():
                self._usage = event
            case Warning():
                self._warnings.append(event)
        return b""

    def close(self) -> bytes:
        text = "".join(self._texts).strip()
        return _event(TextDone(text, _usage(self._usage), reply_extension(tuple(self._warnings))))

    def fail(self, error: GemsteadError) -> bytes:
        """An error object where an event would be: official clients raise it as an APIError."""
        return b"data: " + encode_error(error) + b"\n\n"


def _event(body: TextPiece | TextDone) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def _usage(usage: Usage | None) -> TokenUsage | UnsetType:
    if usage is None:
        return UNSET
    total = usage.prompt_tokens + usage.completion_tokens
    return TokenUsage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens, total_tokens=total)
