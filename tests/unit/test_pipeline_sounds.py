import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.core.errors import RequestInvalid
from gemstead.pipeline.sounds import read_sound
from media_samples import wav

MP3_HEADS = {
    # One frame each of ISO/IEC 11172-3 and 13818-3: (head, bytes, samples, samples a second)
    "128 kbit/s at 44.1 kHz": (b"\xff\xfb\x90\x00", 417, 1152, 44_100),
    "320 kbit/s at 48 kHz": (b"\xff\xfb\xe4\x00", 960, 1152, 48_000),
    "128 kbit/s at 44.1 kHz, padded": (b"\xff\xfb\x92\x00", 418, 1152, 44_100),
    "64 kbit/s at 22.05 kHz": (b"\xff\xf3\x80\x00", 208, 576, 22_050),
    "8 kbit/s at 8 kHz": (b"\xff\xe3\x18\x00", 72, 576, 8_000),
}


def mp3(kind: str, num_frames: int) -> bytes:
    head, frame_bytes, _, _ = MP3_HEADS[kind]
    return (head + bytes(frame_bytes - len(head))) * num_frames


@pytest.mark.parametrize(("rate_hz", "channels", "sample_bytes"), [(16_000, 1, 2), (44_100, 2, 2), (96_000, 2, 3)])
def test_a_wav_tells_its_length(rate_hz: int, channels: int, sample_bytes: int) -> None:
    sound = read_sound(wav(1.5, rate_hz, channels, sample_bytes), "x")
    assert (sound.media_type, sound.duration_s, sound.sample_rate_hz) == ("audio/wav", 1.5, rate_hz)


@pytest.mark.parametrize("kind", list(MP3_HEADS))
def test_the_frames_of_an_mp3_are_counted(kind: str) -> None:
    _, _, num_samples, rate_hz = MP3_HEADS[kind]
    sound = read_sound(mp3(kind, 100), "x")
    assert (sound.media_type, sound.sample_rate_hz) == ("audio/mpeg", rate_hz)
    assert sound.duration_s == pytest.approx(100 * num_samples / rate_hz)


def test_what_lies_between_the_frames_of_an_mp3_is_skipped() -> None:
    frames = mp3("128 kbit/s at 44.1 kHz", 50)
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 1, 2]) + b"\xff\xfb\x90\x00" + bytes(126)
    plain, broken = read_sound(frames, "x"), read_sound(tag + frames + b"\xff\xff\x00noise" + frames, "x")
    assert broken.duration_s == pytest.approx(2 * plain.duration_s)


def test_an_mp3_that_claims_to_be_short_is_as_long_as_its_frames() -> None:
    one_frame = b"\xff\xfb\x90\x00" + bytes(32) + b"Xing\x00\x00\x00\x01" + struct.pack(">I", 1)
    frames = one_frame.ljust(417, b"\0") + mp3("128 kbit/s at 44.1 kHz", 10_000)
    assert read_sound(frames, "x").duration_s > 260


@pytest.mark.parametrize("rate_hz", [4_000, 192_000])
def test_an_odd_sample_rate_is_refused(rate_hz: int) -> None:
    with pytest.raises(RequestInvalid, match=f"{rate_hz} samples a second"):
        read_sound(wav(0.1, rate_hz), "x")


def test_a_wav_that_promises_more_than_it_has_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="cut short"):
        read_sound(wav(1.0)[:2000], "x")


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\x04\x00\x00\x00WAVE", b"OggS", b"fLaC", b"\xff\xff\xff\xff"])
def test_what_is_no_sound_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(RequestInvalid) as caught:
        read_sound(content, "messages[1].content[0]")
    assert caught.value.param == "messages[1].content[0]"
    assert caught.value.hint


@given(st.binary(max_size=300), st.sampled_from([b"", b"RIFF\x20\x00\x00\x00WAVEfmt ", b"ID3", b"\xff\xfb\x90"]))
def test_no_bytes_break_it(tail: bytes, head: bytes) -> None:
    with suppress(RequestInvalid):
        assert read_sound(head + tail, "x").duration_s >= 0
