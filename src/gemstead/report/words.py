"""Text in every language that documents are written in. The sentences are data: `texts/*.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias, get_args

import msgspec

Language: TypeAlias = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_FRENCH_SPACE = re.compile(r" (?=[:;?!»%])|(?<=«) ")
"""Where French typography has a space that must not break the line."""


class Words(msgspec.Struct, frozen=True):
    """The same in each language."""

    en: str
    fr: str

    def of(self, language: Language) -> str:
        return self.en if language == "en" else self.fr


Say: TypeAlias = "Callable[..., Words]"
"""`say("keys", number=3)`: a sentence of a document by its name, filled in; what is filled in may be Words itself."""


def same(text: str) -> Words:
    """What is not translated: names, versions, what a person wrote."""
    return Words(text, text)


def joined(parts: Iterable[Words], separator: str = ", ") -> Words:
    """`separator` as in English; French has a space before a semicolon."""
    parts = tuple(parts)
    french = separator.replace(";", "\u00a0;")
    return Words(separator.join(one.en for one in parts), french.join(one.fr for one in parts))


def number(value: int) -> Words:
    """1,234 in English, 1 234 in French."""
    text = f"{value:,}"
    return Words(text, text.replace(",", "\u00a0"))


def moment(at_s: float) -> Words:
    """Seconds since 1970 as a date and time, UTC."""
    at = datetime.fromtimestamp(at_s, UTC)
    return Words(at.strftime("%Y-%m-%d %H:%M UTC"), at.strftime("%d/%m/%Y %H:%M UTC"))


def day(at_s: float) -> Words:
    """Seconds since 1970 as a date, UTC."""
    at = datetime.fromtimestamp(at_s, UTC)
    return Words(at.strftime("%Y-%m-%d"), at.strftime("%d/%m/%Y"))


def days_between(begin_s: float, end_s: float) -> int:
    """Whole days."""
    return max(0, int((end_s - begin_s) // 86_400))


def sayer(name: str) -> Say:
    """The sentences of `texts/NAME.toml`, and those that all documents share.

    Raises: KeyError, when asked, for a sentence that is in neither.
    """
    own, common = sentences(name), sentences("common")

    def say(key: str, /, **values: object) -> Words:
        found = own.get(key) or common[key]
        return Words(*(_filled(found.of(language), language, values) for language in LANGUAGES))

    return say


@cache
def sentences(name: str) -> dict[str, Words]:
    """By name. Raises: msgspec.ValidationError if a language is missing."""
    text = files("gemstead.report").joinpath("texts", f"{name}.toml").read_text(encoding="utf-8")
    return {key: french_spaced(msgspec.convert(value, Words)) for key, value in tomllib.loads(text).items()}


def french_spaced(words: Words) -> Words:
    return Words(words.en, _FRENCH_SPACE.sub("\u00a0", words.fr))


def _filled(text: str, language: Language, values: dict[str, object]) -> str:
    if not values:
        return text
    return text.format_map({key: _plain(value, language) for key, value in values.items()})


def _plain(value: object, language: Language) -> str:
    if isinstance(value, Words):
        return value.of(language)
    return number(value).of(language) if isinstance(value, int) and not isinstance(value, bool) else str(value)
