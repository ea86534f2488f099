"""Values that another project made: Faker's, in the sentences of our held-out half."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from faker import Faker

from gemstead.guardrails.evaluation.people import PERSON
from gemstead.guardrails.evaluation.sets import Sample, carried

LOCALES = {
    "en_US": ("US", "en"),
    "fr_FR": ("FR", "fr"),
    "de_DE": ("DE", "de"),
    "es_ES": ("ES", "es"),
    "it_IT": ("IT", "it"),
    "nl_NL": ("NL", "en"),
    "pl_PL": ("PL", "en"),
    "sv_SE": ("SE", "en"),
    "fi_FI": ("FI", "en"),
    "en_GB": ("GB", "en"),
    "en_CA": ("CA", "en"),
    "nl_BE": ("BE", "fr"),
    "de_CH": ("CH", "de"),
}
"""Faker's locale: our country, and the language of the sentences."""
NO_PERSON = {
    "DE": "Faker makes a US number",
    "GB": "Faker makes numbers with the prefix ZZ, which are never issued",
}
"""Countries of which Faker makes no valid number of a person."""


def samples(seed: int, per_kind: int) -> list[Sample]:
    return list(_samples(Random(seed), seed, per_kind))


def _samples(random: Random, seed: int, per_kind: int) -> Iterator[Sample]:
    for locale, (country, language) in LOCALES.items():
        fake = Faker(locale)
        fake.seed_instance(seed)
        makers: dict[str, Callable[[], str]] = {
            "phone": fake.phone_number,
            "iban": fake.iban,
            "email": fake.email,
            "card": fake.credit_card_number,
            "ip": fake.ipv4_public,
            "mac": fake.mac_address,
        }
        if country not in NO_PERSON:
            makers[PERSON[country][0]] = getattr(fake, {"PL": "pesel", "ES": "nif"}.get(country, "ssn"))
        for _ in range(per_kind):
            for kind, make in makers.items():
                yield carried(random, "held-out", make(), kind, country, language)
