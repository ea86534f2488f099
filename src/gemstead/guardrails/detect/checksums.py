"""Check digits. Each takes a number without its separators and says whether it can be one.

Sources: the publishers' descriptions, as collected by python-stdnum 2.1 and by Wikipedia's articles on each number
    (read
2026-11). Where digits carry a date, the date has to exist: a checksum of one digit alone lets every tenth number pass.
"""

from __future__ import annotations

from collections.abc import Sequence


def luhn(digits: str) -> bool:
    """ISO/IEC 7812: cards, SIREN, SIN, Swedish and Italian numbers."""
    total = sum(map(int, digits[-1::-2]))
    return (total + sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])) % 10 == 0


_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def mod97_iban(iban: str) -> bool:
    """ISO 13616: the first four characters moved to the end, letters as numbers from 10, remainder 1."""
    return int((iban[4:] + iban[:4]).translate(_AS_NUMBERS)) % 97 == 1


_AS_NUMBERS = {ord("A") + index: str(10 + index) for index in range(26)}


def weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def is_date(year: int, month: int, day: int) -> bool:
    """`year` with or without its century; February has 29 days."""
    return year >= 0 and 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]


_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def mod11_10(digits: str) -> bool:
    """ISO 7064 MOD 11,10: German tax numbers."""
    rest = 10
    for digit in digits[:-1]:
        rest = ((int(digit) + rest) % 10 or 10) * 2 % 11
    return (11 - rest) % 10 == int(digits[-1])


def fr_nir(text: str) -> bool:
    """French social security number, 15 characters; Corsica's departments are 2A and 2B."""
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and text[0] in "123478" and 97 - int(number) % 97 == int(text[13:])


def it_cf(text: str) -> bool:
    """Italian codice fiscale, 16 characters: the last is a letter made of the others."""
    total = sum(_CF_ODD[int(char, 36) if char.isdigit() else ord(char) - 55] for char in text[0:15:2])
    total += sum(int(char) if char.isdigit() else ord(char) - 65 for char in text[1:15:2])
    return text[15] == chr(65 + total % 26)


_CF_VALUES = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_CF_ODD = (*_CF_VALUES[:10], *_CF_VALUES)
"""Of a digit, then of a letter; a digit counts as the letter in its place."""


def es_letter(number: int) -> str:
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23]


def es_dni(text: str) -> bool:
    """Spanish DNI, or NIE with its first letter for a digit."""
    return es_letter(int(text[:-1].translate(_NIE))) == text[-1]


_NIE = str.maketrans("XYZ", "012")


def es_cif(text: str) -> bool:
    """Spanish company number: a letter, seven digits, a digit or a letter."""
    digits = text[1:8]
    total = sum(map(int, digits[1::2])) + sum(_DOUBLED[int(digit)] for digit in digits[0::2])
    check = -total % 10
    return text[8] in (str(check), "JABCDEFGHI"[check])


def nl_bsn(digits: str) -> bool:
    """Dutch citizen number, 9 digits, of which the first two may be 0."""
    return int(digits) > 999_999 and (weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2)) - int(digits[8])) % 11 == 0


def be_nn(digits: str) -> bool:
    """Belgian national number, 11 digits, born before or after 2000; bis numbers have 20 or 40 added to the month."""
    month = int(digits[2:4])
    month -= 40 if month > 40 else 20 if month > 20 else 0
    if not (month == 0 or is_date(int(digits[:2]), month, max(1, int(digits[4:6])))):
        return False
    check = int(digits[9:])
    return check in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def pl_pesel(digits: str) -> bool:
    """Polish PESEL, 11 digits; the century is added to the month in steps of 20."""
    if not is_date(int(digits[:2]), int(digits[2:4]) % 20, int(digits[4:6])):
        return False
    return (weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) + int(digits[10])) % 10 == 0


def se_pnr(digits: str) -> bool:
    """Swedish personal number, 10 digits or 12 with the century; co-ordination numbers add 60 to the day."""
    digits = digits[-10:]
    day = int(digits[4:6])
    return is_date(int(digits[:2]), int(digits[2:4]), day - 60 if day > 60 else day) and luhn(digits)


def fi_hetu(text: str) -> bool:
    """Finnish personal code, 11 characters: date, century sign, number, check character."""
    if not is_date(int(text[4:6]), int(text[2:4]), int(text[:2])):
        return False
    return text[10] == "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(text[:6] + text[7:10]) % 31]


def de_tax_id(digits: str) -> bool:
    """German tax number, 11 digits: of the first ten one or two digits are missing, and one comes two or three
    times."""
    repeats = max(digits[:10].count(digit) for digit in set(digits[:10]))
    return digits[0] != "0" and repeats in (2, 3) and mod11_10(digits)


def ch_avs(digits: str) -> bool:
    """Swiss AVS number, 13 digits from 756, with the check digit of EAN-13."""
    return digits.startswith("756") and (weighted(digits, (1, 3) * 6) + int(digits[12])) % 10 == 0


def us_ssn(digits: str) -> bool:
    """US social security number, 9 digits. It has no check digit: only what was never given out is known."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def ca_sin(digits: str) -> bool:
    """Canadian social insurance number, 9 digits."""
    return digits[0] != "8" and digits != "000000000" and luhn(digits)


def uk_nhs(digits: str) -> bool:
    """British health service number, 10 digits."""
    return (weighted(digits, (10, 9, 8, 7, 6, 5, 4, 3, 2)) + int(digits[9])) % 11 == 0


CARD_LENGTHS = {
    "0": (12,),
    "1": (15,),
    "2": (15, 16),
    "3": (14, 15, 16),
    "4": (13, 16, 19),
    "5": (12, 13, 14, 15, 16, 18, 19),
    "6": (12, 13, 14, 15, 16, 17, 18, 19),
}
"""By first digit."""

_CARD_RANGES = (
    *(("4", (13, 16, 19)), ("51", (16,)), ("52", (16,)), ("53", (16,)), ("54", (16,)), ("55", (16,))),
    *(("34", (15,)), ("37", (15,)), ("30", (14,)), ("36", (14,)), ("38", (14,)), ("39", (14,)), ("35", (16,))),
    *(("2131", (15,)), ("1800", (15,)), ("60", (16, 19)), ("62", (16, 17, 18, 19)), ("64", (16, 19)), ("65", (16, 19))),
)
_MAESTRO = ("50", "56", "57", "58", "0604", "63", "67", "60", "61", "66", "68", "69")


def card(digits: str) -> bool:
    """A payment card of a known range, with its check digit. Test numbers are cards too."""
    if len(digits) not in CARD_LENGTHS.get(digits[0], ()) or digits.count(digits[0]) == len(digits):
        return False
    is_known = any(digits.startswith(head) and len(digits) in lengths for head, lengths in _CARD_RANGES)
    is_new = len(digits) == 16 and (2221 <= int(digits[:4]) <= 2720 or 2200 <= int(digits[:4]) <= 2204)
    return (is_known or is_new) and luhn(digits)


def debit_card(digits: str) -> bool:
    """Ranges of Maestro, with 12 to 19 digits: so many numbers are like that, that a word has to say so too."""
    return len(digits) in CARD_LENGTHS.get(digits[0], ()) and digits.startswith(_MAESTRO) and luhn(digits)
