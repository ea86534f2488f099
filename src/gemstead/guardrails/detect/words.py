"""Words before a number that say what it is, in the languages where it is used. Lower case; found within one line or
so."""

from __future__ import annotations

import re
from bisect import bisect_right

from gemstead.guardrails.fold import lower_alike

CONTEXT_CHARS = 48
"""How far before a number its word may begin."""

_WORDS = {
    "phone_number": (
        r"tel|tél|telephone|téléphone|phone|telefon|telefono|teléfono|telefoon|telefonnummer|telefonszám|handynummer"
        r"|rufnummer|fax|whatsapp|sms|gsm|puhelin"
    ),
    "phone": (
        r"mobile|mobil|móvil|cell|cellulare|handy|portable|fixe|komórka|numer|call|dial|reach (?:me|us|him|her)|ring"
        r"|appel\w{0,5}|joindre|joignable|rappel\w{0,5}|anruf\w{0,4}|ruf\w{0,3} sie|erreich\w{0,4}|llám\w{0,5}"
        r"|llam\w{0,5}|chiam\w{0,6}|bel (?:me|mij)|zadzwo\w{0,4}"
    ),
    "card": (
        r"card|cards|carte|karte|kreditkarte|kartennummer|tarjeta|carta|visa|mastercard|amex|maestro|pan|cb|credit|crédit"
    ),
    "us_ssn": r"ssn|social security|soc sec|ss#|itin",
    "nl_bsn": r"bsn|burgerservicenummer|sofinummer|citizen service",
    "ca_sin": r"sin|social insurance|nas|assurance sociale",
    "pl_pesel": r"pesel",
    "de_tax_id": r"steuer\w{0,24}|steuer-id|idnr|tin|tax (?:id|number|identification)|identifikationsnummer",
    "se_pnr": r"personnummer|personnr|personal (?:identity )?number|samordningsnummer",
    "uk_nhs": r"nhs",
    "fr_nir": r"sécu|secu|nir|insee|sécurité sociale|security|assuré|assurée",
    "vat_it": r"iva|p\.iva|piva|partita",
    "vat_es": r"nif|cif",
}
_PATTERNS = {kind: re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])") for kind, words in _WORDS.items()}
_ANY = re.compile(rf"(?<![^\W_])(?:{'|'.join(_WORDS.values())})(?![^\W_])")

NOT_AN_ADDRESS = re.compile(
    r"(?:\bv(?:er(?:sion)?)?|\brelease|\bbuild|\bsection|\bchapter|\bclause|\barticle|§)\W{0,3}\Z", re.IGNORECASE
)
"""Before four small numbers with dots: a version or a section, not an IP address."""


def is_said(kind: str, before: str) -> bool:
    """Whether the text just before a number calls it a `kind`."""
    return _PATTERNS[kind].search(before[-CONTEXT_CHARS:].lower()) is not None


class Words:
    """Where a text has any of the words, found when first asked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._ends: list[int] | None = None

    def are_near(self, place: int) -> bool:
        """Whether there is one close before `place`: only then is it worth asking which."""
        if self._ends is None:
            self._ends = [match.end() for match in _ANY.finditer(lower_alike(self.text))]
        index = bisect_right(self._ends, place) - 1
        return index >= 0 and self._ends[index] > place - CONTEXT_CHARS
