"""A real browser for the tests of pages: an installed Chromium or Chrome without a window, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    *("--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
"""A page in a test is all that may open a connection."""


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """Ended with the block; its profile is a passing one. Fails where there is no browser: `make test` installs one."""
    from playwright.sync_api import sync_playwright

    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    assert program is not None, f"no browser is on the path ({', '.join(PROGRAMS)}): run `make browser`"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()
