"""Markup that acts when it is shown: pictures that are fetched, HTML that runs, escapes that steer a terminal.

Detects: Markdown pictures with a remote address (the address can carry the conversation away, without a click), HTML
    elements that run, load or ask, any element with an event handler, terminal escapes and control characters.
Input: what a model says, as it is shown. Inside fenced code only terminal escapes count: pages show code as it is.
Verdict: every one counts, but for hosts on the allow-list. Masked, a picture becomes its host's name, a `<` becomes
    `&lt;`, an escape is left out.
Never filled: links that need a click: the guard `links`.
Known misses: a page that renders other dialects (LaTeX, Mermaid, wiki marks); an address on an allowed host that
    passes on; pictures whose address has more than 2,048 characters are shown by few pages, and are found by their
    beginning.
Source: CommonMark 0.31.2; ECMA-48, 5th edition; OWASP LLM05:2025 (read 2026-11).
"""

from __future__ import annotations

import re

from gemstead.guardrails.base import Found, Guard, Passage, Replace, Screen
from gemstead.guardrails.detect.addresses import host_of, is_allowed
from gemstead.guardrails.span_screen import SpanScreen

_ELEMENTS = (
    "script|iframe|frame|object|embed|applet|img|image|svg|math|video|audio|source|track|picture|link|meta|base|style"
    "|form|input|button|textarea|select|template|portal|dialog|marquee|body|html|head"
)
_START = re.compile(
    r"(?P<fence>^ {0,3}(?:`{3,}|~{3,}))|(?P<image>!\[)|(?P<html><(?=[A-Za-z/]))"
    r"|(?P<ansi>\x1b|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f\x80-\x9f])",
    re.MULTILINE,
)
_HOT = re.compile(r"[`~!<\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]{0,200})")
_IMAGE = re.compile(
    r"!\[[^\]\n]{0,400}\]\(\s{0,4}<?(?P<url>(?:[a-z]{2,10}:)?//[^\s)>]{1,2048})[^)\n]{0,200}\)?", re.IGNORECASE
)
_IMAGE_OPEN = re.compile(
    r"!(?:\[[^\]\n]{0,400}(?:\](?:\(\s{0,4}(?:<?[^\s)>]{0,2060}(?:[^)\n]{0,200})?)?)?)?)?", re.IGNORECASE
)
_ACTIVE = re.compile(rf"</?(?:{_ELEMENTS})(?![A-Za-z0-9_])", re.IGNORECASE)
_HANDLER = re.compile(
    r"</?[A-Za-z][A-Za-z0-9-]{0,40}+[\s/][^>]{0,512}?(?:\bon[a-z]{3,20}\s?=|javascript:|src\s?=)", re.IGNORECASE
)
_TAG_OPEN = re.compile(r"<(?:[A-Za-z/][^>]{0,2100}>?)?")
_ESCAPE = re.compile(
    r"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b[\]PX^_][^\x07\x1b]{0,2048}(?:\x07|\x1b\\)?|\x1b[ -/]{0,4}[0-~]?"
    r"|\x9b[0-?]{0,64}[ -/]{0,8}[@-~]|[\x00-\x1f\x7f-\x9f]"
)
_ESCAPE_OPEN = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}|[\]PX^_][^\x07\x1b]{0,2048}\x1b?|[ -/]{0,4})?|\x9b[0-?]{0,64}[ -/]{0,8}"
)
_LINE_OPEN = re.compile(r" {0,3}(?:`{1,2}|~{1,2}|(?:`{3,}|~{3,})[^\n]{0,200})?")


class _Markup:
    """Implements `base.Finder`. Its state: whether fenced code is open, and with which mark."""

    def __init__(self, domains: tuple[str, ...]) -> None:
        self._domains = domains
        self._fence = ""

    def next(self, text: str, start: int, end: int) -> Found | None:
        if _HOT.search(text, start, end) is None:
            return None
        place = start
        while (match := _START.search(text, place)) is not None and match.start() < end:
            place = match.start()
            if match.lastgroup == "fence":
                place = self._pass_fence(text, place)
            elif (found := self._look(text, place, match.lastgroup or "")) is not None:
                return found
            else:
                place += 1
        return None

    def decided(self, text: str, start: int) -> int:
        line = text.rfind("\n", start) + 1 or start
        end = line if _LINE_OPEN.fullmatch(text, line) and _is_line_begin(text, line) else len(text)
        for mark, is_open in (("!", _IMAGE_OPEN), ("<", _TAG_OPEN), ("\x1b", _ESCAPE_OPEN), ("\x9b", _ESCAPE_OPEN)):
            place = text.find(mark, max(start, len(text) - 2800), end)
            while 0 <= place < end and is_open.fullmatch(text, place) is None:
                place = text.find(mark, place + 1, end)
            end = place if place >= 0 else end
        return end

    def _pass_fence(self, text: str, place: int) -> int:
        match = _FENCE.match(text, place)
        if match is None:
            return place + 1
        mark, info = match[1], match[2]
        if not self._fence:
            # A fence of backticks has none in its first line: that is code within a line.
            if not (mark[0] == "`" and "`" in info):
                self._fence = mark
        elif mark[0] == self._fence[0] and len(mark) >= len(self._fence) and not info.strip():
            self._fence = ""
        return match.end(1)

    def _look(self, text: str, place: int, group: str) -> Found | None:
        if group == "ansi":
            escape = _ESCAPE.match(text, place)
            return Found(place, escape.end(), "terminal_escape", "") if escape is not None else None
        if self._fence:
            return None
        return self._image(text, place) if group == "image" else _html(text, place)

    def _image(self, text: str, place: int) -> Found | None:
        match = _IMAGE.match(text, place)
        if match is None:
            return None
        host = host_of(match["url"])
        if is_allowed(host, self._domains):
            return None
        return Found(place, match.end(), "remote_image", f"[picture not shown: {host or 'no host'}]")


def _html(text: str, place: int) -> Found | None:
    if _ACTIVE.match(text, place) is None and _HANDLER.match(text, place) is None:
        return None
    close = text.find(">", place, place + 2101)
    if text[place - 1 : place] == "`" and place and close >= 0 and text[close + 1 : close + 2] == "`":
        return None
    return Found(place, place + 1, "active_html", "&lt;")


def _is_line_begin(text: str, line: int) -> bool:
    return line == 0 or text[line - 1] == "\n"


def _opens(passage: Passage, replace: Replace) -> Screen:
    return SpanScreen("markup", _Markup(passage.domains), replace)


GUARD = Guard(
    name="markup",
    detects="remote pictures, active HTML and terminal escapes in what a model says",
    kinds=("remote_image", "active_html", "terminal_escape"),
    stages=frozenset({"output"}),
    opens=_opens,
    default="off",
    order=60,
    is_blocking=False,
    measured_on="markup",
)
