"""Telephone numbers: those with a country's code by themselves, others by their shape or by a word before them."""

from __future__ import annotations

from gemstead.guardrails.detect.words import is_said

_LENGTHS: dict[str, tuple[int, int]] = {
    "1": (10, 10),
    "7": (10, 10),
    "20": (8, 10),
    "27": (9, 9),
    "30": (10, 10),
    "31": (9, 9),
    "32": (8, 9),
    "33": (9, 9),
    "34": (9, 9),
    "36": (8, 9),
    "39": (6, 11),
    "40": (9, 9),
    "41": (9, 9),
    "43": (7, 13),
    "44": (9, 10),
    "45": (8, 8),
    "46": (7, 9),
    "47": (8, 8),
    "48": (9, 9),
    "49": (7, 11),
    "351": (9, 9),
    "352": (6, 11),
    "353": (7, 9),
    "354": (7, 9),
    "356": (8, 8),
    "357": (8, 8),
    "358": (6, 10),
    "359": (7, 9),
    "370": (8, 8),
    "371": (8, 8),
    "372": (7, 8),
    "385": (8, 9),
    "386": (8, 8),
    "420": (9, 9),
    "421": (9, 9),
    "52": (10, 10),
    "55": (10, 11),
    "61": (9, 9),
    "81": (9, 10),
    "82": (8, 10),
    "86": (10, 11),
    "91": (10, 10),
    "212": (9, 9),
    "213": (8, 9),
    "216": (8, 8),
    "221": (9, 9),
    "225": (10, 10),
    "90": (10, 10),
    "972": (8, 9),
}
"""Digits behind the code of a country. Source: the national numbering plans kept by the ITU (E.164, read 2026-11)."""

_OTHER_CODES = ("2", "3", "4", "5", "6", "8", "9")


def is_phone(digits: str, shape: tuple[int, ...], raw: str, before: str) -> bool:
    """`raw` as it is written; `before` what stands before it."""
    if raw.startswith(("+", "(+")):
        return _is_international(digits.replace("0", "", 1) if "(0)" in raw else digits, is_sure=True)
    if digits.startswith("00") and _is_international(digits[2:], is_sure=False):
        return True
    if _has_national_shape(digits, shape, raw):
        return True
    if not 7 <= len(digits) <= 12 or not before or _is_other(digits, shape, raw):
        return False
    return is_said("phone_number", before) or (len(digits) > 8 and is_said("phone", before))


def _is_international(digits: str, *, is_sure: bool) -> bool:
    """`is_sure`: codes without a row count too."""
    for length in (1, 2, 3):
        known = _LENGTHS.get(digits[:length])
        if known is not None:
            left = len(digits) - length - (digits[length : length + 1] == "0")
            return known[0] <= left <= known[1] or known[0] <= len(digits) - length <= known[1]
    return is_sure and digits.startswith(_OTHER_CODES) and 9 <= len(digits) <= 15


def _has_national_shape(digits: str, shape: tuple[int, ...], raw: str) -> bool:
    """Written as only telephone numbers are."""
    if "/" in raw:
        return False
    if len(digits) == 10 and digits[0] == "0" and digits[1] in "1234567" + "9":
        is_french = shape == (2, 2, 2, 2, 2) or (shape == (10,) and digits[1] in "67")
        return is_french or shape in ((4, 2, 2, 2), (3, 3, 2, 2)) or (shape == (2, 8) and digits[1] == "6")
    if shape == (3, 3, 4):
        return digits[0] in "23456789" and digits[3] in "23456789" and raw.count(" ") != 2
    if len(digits) == 11 and digits.startswith("07"):
        return shape in ((5, 6), (5, 3, 3))
    return shape == (3, 2, 2, 2) and digits[0] in "679"


def _is_other(digits: str, shape: tuple[int, ...], raw: str) -> bool:
    """A date, an amount, a range of years, a decimal number: not a telephone number, whatever stands before it."""
    if len(digits) == 8 and (shape in ((2, 2, 4), (4, 2, 2), (4, 4)) or digits[:2] in ("19", "20")):
        return True
    if len(shape) > 1 and shape[0] <= 3 and set(shape[1:]) == {3} and len(digits) <= 8:
        return True
    is_decimal = len(shape) == 2 and "." in raw and not raw.startswith("0")
    return is_decimal or len(set(digits)) == 1 or raw.count("/") > 1
