"""A file's vocabulary: its tokens, and the tokenizer of a synthetic model taken from a file that has Gemma 4's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import msgspec

from gemstead.catalog.gguf import GgufFile, read_gguf
from gemstead.catalog.gguf_parse import FLOAT32, INT32
from gemstead.catalog.gguf_write import numbers_record, texts_record, uint_record
from gemstead.core.errors import FileDamaged, ModelMissing, RequestInvalid

_TOKENS, _SCORES = "tokenizer.ggml.tokens", "tokenizer.ggml.scores"
_TYPES, _MERGES = "tokenizer.ggml.token_type", "tokenizer.ggml.merges"
_NORMAL_TOKEN = 1
"""`token_type` of plain text; control, user-defined and byte tokens have others."""
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}".encode()
"""How a space is spelt inside tokens, so that a plain space can stand between the two halves of a merge."""


class Vocabulary(msgspec.Struct, frozen=True):
    """`records` are the tokenizer's keys as a GGUF file holds them."""

    records: tuple[bytes, ...]
    num_tokens: int


def token_table(gguf: GgufFile) -> tuple[Sequence[bytes], Sequence[int]]:
    """The tokens of any vocabulary and their types, in the order of their ids; both empty if the file has none.

    Tokens without types are plain text. Raises: FileDamaged if there are not as many types as tokens; ModelMissing.
    """
    if _TOKENS not in gguf.metadata:
        return (), ()
    tokens = cast("list[bytes]", gguf.read_array(_TOKENS))
    if _TYPES not in gguf.metadata:
        return tokens, (_NORMAL_TOKEN,) * len(tokens)
    types = cast("tuple[int, ...]", gguf.read_array(_TYPES))
    if len(types) != len(tokens):
        raise FileDamaged(
            f"{gguf.path.name} has {len(tokens)} tokens and {len(types)} types of tokens", hint="fetch the file again"
        )
    return tokens, types


def read_vocabulary(path: Path, keep: int | None = None) -> Vocabulary:
    """The tokenizer in the GGUF file `path`, its records copied as they are: 0.1 s.

    `keep`: only the first `keep` tokens, which keep their ids, and after them every control, user-defined and byte
    token and every single ASCII character, so that any text can still be written. Merges that need others go. 0.4 s.

    Raises: ModelMissing if there is no such file; RequestInvalid if it has no Gemma 4 tokenizer, or `keep` is below 1;
    FileDamaged.
    """
    if not path.is_file():
        raise ModelMissing(f"no Gemma 4 vocabulary at {path}", hint="gemstead engine install llama.cpp")
    gguf = read_gguf(path)
    if gguf.tokenizer != "gemma4" or any(key not in gguf.metadata for key in (_TOKENS, _SCORES, _TYPES, _MERGES)):
        raise RequestInvalid(
            f"{path.name} has no Gemma 4 vocabulary (its tokenizer is {gguf.tokenizer!r})",
            hint="give llama.cpp's models/ggml-vocab-gemma-4.gguf",
        )
    if keep is None:
        records = [gguf.read_raw(entry) for key, entry in gguf.metadata.items() if key.startswith("tokenizer.")]
        return Vocabulary(tuple(records), len(gguf.read_array(_TYPES)))
    if keep < 1:
        raise RequestInvalid(f"a vocabulary of {keep} tokens cannot be kept", param="keep_vocab", hint="keep 1 or more")
    return _pruned(gguf, keep)


def _pruned(gguf: GgufFile, keep: int) -> Vocabulary:
    tokens = cast("list[bytes]", gguf.read_array(_TOKENS))
    types = cast("tuple[int, ...]", gguf.read_array(_TYPES))
    scores = gguf.read_array(_SCORES)
    ids = _kept_ids(tokens, types, keep)
    kept_tokens = [tokens[index] for index in ids]
    merges = _kept_merges(cast("list[bytes]", gguf.read_array(_MERGES)), set(kept_tokens))
    rewritten = {
        _TOKENS: texts_record(_TOKENS, kept_tokens),
        _SCORES: numbers_record(_SCORES, FLOAT32, [cast("float", scores[index]) for index in ids]),
        _TYPES: numbers_record(_TYPES, INT32, [types[index] for index in ids]),
        _MERGES: texts_record(_MERGES, merges),
    }
    new_ids = {old: new for new, old in enumerate(ids)}
    for key in gguf.metadata:
        if key.startswith("tokenizer.") and key.endswith("_token_id"):
            rewritten[key] = uint_record(key, new_ids[gguf.integer(key) or 0])
    records = [
        rewritten.get(key) or gguf.read_raw(entry)
        for key, entry in gguf.metadata.items()
        if key.startswith("tokenizer.")
    ]
    return Vocabulary(tuple(records), len(ids))


def _kept_ids(tokens: Sequence[bytes], types: Sequence[int], keep: int) -> list[int]:
    characters = {bytes([code]) for code in range(0x21, 0x7F)} | {_SPACE, b"\n", b"\t"}
    return [
        index
        for index, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if index < keep or kind != _NORMAL_TOKEN or token in characters
    ]


def _kept_merges(merges: Sequence[bytes], kept: set[bytes]) -> list[bytes]:
    """Merges whose halves and whole are all kept, in their order, which is their priority."""
    result = []
    for merge in merges:
        left, _, right = merge.partition(b" ")
        if left in kept and right in kept and left + right in kept:
            result.append(merge)
    return result
