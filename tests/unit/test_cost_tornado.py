"""The sensitivity chart, as text and as a picture."""

from __future__ import annotations

from xml.etree import ElementTree

from gemstead.cost.sensitivity import Swing
from gemstead.cost.tornado import svg_chart, text_bars

SWINGS = (Swing("setup_hours", 1, 9, 2.0, 10.0), Swing("pue", 1, 2, 4.0, 6.0), Swing("utilisation", 0.1, 0.9, 8.0, 3.0))


def test_bars_share_one_scale_and_show_where_the_cost_is_now() -> None:
    assert text_bars(SWINGS, 5.0, width_chars=9) == ["===|#####", "  =|#", " ==|###"]


def test_nothing_that_swings_is_no_bar() -> None:
    assert text_bars((), 5.0) == []


def test_a_cost_beyond_every_swing_is_still_shown() -> None:
    assert text_bars((Swing("a", 1, 2, 4.0, 6.0),), 2.0, width_chars=5) == ["|####"]


def test_the_picture_is_well_formed_and_its_bars_meet_at_the_present_cost() -> None:
    root = ElementTree.fromstring(svg_chart(SWINGS, 5.0, 'a <b> & "c"'))
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == 'a <b> & "c"'
    bars = [bar for bar in root.iter(f"{space}rect") if bar.get("height") == "20"]
    assert len(bars) == 2 * len(SWINGS)
    (line,) = root.iter(f"{space}line")
    for cheaper, dearer in zip(bars[::2], bars[1::2], strict=True):
        assert float(cheaper.get("x", "")) + float(cheaper.get("width", "")) == float(line.get("x1", ""))
        assert dearer.get("x") == line.get("x1")
    shown = [text.text for text in root.iter(f"{space}text")]
    assert "setup hours: 1 to 9" in shown
    assert {"2", "10", "now: $5"} <= set(shown)


def test_a_picture_of_nothing_is_still_a_picture() -> None:
    assert ElementTree.fromstring(svg_chart((), 5.0, "empty")) is not None
