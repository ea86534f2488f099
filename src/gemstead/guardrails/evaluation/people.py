"""Values that are valid and belong to nobody we know: made from their formats, check digits computed, no table of ours.

They are made by trying check digits until the format's own rule accepts, so a mistake in a rule of `detect/` shows up
against the examples that publishers print, which the tests hold, and against another maker's values
(`docs/guards.md`).
"""

from __future__ import annotations

import string
from collections.abc import Callable
from random import Random

from gemstead.guardrails.detect import checksums as check
from gemstead.guardrails.detect.iban import LENGTHS
from gemstead.guardrails.detect.vat import vat

COUNTRIES = ("FR", "IT", "NL", "BE", "PL", "SE", "FI", "ES", "DE", "CA", "US", "CH", "GB")


def digits(random: Random, count: int) -> str:
    return "".join(random.choices(string.digits, k=count))


def until(random: Random, make: Callable[[Random], str], is_valid: Callable[[str], bool]) -> str:
    """The first made value that is valid; one in a few hundred is, at the least."""
    for _ in range(100_000):
        if is_valid(value := make(random)):
            return value
    raise AssertionError("no valid value in 100,000")


def grouped(value: str, sizes: tuple[int, ...], mark: str) -> str:
    parts, place = [], 0
    for size in sizes:
        parts.append(value[place : place + size])
        place += size
    return mark.join([*parts, value[place:]] if place < len(value) else parts)


def birth(random: Random) -> tuple[int, int, int]:
    return random.randint(40, 99), random.randint(1, 12), random.randint(1, 28)


def fr_nir(random: Random) -> str:
    year, month, _ = birth(random)
    place = f"{random.randint(1, 95):02}{random.randint(1, 990):03}{random.randint(1, 999):03}"
    body = f"{random.choice('12')}{year:02}{month:02}{place}"
    value = f"{body}{97 - int(body) % 97:02}"
    return random.choice((value, grouped(value, (1, 2, 2, 2, 3, 3, 2), " ")))


def it_cf(random: Random) -> str:
    year, month, day = birth(random)

    def make(random: Random) -> str:
        letters = "".join(random.choices("BCDFGLMNPRSTVZ", k=6))
        place = f"{random.choice('ABCDEFGHIL')}{random.randint(1, 999):03}"
        born = f"{year:02}{'ABCDEHLMPRST'[month - 1]}{day + random.choice((0, 40)):02}"
        return f"{letters}{born}{place}{random.choice(string.ascii_uppercase)}"

    return until(random, make, check.it_cf)


def nl_bsn(random: Random) -> str:
    value = until(random, lambda random: digits(random, 9), check.nl_bsn)
    return random.choice((value, grouped(value, (4, 2, 3), "."), grouped(value, (3, 3, 3), " ")))


def be_nn(random: Random) -> str:
    year, month, day = birth(random)
    body = f"{year:02}{month:02}{day:02}{random.randint(1, 997):03}"
    value = f"{body}{97 - int(body) % 97:02}"
    return random.choice((value, f"{value[:2]}.{value[2:4]}.{value[4:6]}-{value[6:9]}.{value[9:]}"))


def pl_pesel(random: Random) -> str:
    year, month, day = birth(random)
    return until(random, lambda random: f"{year:02}{month:02}{day:02}{digits(random, 5)}", check.pl_pesel)


def se_pnr(random: Random) -> str:
    year, month, day = birth(random)
    value = until(random, lambda random: f"{year:02}{month:02}{day:02}{digits(random, 4)}", check.se_pnr)
    return random.choice((f"{value[:6]}-{value[6:]}", f"19{value[:6]}-{value[6:]}", value))


def fi_hetu(random: Random) -> str:
    year, month, day = birth(random)
    signs = string.digits + "ABCDEFHJKLMNPRSTUVWXY"
    return until(
        random,
        lambda random: f"{day:02}{month:02}{year:02}-{random.randint(2, 899):03}{random.choice(signs)}",
        check.fi_hetu,
    )


def es_dni(random: Random) -> str:
    number = random.randint(10_000_000, 99_999_999)
    if random.random() < 0.3:
        return until(
            random,
            lambda random: f"{random.choice('XYZ')}{digits(random, 7)}{random.choice(string.ascii_uppercase)}",
            check.es_dni,
        )
    return f"{number}{random.choice(('', '-'))}{check.es_letter(number)}"


def de_tax_id(random: Random) -> str:
    def make(random: Random) -> str:
        chosen = random.sample(string.digits, 9)
        body = [*chosen, random.choice(chosen)]
        random.shuffle(body)
        return "".join(body) + random.choice(string.digits)

    value = until(random, make, check.de_tax_id)
    return random.choice((value, grouped(value, (2, 3, 3, 3), " ")))


def ca_sin(random: Random) -> str:
    value = until(random, lambda random: f"{random.choice('1234567')}{digits(random, 8)}", check.ca_sin)
    return random.choice((value, grouped(value, (3, 3, 3), "-"), grouped(value, (3, 3, 3), " ")))


def us_ssn(random: Random) -> str:
    value = until(random, lambda random: digits(random, 9), check.us_ssn)
    return random.choice((grouped(value, (3, 2, 4), "-"), value))


def ch_avs(random: Random) -> str:
    value = until(random, lambda random: f"756{digits(random, 10)}", check.ch_avs)
    return random.choice((value, grouped(value, (3, 4, 4, 2), ".")))


def uk_nino(random: Random) -> str:
    prefix = until(
        random,
        lambda random: random.choice("ABCEHJLMOPRSWXYZ") + random.choice("ABCEHJLMPRSWXYZ"),
        lambda two: two != "ZZ",
    )
    value = f"{prefix}{digits(random, 6)}{random.choice('ABCD')}"
    return random.choice((value, grouped(value, (2, 2, 2, 2, 1), " ")))


def uk_nhs(random: Random) -> str:
    value = until(random, lambda random: digits(random, 10), check.uk_nhs)
    return random.choice((value, grouped(value, (3, 3, 4), " ")))


PERSON: dict[str, tuple[str, Callable[[Random], str]]] = {
    "FR": ("fr_nir", fr_nir),
    "IT": ("it_cf", it_cf),
    "NL": ("nl_bsn", nl_bsn),
    "BE": ("be_nn", be_nn),
    "PL": ("pl_pesel", pl_pesel),
    "SE": ("se_pnr", se_pnr),
    "FI": ("fi_hetu", fi_hetu),
    "ES": ("es_dni", es_dni),
    "DE": ("de_tax_id", de_tax_id),
    "CA": ("ca_sin", ca_sin),
    "US": ("us_ssn", us_ssn),
    "CH": ("ch_avs", ch_avs),
    "GB": ("uk_nino", uk_nino),
}
"""The number of a person in each country."""


def iban(random: Random, country: str) -> str:
    bank = "".join(random.choices(string.ascii_uppercase, k=4)) if country in ("GB", "NL") else ""
    body = bank + digits(random, LENGTHS[country] - 4 - len(bank))
    moved = "".join(str(int(char, 36)) for char in f"{body}{country}00")
    value = f"{country}{98 - int(moved) % 97:02}{body}"
    return random.choice((value, " ".join(value[place : place + 4] for place in range(0, len(value), 4))))


_VAT_SHAPES = {
    "FR": "##S",
    "IT": "11",
    "NL": "9B2",
    "BE": "0+9",
    "PL": "10",
    "SE": "10+01",
    "FI": "8",
    "ES": "B8",
    "DE": "9",
    "GB": "9",
    "CHE": "9",
}


def vat_number(random: Random, country: str) -> str:
    name = "CHE" if country == "CH" else country

    def make(random: Random) -> str:
        match _VAT_SHAPES[name]:
            case "##S":
                siren = until(random, lambda random: digits(random, 9), check.luhn)
                return f"{int(siren + '12') % 97:02}{siren}"
            case "9B2":
                return f"{digits(random, 9)}B{digits(random, 2)}"
            case "0+9":
                return f"0{digits(random, 9)}"
            case "10+01":
                return f"{digits(random, 10)}01"
            case "B8":
                return f"B{digits(random, 8)}"
            case count:
                return digits(random, int(count))

    number = until(random, make, lambda number: vat(name, number))
    return (
        f"CHE-{number[:3]}.{number[3:6]}.{number[6:]}" if name == "CHE" else f"{name}{random.choice(('', ' '))}{number}"
    )


_PHONES = {
    "FR": ("+33 6 ## ## ## ##", "06 ## ## ## ##", "01.##.##.##.##", "+337########", "+33 (0)1 ## ## ## ##"),
    "IT": ("+39 347 ### ####", "+39 06 #### ####", "347 ### ####", "347 #######"),
    "NL": ("+31 6 ########", "06-########", "+31 20 ### ####", "020-#######"),
    "BE": ("+32 47# ## ## ##", "047# ## ## ##", "+32 2 ### ## ##"),
    "PL": ("+48 5## ### ###", "5## ### ###", "+48 22 ### ## ##"),
    "SE": ("+46 70 ### ## ##", "070-### ## ##", "08-### ### ##"),
    "FI": ("+358 40 #######", "040 #######", "+358 9 ### ####"),
    "ES": ("+34 6## ## ## ##", "6## ## ## ##", "91# ### ###", "+34 91# ### ###"),
    "DE": ("+49 151 ########", "0151 ########", "+49 30 #######", "030 #######", "(089) ######"),
    "CA": ("+1 416 55# ####", "(416) 55#-####", "416-55#-####"),
    "US": ("+1 212 55# ####", "(212) 55#-####", "212-55#-####", "+1-212-55#-####", "212.55#.####"),
    "CH": ("+41 79 ### ## ##", "079 ### ## ##", "044 ### ## ##"),
    "GB": ("+44 7700 ######", "07700 ######", "020 7946 ####", "+44 20 7946 ####", "07700 ### ###"),
}


def phone(random: Random, country: str) -> str:
    return "".join(str(random.randint(2, 9)) if char == "#" else char for char in random.choice(_PHONES[country]))


_NAMES = (
    "anna",
    "marc",
    "lea.martin",
    "j.smith",
    "k.nowak",
    "sofia_rossi",
    "p.dejong",
    "hans-weber",
    "li",
    "m.o'neil",
    "zoe99",
)
_HOSTS = ("mail", "web", "firma", "societe", "office", "uni-nord", "post", "studio")


def email(random: Random) -> str:
    suffix = random.choice(("", "", str(random.randint(1, 99)), "+news"))
    top = random.choice(("com", "org", "fr", "de", "it", "es", "co.uk", "eu", "ch", "nl"))
    return f"{random.choice(_NAMES)}{suffix}@{random.choice(_HOSTS)}.{top}"


def card(random: Random) -> str:
    heads = (("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16), ("36", 14), ("3528", 16))
    head, length = random.choice(heads)
    value = until(random, lambda random: head + digits(random, length - len(head)), check.card)
    shapes = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}
    return random.choice((value, grouped(value, shapes[length], " "), grouped(value, shapes[length], "-")))


def ip(random: Random) -> str:
    if random.random() < 0.3:
        return f"2a01:{random.randint(16, 65535):x}:{random.randint(16, 65535):x}::{random.randint(1, 65535):x}"
    rest = (random.randint(0, 255), random.randint(0, 255), random.randint(1, 254))
    return ".".join(map(str, (random.choice((5, 31, 62, 81, 93, 151, 185, 212)), *rest)))


def mac(random: Random) -> str:
    return random.choice(":-").join(f"{random.randint(0, 255):02x}" for _ in range(6))
