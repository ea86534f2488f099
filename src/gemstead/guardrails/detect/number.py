"""A run of digits with its separators, and what it may be: cards, phones, national numbers."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from gemstead.guardrails.detect import checksums as check
from gemstead.guardrails.detect.phone import is_phone
from gemstead.guardrails.detect.words import CONTEXT_CHARS, Words, is_said

MAX_CHARS = 48
"""Of one number with its separators."""

MIN_DIGITS, MAX_DIGITS = 7, 19
MAX_GROUPS, MAX_SINGLE_GROUPS = 7, 2
"""Of digits between separators, and of those that are one digit: more is a row of numbers."""

_SEPARATOR = r"(?:[ ]?[.\-/()]{1,2}[ ]?|[ ])"
_RUN = re.compile(rf"[+(]{{0,2}}\d++(?:{_SEPARATOR}\d++){{0,{MAX_GROUPS - 1}}}", re.ASCII)
_EXTENSION = re.compile(r" ?x\d{1,6}(?![0-9A-Za-z_])", re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)


class Number(msgspec.Struct, frozen=True):
    """One reading of a run: `shape` are the lengths of its groups, `marks` the distinct characters between them."""

    digits: str
    shape: tuple[int, ...]
    marks: str
    raw: str
    before: str
    """The text before it, as far as it counts; empty if there is no word in it that does."""

    @property
    def has_dashes(self) -> bool:
        return self.marks == "-"


def number_at(text: str, start: int, words: Words) -> tuple[str, int] | None:
    """The kind and the end of the longest number that begins at `start` and is one we know."""
    run = _RUN.match(text, start, start + MAX_CHARS)
    if run is None or run.end() - start < MIN_DIGITS:
        return None
    groups = _DIGITS.findall(run[0])
    if run.end() == start + MAX_CHARS and text[run.end() : run.end() + 1].isdigit():
        groups.pop()
    shape = _without_rows(tuple(map(len, groups)))
    if sum(shape) < MIN_DIGITS:
        return None
    has_word = words.are_near(start)
    before = text[max(0, start - CONTEXT_CHARS) : start] if has_word else ""
    while shape:
        num_digits = sum(shape)
        if num_digits < MIN_DIGITS:
            return None
        if num_digits <= MAX_DIGITS and (has_word or _has_known_shape(shape, run[0])):
            end = start + _end_of(run[0], num_digits)
            extension = _EXTENSION.match(text, end)
            if extension is not None or not _goes_on(text, end):
                kind = _kind_of(_number(text[start:end], shape, before))
                if kind == "phone" and extension is not None:
                    return kind, extension.end()
                if kind is not None and not _goes_on(text, end):
                    return kind, end
        shape = shape[:-1]
    return None


def _without_rows(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The groups before there are too many of one digit."""
    num_single = 0
    for index, length in enumerate(shape):
        num_single += length == 1
        if num_single > MAX_SINGLE_GROUPS:
            return shape[:index]
    return shape


def _number(raw: str, shape: tuple[int, ...], before: str) -> Number:
    digits = "".join(_DIGITS.findall(raw))
    return Number(digits, shape, "".join(sorted({char for char in raw if not char.isdigit()})), raw, before)


def _end_of(raw: str, num_digits: int) -> int:
    for index, char in enumerate(raw):
        num_digits -= char.isdigit()
        if not num_digits:
            return index + 1
    return len(raw)


def _goes_on(text: str, end: int) -> bool:
    after = text[end : end + 1]
    return after.isalnum() or after == "_"


def _has_known_shape(shape: tuple[int, ...], raw: str) -> bool:
    """Whether a number written so may be one by itself."""
    return shape in KNOWN_SHAPES or raw[0] in "+(" or raw.startswith("00") or sum(shape) in (15, *CARD_DIGITS)


CARD_DIGITS = (16, 17, 18, 19)


def _kind_of(number: Number) -> str | None:
    """What `number` is; None for one that is nothing we know, or too little like it without a word before it."""
    for kind, matches in _KINDS.get(len(number.digits), ()):
        if matches(number):
            return kind
    return "phone" if is_phone(number.digits, number.shape, number.raw, number.before) else None


def _card(number: Number) -> bool:
    shape = number.shape
    is_grouped = len(shape) == 1 or (set(shape[:-1]) == {4} and shape[-1] <= 4) or shape in ((4, 6, 5), (4, 6, 4))
    if not is_grouped or len(number.marks) > 1:
        return False
    is_sure = len(number.digits) > 13 and check.card(number.digits)
    is_valid = check.card(number.digits) or check.debit_card(number.digits)
    return is_sure or (is_valid and is_said("card", number.before))


def _said(kind: str, is_valid: Callable[[str], bool], shape: tuple[int, ...] | None = None) -> Callable[[Number], bool]:
    """Valid, and named before it or written with dashes in a shape that nothing else has."""

    def matches(number: Number) -> bool:
        is_shaped = number.shape == shape and number.has_dashes
        return is_valid(number.digits) and (is_shaped or is_said(kind, number.before))

    return matches


def _nir(number: Number) -> bool:
    return check.fr_nir(number.digits)


def _be_nn(number: Number) -> bool:
    return number.shape in ((11,), (2, 2, 2, 3, 2), (6, 3, 2), (6, 5)) and check.be_nn(number.digits)


def _de_tax_id(number: Number) -> bool:
    is_shaped = number.shape == (2, 3, 3, 3) and number.marks == " "
    return check.de_tax_id(number.digits) and (is_shaped or is_said("de_tax_id", number.before))


def _avs(number: Number) -> bool:
    return number.shape in ((13,), (3, 4, 4, 2)) and check.ch_avs(number.digits)


_KINDS: dict[int, tuple[tuple[str, Callable[[Number], bool]], ...]] = {
    9: (
        ("us_ssn", _said("us_ssn", check.us_ssn, (3, 2, 4))),
        ("nl_bsn", _said("nl_bsn", check.nl_bsn)),
        ("ca_sin", _said("ca_sin", check.ca_sin, (3, 3, 3))),
    ),
    10: (("se_pnr", _said("se_pnr", check.se_pnr, (6, 4))), ("uk_nhs", _said("uk_nhs", check.uk_nhs))),
    11: (
        ("be_nn", _be_nn),
        ("pl_pesel", _said("pl_pesel", check.pl_pesel)),
        ("de_tax_id", _de_tax_id),
        ("vat", _said("vat_it", check.luhn)),
    ),
    12: (("se_pnr", _said("se_pnr", check.se_pnr, (8, 4))), ("card", _card)),
    13: (("ch_avs", _avs), ("card", _card)),
    14: (("card", _card),),
    15: (("fr_nir", _nir), ("card", _card)),
    16: (("card", _card),),
    17: (("card", _card),),
    18: (("card", _card),),
    19: (("card", _card),),
}
"""By the number of digits; the first that matches is it."""

KNOWN_SHAPES = frozenset(
    {
        *((14,), (15,), (4, 6, 4), (4, 6, 5)),  # cards; longer ones are known by their length
        *((3, 2, 4), (6, 4), (8, 4), (2, 2, 2, 3, 2), (6, 3, 2), (6, 5), (11,), (2, 3, 3, 3), (13,), (3, 4, 4, 2)),
        *(
            (2, 2, 2, 2, 2),
            (10,),
            (4, 2, 2, 2),
            (3, 3, 2, 2),
            (2, 8),
            (3, 3, 4),
            (5, 6),
            (5, 3, 3),
            (3, 2, 2, 2),
            (3, 3, 3),
        ),
    }
)
"""Of what may be a number of ours without a word before it."""
