"""The values in Gemma 4's tool calls, `{city:<|"|>Oslo<|"|>,days:2}`, read into JSON.

An object has bare keys (any characters but `:` and `}`); a value is a string between two `<|"|>`, within which
nothing is escaped, or a JSON number, true, false, null, array or object. Blanks may follow `{`, `[`, `,` and `:`.

What a model or an engine mixes in from elsewhere is read too where it has only one meaning: JSON's and Python's
quotes, Python's literals, a single bare word as a string, a comma before the closing bracket. `Arguments.is_repaired`
tells.

Numbers keep their digits: values pass from text to JSON text without becoming Python numbers.

Source: the rules `gemma4-*` of llama.cpp b11434 (common/parsers/gemma4.cpp), read November 2026, and the 2026-07-09
chat template. Stricter than they are: the same key twice, or one that begins with a comma, is an error.
"""

from __future__ import annotations

import json
import re

import msgspec

from gemstead.core.units import KIB
from gemstead.gemma.depth import MAX_DEPTH
from gemstead.gemma.tokens import QUOTE

MAX_NUMBER_CHARS = 64
MAX_ARGUMENTS_CHARS = 256 * KIB
"""Some 64,000 tokens: more than any tool takes, less than a model that never stops."""

_BLANKS = re.compile(r"[ \t\r\n]*")
_BARE_KEY = re.compile(r"[^:},][^:}]*(?=:)")
_WORD = re.compile(r"""[^\s,:{}\[\]<>"']+""")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SINGLE_QUOTED = re.compile(r"'([^'\\]*)'(?=[ \t\r\n]*[,:}\]])")

_LITERALS = ("true", "false", "null")
_PYTHON_LITERALS = {"True": "true", "False": "false", "None": "null"}
_NO_JSON = frozenset({"nan", "inf", "infinity", "undefined"})

_json_string = json.JSONDecoder(strict=False)


class ValueInvalid(ValueError):
    """The text is not a value, or it has more than one meaning."""


class Arguments(msgspec.Struct, frozen=True):
    """`json_text` is one JSON object; `end` is the index after it in the text it was read from.

    `is_repaired`: it was not written by the rules, but had only one meaning.
    """

    json_text: str
    end: int
    is_repaired: bool


def read_arguments(text: str, start: int = 0, *, may_close: bool = False) -> Arguments:
    """The object that begins with the `{` at `start`.

    `may_close`: the writer has said that this is all, so brackets still open at the end of the text close there.

    Raises: ValueInvalid if it is no object, nested more than MAX_DEPTH deep or longer than MAX_ARGUMENTS_CHARS.
    """
    if len(text) - start > MAX_ARGUMENTS_CHARS:
        raise ValueInvalid(f"arguments of more than {MAX_ARGUMENTS_CHARS} characters")
    reader = _Reader(text, start, may_close)
    reader.object(0)
    return Arguments("".join(reader.pieces), reader.at, reader.is_repaired)


class _Reader:
    """Moves `at` through `text` and appends what it reads, as JSON, to `pieces`."""

    def __init__(self, text: str, start: int, may_close: bool) -> None:
        self.text = text
        self.at = start
        self.may_close = may_close
        self.pieces: list[str] = []
        self.is_repaired = False

    def object(self, depth: int) -> None:
        self._open("{", depth)
        keys: set[str] = set()
        while not self._is_closed("}", is_first=not keys):
            self.pieces.append("," if keys else "")
            key = self._key()
            if key in keys:
                raise self._invalid(f"the key {key[:40]!r} a second time")
            keys.add(key)
            self.pieces += (_quote(key), ":")
            self._skip_blanks()
            self._value(depth)

    def _array(self, depth: int) -> None:
        self._open("[", depth)
        is_first = True
        while not self._is_closed("]", is_first=is_first):
            self.pieces.append("" if is_first else ",")
            is_first = False
            self._value(depth)

    def _open(self, bracket: str, depth: int) -> None:
        if not self.text.startswith(bracket, self.at):
            raise self._invalid(f"no {bracket!r}")
        if depth >= MAX_DEPTH:
            raise self._invalid(f"nested more than {MAX_DEPTH} deep")
        self.at += 1
        self.pieces.append(bracket)

    def _is_closed(self, bracket: str, *, is_first: bool) -> bool:
        """Reads what stands before the next member, or the closing bracket."""
        self._skip_blanks()
        if not self._take(bracket):
            if self.may_close and self.at == len(self.text):
                self.is_repaired = True
            elif is_first:
                return False
            elif not self._take(","):
                raise self._invalid(f"neither ',' nor {bracket!r}")
            else:
                self._skip_blanks()
                if not self._take(bracket):
                    return False
                self.is_repaired = True
        self.pieces.append(bracket)
        return True

    def _key(self) -> str:
        """A quoted key is taken as such only if its `:` follows: a bare key may begin with a quote."""
        start = self.at
        if self.text.startswith((QUOTE, '"', "'"), start):
            key = self._quoted()
            self._skip_blanks()
            if key is not None and self._take(":"):
                self.is_repaired = True
                return key
            self.at = start
        bare = _BARE_KEY.match(self.text, start)
        if bare is None or QUOTE in bare[0]:
            raise self._invalid("no key")
        self.at = bare.end() + 1
        return bare[0].rstrip(" \t\r\n")

    def _value(self, depth: int) -> None:
        head = self.text[self.at : self.at + 1]
        if head == "{":
            self.object(depth + 1)
        elif head == "[":
            self._array(depth + 1)
        elif (string := self._quoted()) is not None:
            self.pieces.append(_quote(string))
            self.is_repaired = self.is_repaired or head != QUOTE[0]
        else:
            self.pieces.append(self._word())

    def _quoted(self) -> str | None:
        """A string in any of the three quotes. None: there is none here, or it does not end."""
        if self.text.startswith(QUOTE, self.at):
            start = self.at + len(QUOTE)
            end = self.text.find(QUOTE, start)
            if end < 0:
                return None
            self.at = end + len(QUOTE)
            return self.text[start:end]
        if self.text.startswith('"', self.at):
            return self._json_quoted()
        if single := _SINGLE_QUOTED.match(self.text, self.at):
            self.at = single.end()
            return single[1]
        return None

    def _json_quoted(self) -> str | None:
        try:
            string, self.at = _json_string.raw_decode(self.text, self.at)
        except json.JSONDecodeError:
            return None
        return str(string)

    def _word(self) -> str:
        """A number, a literal or a single word, as JSON."""
        found = _WORD.match(self.text, self.at)
        word = found[0] if found else ""
        if word in _LITERALS or self._is_number(word):
            self.at += len(word)
            return word
        is_name = word[:1].isalpha() or word[:1] == "_"
        if not is_name or word.lower() in _NO_JSON:
            raise self._invalid("no value")
        self.at += len(word)
        self.is_repaired = True
        return _PYTHON_LITERALS.get(word) or _quote(word)

    @staticmethod
    def _is_number(word: str) -> bool:
        """In JSON's grammar, and small enough for every reader of JSON."""
        is_short = len(word) <= MAX_NUMBER_CHARS
        return is_short and _NUMBER.fullmatch(word) is not None and abs(float(word)) != float("inf")

    def _take(self, text: str) -> bool:
        is_here = self.text.startswith(text, self.at)
        if is_here:
            self.at += len(text)
        return is_here

    def _skip_blanks(self) -> None:
        blanks = _BLANKS.match(self.text, self.at)
        assert blanks is not None, "the pattern matches nothing, too"
        self.at = blanks.end()

    def _invalid(self, problem: str) -> ValueInvalid:
        return ValueInvalid(f"{problem} at character {self.at}: {self.text[self.at : self.at + 40]!r}")


def _quote(string: str) -> str:
    try:
        return msgspec.json.encode(string).decode()
    except UnicodeEncodeError as exc:
        raise ValueInvalid("half of a surrogate pair is no character") from exc
