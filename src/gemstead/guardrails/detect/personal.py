"""Finds personal data in one pass: addresses of mail and network, numbers of people, accounts, cards and telephones."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address
from typing import TypeAlias

from gemstead.guardrails.base import Found
from gemstead.guardrails.detect import checksums as check
from gemstead.guardrails.detect.iban import LENGTHS, iban_in
from gemstead.guardrails.detect.number import number_at
from gemstead.guardrails.detect.pieces import decided_by_pieces
from gemstead.guardrails.detect.vat import vat
from gemstead.guardrails.detect.words import NOT_AN_ADDRESS, Words, is_said

KINDS = (
    *("email", "phone", "card", "iban", "vat", "ip", "mac", "fr_nir", "it_cf", "nl_bsn", "be_nn", "pl_pesel"),
    *("se_pnr", "fi_hetu", "es_dni", "de_tax_id", "ca_sin", "us_ssn", "ch_avs", "uk_nino", "uk_nhs"),
)

MAX_PIECE_CHARS = 336
"""Of what has no blank in it: a mail address is the longest."""

MAX_JOINED_CHARS = 72
"""Of what may have blanks in it: an IBAN, a number; and one character behind it."""

_BEFORE = r"(?<![A-Za-z0-9_\u00c0-\u024f])"
_MAIL = r"(?P<email>[A-Za-z0-9\u00c0-\u024f._%+'-]{1,64}+@)|"
_REST = (
    r"(?P<colons>(?:[0-9A-Fa-f]{2}[:-]){5}|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{0,4}:|(?:[0-9A-Fa-f]{4}\.){2})"
    r"|(?P<letters>(?:[A-Z]{1,6}[ -]?\d|[A-Z]{2}[ -]?[A-Z]{1,2}\d|[A-Z]{3} [A-Z]{3} [\dL-V])(?=(?:[ .-]?[A-Z0-9]){5})"
    r"|[a-z]{2}\d{2}[a-z0-9]{11})"
    r"|(?P<dotted>\d{1,3}\.\d{1,3}\.\d{1,3}\.\d)|(?P<number>[+(]{0,2}\d(?=(?:[ .\-/()]{0,3}[0-9A-Z]){6}))"
)
"""Where something may begin; what cannot be long enough is passed over here, where it costs least."""
_START = re.compile(f"{_BEFORE}(?:{_REST})", re.ASCII)
_START_WITH_MAIL = re.compile(f"{_BEFORE}(?:{_MAIL}{_REST})", re.ASCII)
_HOT = re.compile(r"[0-9@]")

_DOMAIN = re.compile(r"[A-Za-z0-9\u00c0-\u024f-]{1,63}+(?:\.[A-Za-z0-9\u00c0-\u024f-]{1,63}+){1,7}+")
_TOP_LEVEL = re.compile(r"[A-Za-z\u00c0-\u024f]{2,24}|xn--[a-z0-9-]{2,59}", re.IGNORECASE)
_NO_PERSON = frozenset({"git", "hg", "svn", "noreply", "no-reply"})
"""Before an @: the name of a program."""

_MAC = re.compile(
    r"(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}"
)
_IPV6 = re.compile(r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?:\.\d{1,3}){0,3}", re.ASCII)
_IPV4 = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\.?\d)", re.ASCII)
_PEOPLE = re.compile(
    r"(?P<fr_nir>[123478] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2})"
    r"|(?P<es_dni>\d{2}\.?\d{3}\.?\d{3}-?[A-Z])|(?P<fi_hetu>\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y])",
    re.ASCII,
)
"""Numbers of people that are more than digits, or have a strong checksum."""
_IBAN = re.compile(r"[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}", re.ASCII)
_CF = re.compile(r"[A-Z]{3} ?[A-Z]{3} ?[\dL-NP-V]{2}[A-EHLMPRST][\dL-NP-V]{2} ?[A-Z][\dL-NP-V]{3}[A-Z]", re.ASCII)
_NIE = re.compile(r"[XYZ]-?\d{7}-?[A-Z]", re.ASCII)
_NINO = re.compile(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", re.ASCII)
_NO_NINO = frozenset({"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"})
_VAT = re.compile(r"(?:CHE|[A-Z]{2})[ -]?(?:[A-Z0-9][ .-]?){8,12}", re.ASCII)
_CIF = re.compile(r"[A-HJNP-SUVW]-?\d{7}[0-9A-J]", re.ASCII)
Look: TypeAlias = Callable[[str, int, Words], Found | None]
"""What may begin at a place of a text."""

_MARKS = str.maketrans("", "", " .-")


class PersonalData:
    """Implements `base.Finder`. What it remembers of a text is only where its words are."""

    def __init__(self) -> None:
        self._words = Words("")

    def next(self, text: str, start: int, end: int) -> Found | None:
        if self._words.text is not text:
            self._words = Words(text)
        pattern, reach = (_START_WITH_MAIL, 68) if text.find("@", start) >= 0 else (_START, DIGIT_WITHIN_CHARS)
        place = start
        while (hot := _HOT.search(text, place)) is not None:
            match = pattern.search(text, max(place, hot.start() - reach))
            if match is None or match.start() >= end:
                return None
            place = match.start()
            for look in _LOOKS[match.lastgroup or ""]:
                if (found := look(text, place, self._words)) is not None and not _goes_on(text, found.end):
                    return found
            place += 1
        return None

    def decided(self, text: str, start: int) -> int:
        return decided_by_pieces(text, start, max_piece=MAX_PIECE_CHARS, max_joined=MAX_JOINED_CHARS)


DIGIT_WITHIN_CHARS = 40
"""Every finding but a mail address has a digit so soon."""


def _goes_on(text: str, end: int) -> bool:
    after = text[end : end + 1]
    return after.isalnum() or after == "_"


def _email(text: str, start: int, _words: Words) -> Found | None:
    at = text.index("@", start)
    domain = _DOMAIN.match(text, at + 1)
    if domain is None or text[start:at].lower() in _NO_PERSON:
        return None
    labels = domain[0].rstrip("-").split(".")
    while labels and not _TOP_LEVEL.fullmatch(labels[-1]):
        word = labels.pop().split("-")[0]
        labels += [word] if _TOP_LEVEL.fullmatch(word) else []
    if len(labels) < 2:
        return None
    return Found(start, at + 1 + len(".".join(labels)), "email")


def _mac(text: str, start: int, _words: Words) -> Found | None:
    match = _MAC.match(text, start)
    if match is None or text[match.end() : match.end() + 1] in (":", "-") or set(match[0]) <= set("0:-."):
        return None
    is_sure = match[1] is not None or re.search("[a-fA-F]", match[0])
    return Found(start, match.end(), "mac") if is_sure and re.search("[0-9]", match[0]) else None


def _ipv6(text: str, start: int, _words: Words) -> Found | None:
    match = _IPV6.match(text, start)
    if match is None:
        return None
    written = match[0].rstrip(":") if not match[0].endswith("::") else match[0]
    if len(written) < 6 or not (written.count(":") == 7 or "::" in written) or not re.search("[0-9]", written):
        return None
    try:
        address = IPv6Address(written)
    except AddressValueError:
        return None
    return Found(start, start + len(written), "ip") if address.is_global else None


def _ipv4(text: str, start: int, _words: Words) -> Found | None:
    match = _IPV4.match(text, start)
    if match is None or (text[start - 1 : start] in (".", "-", "+") and start):
        return None
    first, *rest = map(int, match[0].split("."))
    if max(first, *rest) > 255 or not 1 <= first <= 223 or _is_private(first, rest[0]):
        return None
    return None if NOT_AN_ADDRESS.search(text[max(0, start - 16) : start]) else Found(start, match.end(), "ip")


def _is_private(first: int, second: int) -> bool:
    """RFC 1918, 3927, 6598 and loopback: no person is found by these."""
    return (
        first in (10, 127)
        or (first == 172 and 16 <= second <= 31)
        or (first, second) in ((192, 168), (169, 254))
        or (first == 100 and 64 <= second <= 127)
    )


def _people(text: str, start: int, _words: Words) -> Found | None:
    match = _PEOPLE.match(text, start)
    if match is None or _goes_on(text, match.end()):
        return None
    kind, written = match.lastgroup or "", match[0]
    if kind == "fi_hetu":
        is_valid = check.fi_hetu(written)
    else:
        compact = written.translate(_MARKS)
        is_valid = check.es_dni(compact) if kind == "es_dni" else check.fr_nir(compact)
    return Found(start, match.end(), kind) if is_valid else None


def _checked(pattern: re.Pattern[str], kind: str, is_valid: Callable[[str], bool]) -> Look:
    """A format with its checksum."""

    def look(text: str, start: int, words: Words) -> Found | None:  # noqa: ARG001 (one signature)
        match = pattern.match(text, start)
        if match is None or _goes_on(text, match.end()) or not is_valid(match[0].translate(_MARKS)):
            return None
        return Found(start, match.end(), kind)

    return look


def _number(text: str, start: int, words: Words) -> Found | None:
    known = number_at(text, start, words)
    return None if known is None else Found(start, known[1], known[0])


def _iban(text: str, start: int, _words: Words) -> Found | None:
    if text[start : start + 2].upper() not in LENGTHS:
        return None
    written = text[start : start + MAX_JOINED_CHARS]
    match = _IBAN.match(written if written[0].isupper() else written[: max(LENGTHS.values())].upper())
    if match is None or (length := iban_in(match[0].translate(_MARKS))) is None:
        return None
    return Found(start, start + _end_of(match[0], length), "iban")


def _end_of(written: str, length: int) -> int:
    """Where the `length` characters that are no marks end."""
    for index, char in enumerate(written):
        length -= char not in " .-"
        if not length:
            return index + 1
    return len(written)


def _vat(text: str, start: int, _words: Words) -> Found | None:
    match = _VAT.match(text, start)
    if match is None:
        return None
    compact = match[0].translate(_MARKS)
    country = "CHE" if compact.startswith("CHE") else compact[:2]
    for length in range(len(compact), len(country) + 7, -1):
        end = start + _end_of(match[0], length)
        if not _goes_on(text, end) and vat(country, compact[len(country) : length]):
            return Found(start, end, "vat")
    return None


def _cif(text: str, start: int, _words: Words) -> Found | None:
    match = _CIF.match(text, start)
    if match is None or not check.es_cif(match[0].translate(_MARKS)) or not is_said("vat_es", text[:start][-96:]):
        return None
    return Found(start, match.end(), "vat")


_numbers = (_people, _number)
_letters = (
    _iban,
    _checked(_CF, "it_cf", lambda cf: not cf.isalpha() and check.it_cf(cf)),
    _checked(_NIE, "es_dni", check.es_dni),
    _checked(_NINO, "uk_nino", lambda nino: nino[:2] not in _NO_NINO),
    _vat,
    _cif,
)
_LOOKS: dict[str, tuple[Look, ...]] = {
    "email": (_email, *_letters, *_numbers),
    "colons": (_mac, _ipv6, *_numbers, *_letters),
    "letters": _letters,
    "dotted": (_ipv4, *_numbers),
    "number": _numbers,
}
