"""Personal data: numbers of people, accounts and cards by their checksums, mail, telephone and network addresses.

Detects: mail addresses; telephone numbers with a country's code, in a national shape, or behind a word like "tel";
    payment cards; IBANs; VAT numbers of 17 countries; national numbers of BE, CA, CH, DE, ES, FI, FR, IT, NL, PL, SE,
    UK, US; public IPv4 and IPv6 addresses; MAC addresses.
Input: any text, folded (digits of all scripts, full width, invisible characters, look-alike letters).
Verdict: there is no score. A number with a strong checksum or a shape of its own counts by itself; one that is just
    nine to thirteen digits counts behind a word of the languages EN, FR, DE, ES, IT, NL, PL, SV that says what it is.
Never filled: names, postal addresses, dates of birth, health data: no checksum tells them from other words.
Known misses: a word that says what the number is but stands behind it; digits spelled as words; numbers cut by a line
    end or a comma; private and loopback addresses, on purpose; what stands in pictures and sounds.
Source: `detect/`, each table with its own.
"""

from __future__ import annotations

from gemstead.guardrails.base import Guard, Passage, Replace, Screen
from gemstead.guardrails.detect.personal import KINDS, PersonalData
from gemstead.guardrails.span_screen import SpanScreen


def _opens(passage: Passage, replace: Replace) -> Screen:  # noqa: ARG001 (one signature)
    return SpanScreen("personal_data", PersonalData(), replace)


GUARD = Guard(
    name="personal_data",
    detects="mail, telephone, card, account, tax and national numbers, network addresses",
    kinds=KINDS,
    stages=frozenset({"input", "output", "tool_call", "tool_result"}),
    opens=_opens,
    default="off",
    order=40,
    is_blocking=False,
    measured_on="personal-data",
)
