import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from gemstead.cli.output import print_json, print_table, show_bytes
from gemstead.cli.progress import shown_progress
from gemstead.cli.reply import closing_line, printable, show_reply
from gemstead.core.figures import BytesFigure
from gemstead.core.progress import ProgressEvent
from gemstead.core.types import Event, Finish, ReasoningDelta, TextDelta, Timings, Usage, Warning


async def events(*given: Event) -> AsyncIterator[Event]:
    for event in given:
        yield event


def test_a_table_aligns_numbers_right_and_words_left(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "size"), [("a", "12 MiB"), ("long name", "~3 MiB"), (None, None)])
    assert capsys.readouterr().out.splitlines() == ["name         size", "a          12 MiB", "long name  ~3 MiB", ""]


def test_json_carries_its_schema_and_lists_stand_under_items(capsys: pytest.CaptureFixture[str]) -> None:
    print_json("models/1", [{"name": "ü"}])
    assert json.loads(capsys.readouterr().out) == {"schema": "gemstead/models/1", "items": [{"name": "ü"}]}


def test_what_was_not_measured_is_marked() -> None:
    assert show_bytes(BytesFigure(1024, "measured")) == "1 KiB"
    assert show_bytes(BytesFigure(1024, "computed")) == "~1 KiB"


@pytest.mark.parametrize("hostile", ["\x1b[2J\x1b]0;owned\x07", "\x9b31m", "a\rb", "\x00\x08"])
def test_a_reply_cannot_move_the_cursor_or_set_the_title(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    reply = asyncio.run(show_reply(events(ReasoningDelta(hostile), TextDelta("ok" + hostile), Finish("stop"))))
    shown = capsys.readouterr()
    for stream in (shown.out, shown.err):
        assert not any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 for c in stream)
    assert reply.text == "ok" + hostile


def test_text_goes_to_stdout_and_thinking_and_warnings_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    given = events(Warning("w", "no such knob"), ReasoningDelta("hmm"), TextDelta("yes"), Finish("stop"))
    reply = asyncio.run(show_reply(given))
    shown = capsys.readouterr()
    assert shown.out == "yes\n"
    assert "hmm" in shown.err
    assert "warning: no such knob" in shown.err
    assert reply.as_json("m")["warnings"] == ["no such knob"]


def test_the_closing_line_tells_only_what_is_known() -> None:
    timed = Usage(3, 20, timings=Timings(decode_tokens=20, decode_s=0.5))
    reply = asyncio.run(show_reply(events(TextDelta("a"), timed, Finish("length")), is_shown=False))
    assert closing_line(reply, "m") == "m  20 tokens  40.0 tok/s  cut at the token limit"
    bare = asyncio.run(show_reply(events(TextDelta("a"), Finish("stop")), is_shown=False))
    assert closing_line(bare, "m") == "m"


def test_printable_keeps_every_script_and_the_line_breaks() -> None:
    assert printable("é漢🙂\n\tx") == "é漢🙂\n\tx"


def test_without_a_terminal_progress_is_lines_and_says_when_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress() as progress:
        progress(ProgressEvent("pull", 512, 1024))
        progress(ProgressEvent("pull", 600, 1024))
        progress(ProgressEvent("pull", 1024, 1024, is_done=True, note="verified"))
    assert capsys.readouterr().err.splitlines() == ["pull  512 B / 1 KiB", "pull: verified"]
