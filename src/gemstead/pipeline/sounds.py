"""How long a sound is, read from its bytes: WAV and MP3.

A header may lie about the length, and an engine would decode hours out of a few hundred kilobytes: so a WAV's samples
must be there, and an MP3's frames are counted one by one.
"""

from __future__ import annotations

import re
import wave
from io import BytesIO

import msgspec

from gemstead.core.errors import RequestInvalid

SAMPLE_RATES_HZ = (8_000, 96_000)
"""The lowest and the highest that is taken."""

_BITRATES_KBPS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Of MPEG 1 and of MPEG 2 and 2.5, layer III. Source: ISO/IEC 11172-3 and 13818-3, "bitrate_index"."""

_MP3_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""By the version bits: MPEG 1, 2 and 2.5."""

_MP3_HEAD = re.compile(
    rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][%s]"
    % b"".join(b"\\x%02x" % byte for byte in range(0x10, 0xF0) if byte & 12 != 12)
)
"""The first three bytes of a layer III frame: eleven bits set, one of three versions, a bitrate and a sample rate."""


class Sound(msgspec.Struct, frozen=True):
    media_type: str
    duration_s: float
    sample_rate_hz: int


def read_sound(content: bytes, path: str) -> Sound:
    """What the sound is, by its bytes.

    Raises: RequestInvalid naming `path` for what is neither WAV nor MP3, or broken.
    """
    sound = _read_wav(content, path) if content[:4] == b"RIFF" else _read_mp3(content)
    if sound is None:
        raise RequestInvalid("not a WAV or MP3 sound", param=path, hint="send it as 16-bit PCM WAV")
    low_hz, high_hz = SAMPLE_RATES_HZ
    if not low_hz <= sound.sample_rate_hz <= high_hz:
        raise RequestInvalid(
            f"the sound has {sound.sample_rate_hz} samples a second",
            param=path,
            hint=f"resample it to between {low_hz} and {high_hz}; the model itself hears 16000",
        )
    return sound


def _read_wav(content: bytes, path: str) -> Sound:
    try:
        with wave.open(BytesIO(content)) as reader:
            frame_bytes = reader.getnchannels() * reader.getsampwidth()
            num_frames, rate_hz = reader.getnframes(), reader.getframerate()
    except (wave.Error, EOFError) as exc:
        raise RequestInvalid(
            "the WAV sound cannot be read",
            param=path,
            why=str(exc) or "it is cut short",
            hint="send it as 16-bit PCM WAV",
        ) from exc
    if num_frames * frame_bytes > len(content):
        raise RequestInvalid("the WAV sound is cut short", param=path, why="its header promises more than there is")
    return Sound("audio/wav", num_frames / rate_hz if rate_hz else 0.0, rate_hz)


def _read_mp3(content: bytes) -> Sound | None:
    """Walks from frame to frame, skipping what is none, as decoders do. None: there is not one frame."""
    offset, duration_s, rate_hz = _after_id3(content), 0.0, 0
    while head := _MP3_HEAD.search(content, offset):
        frame_bytes, num_samples, rate_hz = _mp3_frame(head[0])
        duration_s += num_samples / rate_hz
        offset = head.start() + frame_bytes
    return Sound("audio/mpeg", duration_s, rate_hz) if rate_hz else None


def _after_id3(content: bytes) -> int:
    """Where the sound begins after an ID3v2 tag, whose size is written in four times seven bits."""
    if content[:3] != b"ID3" or len(content) < 10:
        return 0
    size = 0
    for byte in content[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _mp3_frame(head: bytes) -> tuple[int, int, int]:
    """(bytes, samples, samples a second) of the layer III frame that begins so."""
    version, bitrate_index, rate_index = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    generation = 1 if version == 3 else 2
    rate_hz = _MP3_RATES_HZ[version][rate_index]
    num_samples = 1152 if generation == 1 else 576
    bits_per_s = _BITRATES_KBPS[generation][bitrate_index] * 1000
    return num_samples * bits_per_s // 8 // rate_hz + (head[2] >> 1 & 1), num_samples, rate_hz
