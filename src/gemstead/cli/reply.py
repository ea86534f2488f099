"""Printing a reply as it comes. What a model says is untrusted: none of its escape sequences reach the terminal."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from gemstead.cli.output import note
from gemstead.core.types import Event, Finish, ReasoningDelta, TextDelta, Usage, Warning

_KEPT_CONTROLS = "\n\t"
_REPLACED = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in _KEPT_CONTROLS}


def printable(text: str) -> str:
    """`text` without control characters other than newline and tab: none can move the cursor or set a title."""
    return text.translate(_REPLACED)


class Reply(msgspec.Struct):
    """What came: the folded text and reasoning, and how it ended."""

    text: str = ""
    reasoning: str = ""
    finish_reason: str = "cancelled"
    usage: Usage | None = None
    warnings: list[str] = []

    def as_json(self, model: str) -> dict[str, Any]:
        return {"model": model, **msgspec.to_builtins(self)}


async def show_reply(events: AsyncIterator[Event], *, is_shown: bool = True, into: Reply | None = None) -> Reply:
    """Prints text to stdout as it comes, thinking and warnings to stderr; returns the whole.

    `into` keeps what came so far for a caller that may cancel this.
    """
    reply = Reply() if into is None else into
    async for event in events:
        match event:
            case TextDelta(text=text):
                _end_thinking(reply, is_shown)
                reply.text += text
                _write(text, is_shown)
            case ReasoningDelta(text=text):
                reply.reasoning += text
                if is_shown:
                    print(printable(text), end="", file=sys.stderr, flush=True)
            case Usage():
                reply.usage = event
            case Warning(message=message):
                reply.warnings.append(message)
                note(f"warning: {message}")
            case Finish(reason=reason):
                reply.finish_reason = reason
    if is_shown and not reply.text.endswith("\n"):
        print(flush=True)
    return reply


def _end_thinking(reply: Reply, is_shown: bool) -> None:
    """A blank line between the thinking and the first word of the answer."""
    if is_shown and reply.reasoning and not reply.text:
        print("\n", file=sys.stderr, flush=True)


def _write(text: str, is_shown: bool) -> None:
    if is_shown:
        print(printable(text), end="", flush=True)


def closing_line(reply: Reply, model: str) -> str:
    """`smollm2:135m  18 tokens  42.1 tok/s` from what the engine measured itself; only what is known."""
    words = [model]
    if reply.usage:
        words.append(f"{reply.usage.completion_tokens} tokens")
        timings = reply.usage.timings
        if timings and timings.decode_s and timings.decode_tokens:
            words.append(f"{timings.decode_tokens / timings.decode_s:.1f} tok/s")
    if reply.finish_reason == "length":
        words.append("cut at the token limit")
    return "  ".join(words)
