"""The page of results as a person sees it: real measurements, a real browser, no network."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from browser import opened_browser
from cli_runner import Cli

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("browser")]

LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (1280, 390)]

CHARTS = """() => [...document.querySelectorAll("figure svg")].map(chart => {
  const inside = chart.getBoundingClientRect()
  const outside = [...chart.querySelectorAll("text, line, polyline, path, rect:not(.paper)")].filter(shape => {
    const box = shape.getBoundingClientRect()
    return box.left < inside.left - 1 || box.right > inside.right + 1
      || box.top < inside.top - 1 || box.bottom > inside.bottom + 1
  })
  const words = [...chart.querySelectorAll("text")].map(text => text.textContent)
  const data = chart.querySelectorAll("polyline, rect:not(.paper)").length
  return {title: words[0], words, data, width: inside.width, height: inside.height,
    outside: outside.map(shape => shape.outerHTML)}
})"""
"""Each chart with its words, how many shapes stand for measurements, and what of it reaches over its edge."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, llama_server: Path, smollm2: Path) -> Path:
    """The report of a short run, and of a short load, on this machine."""
    cli = Cli(tmp_path_factory.mktemp("data"), llama_server)
    cli("models", "import", str(smollm2), "--name", "smollm2:135m", "--how", "link")
    run = ("bench", "run", "--model", "smollm2:135m", "--depths", "32,512", "--answer-tokens", "8", "--repeats", "2")
    cli(*run, "--watts", "50")
    load = ("bench", "load", "--model", "smollm2:135m", "--users", "1,2", "--duration", "1")
    cli(*load, "--prompt-tokens", "32", "--answer-tokens", "4")
    page = cli.data / "report.html"
    cli("bench", "report", str(page))
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened_browser() as opened:
        yield opened


@contextmanager
def opened(browser: Browser, page: Path, scheme: str, width: int) -> Iterator[Page]:
    """The page from its file; whatever it would fetch is refused and fails the test, as does a word on the console."""
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 900}, offline=True
    )
    address, complaints = page.as_uri(), list[str]()
    shown = context.new_page()
    shown.on("request", lambda request: None if request.url == address else complaints.append(request.url))
    shown.on("console", lambda message: complaints.append(message.text))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.goto(address)
    try:
        yield shown
        assert complaints == []
    finally:
        context.close()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_every_chart_is_there_and_whole(browser: Browser, page: Path, scheme: str, width: int) -> None:
    with opened(browser, page, scheme, width) as shown:
        charts = shown.evaluate(CHARTS)
    titles = {chart["title"] for chart in charts}
    assert {"Decode over prompt length", "Prefill over prompt length", "Gaps between tokens"} <= titles
    assert {"Memory, predicted and measured", "Energy of a decoded token"} <= titles
    assert any("under load" in title for title in titles)
    for chart in charts:
        assert chart["outside"] == [], chart["title"]
        assert chart["data"] > 0, chart["title"]
        assert chart["width"] > 250, chart["title"]
        assert chart["height"] > 50, chart["title"]
    decode = next(chart for chart in charts if chart["title"] == "Decode over prompt length")
    assert {"tok/s", "prompt tokens, template included", "0"} <= set(decode["words"])


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_the_page_is_as_wide_as_its_window(browser: Browser, page: Path, scheme: str, width: int) -> None:
    with opened(browser, page, scheme, width) as shown:
        assert shown.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_lines_stand_out_from_the_page(browser: Browser, page: Path, scheme: str) -> None:
    with opened(browser, page, scheme, 1280) as shown:
        chart = shown.locator("figure").first.screenshot()
    with Image.open(io.BytesIO(chart)) as picture:
        pixels = picture.convert("RGB")
        colours = pixels.getcolors(pixels.width * pixels.height)
    assert colours is not None
    colours.sort(reverse=True)
    total = sum(number for number, _ in colours)
    ground = colours[0][1]
    assert (min(ground) > 200) == (scheme == "light")
    # Text: far from the ground in all three channels. Lines: with a hue.
    far = sum(number for number, colour in colours if min(map(_apart, colour, ground)) > 120)
    hued = sum(number for number, colour in colours if max(colour) - min(colour) > 60)
    assert far / total > 0.003
    assert hued / total > 0.001
    assert colours[0][0] / total < 0.99


def _apart(one: int, other: int) -> int:
    return abs(one - other)


def test_the_figures_of_a_run_unfold(browser: Browser, page: Path) -> None:
    with opened(browser, page, "light", 1280) as shown:
        table = shown.locator("details table").first
        assert not table.is_visible()
        shown.locator("summary").first.click()
        assert table.is_visible()
        assert "ITL p50 / p95 / p99" in table.inner_text()
