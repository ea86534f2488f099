"""VAT numbers of European countries: the shape behind the country's letters, and the check digits.

Source: the European Commission's VIES description of each number and python-stdnum 2.1 (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gemstead.guardrails.detect.checksums import es_cif, es_dni, luhn, mod11_10, nl_bsn, weighted


def vat(country: str, number: str) -> bool:
    """Whether `number`, without separators, is one of `country` ("FR"; Greece is "EL", Switzerland "CHE")."""
    known = _CHECKS.get(country)
    return known is not None and known[0].fullmatch(number) is not None and known[1](number)


def _mod11(number: str, weights: tuple[int, ...], *, zero_for: int = 10) -> bool:
    """The last digit is the weighted sum modulo 11; where that has two digits, it is 0."""
    rest = weighted(number, weights) % 11
    return (0 if rest == zero_for else rest) == int(number[-1])


def _at(number: str) -> bool:
    digits = number[1:]
    total = sum(map(int, digits[0:7:2])) + sum(int(d) // 5 + int(d) * 2 % 10 for d in digits[1:6:2])
    return (10 - (total + 4) % 10) % 10 == int(digits[7])


def _be(number: str) -> bool:
    return 97 - int(number[:8]) % 97 == int(number[8:])


def _dk(number: str) -> bool:
    return weighted(number, (2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _es(number: str) -> bool:
    return es_dni(number) if number[0].isdigit() or number[0] in "XYZ" else es_cif(number)


def _fi(number: str) -> bool:
    return (11 - weighted(number, (7, 9, 10, 5, 8, 4, 2)) % 11) % 11 == int(number[7])


def _fr(number: str) -> bool:
    siren = number[2:]
    if not luhn(siren):
        return False
    return not number[:2].isdigit() or int(siren + "12") % 97 == int(number[:2])


def _gb(number: str) -> bool:
    total = weighted(number[:7], (8, 7, 6, 5, 4, 3, 2)) + int(number[7:9])
    return total % 97 in (0, 42)


def _ie(number: str) -> bool:
    total = weighted(number[:7], (8, 7, 6, 5, 4, 3, 2))
    if len(number) == 9:
        total += 9 * ("WABCDEFGHI".index(number[8]) if number[8] in "WABCDEFGHI" else 0)
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == number[7]


def _lu(number: str) -> bool:
    return int(number[:6]) % 89 == int(number[6:])


def _nl(number: str) -> bool:
    if nl_bsn(number[:9]):
        return True
    return int("".join(str(int(char, 36)) for char in f"NL{number}")) % 97 == 1


def _pl(number: str) -> bool:
    return weighted(number, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == int(number[9])


def _pt(number: str) -> bool:
    return (11 - weighted(number, (9, 8, 7, 6, 5, 4, 3, 2)) % 11) % 11 % 10 == int(number[8])


def _che(number: str) -> bool:
    return (11 - weighted(number, (5, 4, 3, 2, 7, 6, 5, 4)) % 11) % 11 == int(number[8])


def _el(number: str) -> bool:
    return weighted(number, (256, 128, 64, 32, 16, 8, 4, 2)) % 11 % 10 == int(number[8])


def _check(shape: str, check: Callable[[str], bool]) -> tuple[re.Pattern[str], Callable[[str], bool]]:
    return re.compile(shape, re.ASCII), check


_CHECKS = {
    "AT": _check(r"U\d{8}", _at),
    "BE": _check(r"[01]\d{9}", _be),
    "CHE": _check(r"\d{9}", _che),
    "DE": _check(r"[1-9]\d{8}", mod11_10),
    "DK": _check(r"[1-9]\d{7}", _dk),
    "EL": _check(r"\d{9}", _el),
    "ES": _check(r"[A-Z]\d{7}[A-Z0-9]|\d{8}[A-Z]", _es),
    "FI": _check(r"\d{8}", _fi),
    "FR": _check(r"[0-9A-HJ-NP-Z]{2}\d{9}", _fr),
    "GB": _check(r"\d{9}|\d{12}", _gb),
    "IE": _check(r"\d{7}[A-W][A-I]?", _ie),
    "IT": _check(r"\d{11}", luhn),
    "LU": _check(r"\d{8}", _lu),
    "NL": _check(r"\d{9}B\d{2}", _nl),
    "PL": _check(r"\d{10}", _pl),
    "PT": _check(r"[1-9]\d{8}", _pt),
    "SE": _check(r"\d{10}01", lambda number: luhn(number[:10])),
}
COUNTRIES = frozenset(_CHECKS)
