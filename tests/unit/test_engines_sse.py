from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.core.errors import EngineFailed
from gemstead.engines.sse import SseParser

STREAM = (
    b": a comment\n\n"
    b'data: {"text":"caf\xc3\xa9"}\n\n'
    b"event: ignored\r\nid: 7\r\ndata: first line\r\ndata: second line\r\n\r\n"
    b"\n\n:\n\n"
    b"data:no space\n\n"
    b"data: [DONE]\n\n"
)
PAYLOADS = ['{"text":"café"}'.encode(), b"first line\nsecond line", b"no space", b"[DONE]"]


def parse(*chunks: bytes) -> list[bytes]:
    parser = SseParser()
    return [payload for chunk in chunks for payload in parser.feed(chunk)]


def test_comments_and_other_fields_are_skipped_and_data_lines_are_joined() -> None:
    assert parse(STREAM) == PAYLOADS


def test_a_cut_at_any_byte_gives_the_same_events() -> None:
    for cut in range(len(STREAM) + 1):
        assert parse(STREAM[:cut], STREAM[cut:]) == PAYLOADS, cut


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_any_number_of_cuts_gives_the_same_events(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert parse(*(STREAM[start:end] for start, end in pairwise(edges))) == PAYLOADS


def test_an_event_without_its_blank_line_is_not_an_event() -> None:
    assert parse(b"data: half\n") == []


def test_a_line_without_an_end_is_refused_at_the_bound() -> None:
    parser = SseParser(max_event_bytes=1000)
    assert list(parser.feed(b"data: " + b"x" * 900)) == []
    with pytest.raises(EngineFailed, match="1000 bytes"):
        list(parser.feed(b"x" * 200))


def test_an_event_of_too_many_lines_is_refused_at_the_bound() -> None:
    parser = SseParser(max_event_bytes=1000)
    with pytest.raises(EngineFailed, match="without an end"):
        list(parser.feed((b"data: " + b"x" * 50 + b"\n") * 30))
