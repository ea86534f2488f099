"""Ways round the guards for personal data: each tried on a request, and told whether the value was found."""

from __future__ import annotations

import asyncio
import base64
import json

from gemstead.core.types import ChatRequest, Message, Role, TextPart, Tool, ToolCall
from gemstead.guardrails.asked import screen_request
from gemstead.guardrails.registry import every_guard, posts
from gemstead.guardrails.vault import Vault

MAIL, CARD = "anna.weber@firma.example", "4111 1111 1111 1111"


def _said(*texts: str, role: Role = "user") -> ChatRequest:
    return ChatRequest("m", tuple(Message(role, (TextPart(text),)) for text in texts))


def _parts(*texts: str) -> ChatRequest:
    return ChatRequest("m", (Message("user", tuple(map(TextPart, texts))),))


def _called(arguments: str) -> ChatRequest:
    return ChatRequest("m", (Message("assistant", tool_calls=(ToolCall("1", "send", arguments),)),))


def _wide(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


WAYS: tuple[tuple[str, ChatRequest], ...] = (
    ("as it is", _said(f"write to {MAIL}")),
    ("full-width characters", _said(_wide(MAIL))),
    ("digits of another script", _said(CARD.translate({ord("0") + n: chr(0x660 + n) for n in range(10)}))),
    ("mathematical letters", _said("".join(chr(0x1D41A + ord(c) - 97) if c.isalpha() else c for c in MAIL))),
    ("Cyrillic look-alikes", _said(MAIL.replace("a", "\u0430").replace("e", "\u0435"))),
    ("invisible characters between", _said("\u200b".join(CARD))),
    ("soft hyphens between", _said("\u00ad".join(MAIL))),
    ("no-break and thin spaces", _said(CARD.replace(" ", "\u202f"))),
    ("dashes of typography", _said(CARD.replace(" ", "\u2013"))),
    ("in a tool's result", _said(f"result: {MAIL}", role="tool")),
    ("in the system prompt", _said(f"owner: {MAIL}", role="system")),
    ("in arguments of an earlier call", _called(json.dumps({"to": MAIL}))),
    ("as a key of JSON", _called(json.dumps({MAIL: 1}))),
    ("as a number of JSON", _called('{"n": 4111111111111111}')),
    ("escaped in JSON", _called('{"to": "anna.weber\\u0040firma.example"}')),
    ("in the description of a tool", ChatRequest("m", (), tools=(Tool("t", f"mail {MAIL}"),))),
    ("in a schema", ChatRequest("m", (), tools=(Tool("t", "", {"default": MAIL}),))),
    ("in a prompt to continue", ChatRequest("m", (), prompt=f"mail {MAIL}")),
    ("cut into two parts of a message", _parts("pay with 4111 1111", " 1111 1111")),
    ("cut into two messages", _said("pay with 4111 1111", "1111 1111")),
    ("one digit after the other", _said(" ".join(CARD.replace(" ", "")))),
    ("spelled as words", _said("anna dot weber at firma dot example")),
    ("a line break inside", _said(CARD.replace(" ", "\n"))),
    ("base64", _said(base64.b64encode(MAIL.encode()).decode())),
    ("percent encoding", _said(MAIL.replace("@", "%40"))),
    ("HTML entities", _said(MAIL.replace("@", "&#64;"))),
    ("backwards", _said(MAIL[::-1])),
)
NOT_LOOKED_INTO = ("text in a picture", "speech in a sound", "names of files")


def bypass_table() -> str:
    lines = ["| way | personal data |", "|---|---|"]
    for name, request in WAYS:
        screened = asyncio.run(screen_request(posts(every_guard(), {"personal_data": "mask"}), request, Vault()))
        is_found = any(verdict.rule == "personal_data" for verdict in screened.verdicts)
        lines.append(f"| {name} | {'found' if is_found else '**not found**'} |")
    lines += [f"| {name} | not looked into |" for name in NOT_LOOKED_INTO]
    return "\n".join(lines) + "\n"
