"""Spot checks of Gemma 4's tokenizer as the engine runs it: newline runs, emoji, control tokens, one beginning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import msgspec

from gemstead.catalog.gguf import read_gguf
from gemstead.doctor.asking import greedy, is_gemma4, manifest_of
from gemstead.doctor.check import Check
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import Subject
from gemstead.engines.base import Engine

NEWLINES = "\n\n\n"
EMOJI = "ok 🙂 👩\u200d🚀 𝄞"
"""Plain, joined, and beyond the vocabulary: the last is written in byte tokens."""
CONTROL_TEXTS = ("<|turn>", "<bos>", "<|tool_call>", "<turn|>")
CONTROL_TOKEN, USER_DEFINED_TOKEN = 3, 4
"""`tokenizer.ggml.token_type`: tokens with a meaning of their own. Gemma 4's are of both kinds."""
QUESTION = "Hi"
OLD = "gemstead engine install"


class Vocabulary(msgspec.Struct, frozen=True):
    """Texts by id, as bytes, and the kinds of tokens."""

    tokens: Sequence[bytes]
    kinds: Sequence[int]

    def text_of(self, ids: Sequence[int]) -> str:
        """What the ids spell: `▁` is a space, `<0xF0>` one byte."""
        return b"".join(self._piece(index) for index in ids).decode("utf-8", "replace")

    def _piece(self, index: int) -> bytes:
        token = self.tokens[index]
        if len(token) == 6 and token.startswith(b"<0x"):
            return bytes([int(token[3:5], 16)])
        return token.replace("▁".encode(), b" ")


async def check(subject: Subject, engine: Engine) -> list[Finding]:
    manifest = manifest_of(subject, engine)
    if manifest is None or not is_gemma4(manifest) or manifest.format != "gguf":
        return [Finding("note", f"{engine.model}: only Gemma 4's tokenizer in GGUF files is checked")]
    path = subject.store.path_of(manifest)
    assert path is not None
    gguf = read_gguf(path)
    vocabulary = Vocabulary(
        cast("list[bytes]", gguf.read_array("tokenizer.ggml.tokens")),
        cast("tuple[int, ...]", gguf.read_array("tokenizer.ggml.token_type")),
    )
    complaints = [
        *judge_newlines(vocabulary, await engine.tokenize(NEWLINES)),
        *judge_round_trip(vocabulary, EMOJI, await engine.tokenize(EMOJI)),
        *[
            finding
            for text in CONTROL_TEXTS
            for finding in judge_control_text(vocabulary, text, await engine.tokenize(text))
        ],
        *(await _count_beginnings(engine)),
    ]
    if complaints:
        return complaints
    return [Finding("ok", f"{engine.model}: newlines, emoji, control tokens and the beginning are as they should be")]


def judge_newlines(vocabulary: Vocabulary, ids: Sequence[int]) -> Iterator[Finding]:
    """Gemma 4 has one token for every run of newlines up to 31."""
    if len(ids) != 1 or vocabulary.tokens[ids[0]] != NEWLINES.encode():
        yield Finding(
            "error",
            f"three newlines become {len(ids)} tokens instead of one",
            "an old build or file: long answers go wrong",
            OLD,
            {"ids": " ".join(map(str, ids)), "source": "https://github.com/ggml-org/llama.cpp/pull/21343"},
        )


def judge_round_trip(vocabulary: Vocabulary, text: str, ids: Sequence[int]) -> Iterator[Finding]:
    spelt = vocabulary.text_of(ids)
    if spelt != text:
        what = f"{text!r} comes back as {spelt!r}"
        yield Finding("error", what, "byte tokens are broken", OLD, {"ids": " ".join(map(str, ids))})


def judge_control_text(vocabulary: Vocabulary, text: str, ids: Sequence[int]) -> Iterator[Finding]:
    """As plain text, what a user types must never become the token that ends a turn or opens a tool."""
    if any(vocabulary.tokens[index] == text.encode() and vocabulary.kinds[index] == CONTROL_TOKEN for index in ids):
        why = "users could speak with the voice of the system"
        yield Finding("warning", f"the plain text {text} becomes a control token", why, OLD, {"ids": str(list(ids))})


async def _count_beginnings(engine: Engine) -> list[Finding]:
    """The prompt of one short turn has an exact length: one token more is a second `<bos>`, one less is none."""
    counted = await engine.count_tokens(greedy(engine, QUESTION))
    plain = sum([len(await engine.tokenize(text)) for text in (f"user\n{QUESTION}", "\n", "model\n")])
    thought = len(await engine.tokenize("thought\n"))
    # <bos> <|turn> <turn|> <|turn>; some templates add <|channel> thought <channel|>.
    return list(judge_count(counted, plain + 4, plain + 4 + thought + 2))


def judge_count(counted: int, bare: int, with_thought: int) -> Iterator[Finding]:
    """`bare` and `with_thought` are the lengths that a right rendering can have."""
    if counted not in (bare, with_thought):
        surplus = min((counted - one for one in (bare, with_thought)), key=abs)
        yield Finding(
            "warning",
            f"the prompt of one short turn has {counted} tokens, expected {bare} or {with_thought}",
            "the beginning-of-text token may be doubled" if surplus == 1 else "the template renders something else",
            "gemstead doctor explain quality",
            {"counted": counted, "bare": bare, "with_thought": with_thought},
        )


CHECK = Check(
    name="tokenizer",
    group="answers",
    looks_at="Gemma 4's tokens for newline runs, emoji and typed control tokens; the length of a rendered turn",
    complains_when="a run of newlines is split, an emoji does not come back, typed control tokens count as such",
    ask=check,
    sources=("https://github.com/ggml-org/llama.cpp/pull/21343", "https://github.com/ggml-org/llama.cpp/issues/21365"),
)
