"""Numbers that their publishers, or the standards, print as examples; and each of them with one digit changed."""

import pytest

from gemstead.guardrails.detect import checksums as check
from gemstead.guardrails.detect.iban import iban_in
from gemstead.guardrails.detect.vat import vat

EXAMPLES = [
    (check.card, "4111111111111111"),
    (check.card, "378282246310005"),
    (check.card, "30569309025904"),
    (check.card, "2223003122003222"),
    (check.debit_card, "6759649826438453"),
    (check.fr_nir, "255081416802538"),
    (check.it_cf, "RSSMRA85T10A562S"),
    (check.es_dni, "12345678Z"),
    (check.es_dni, "X1234567L"),
    (check.es_cif, "A58818501"),
    (check.nl_bsn, "111222333"),
    (check.be_nn, "85073003328"),
    (check.pl_pesel, "44051401359"),
    (check.se_pnr, "8112189876"),
    (check.fi_hetu, "131052-308T"),
    (check.de_tax_id, "86095742719"),
    (check.ca_sin, "046454286"),
    (check.ch_avs, "7569217076985"),
    (check.uk_nhs, "9434765919"),
]


@pytest.mark.parametrize(("is_valid", "value"), EXAMPLES)
def test_printed_examples_are_valid_and_one_digit_more_or_less_is_not(is_valid, value: str) -> None:
    assert is_valid(value)
    place = next(index for index in range(len(value) - 1, 0, -1) if value[index].isdigit())
    changed = value[:place] + str((int(value[place]) + 1) % 10) + value[place + 1 :]
    assert not is_valid(changed)


@pytest.mark.parametrize(
    "value",
    [
        "BE68539007547034",
        "GB29NWBK60161331926819",
        "DE89370400440532013000",
        "FR1420041010050500013M02606",
        "MT84MALT011000012345MTLCAST001S",
    ],
)
def test_ibans_of_the_registry_are_valid_and_changed_ones_are_not(value: str) -> None:
    assert iban_in(value) == len(value)
    assert iban_in(value[:2] + str((int(value[2]) + 1) % 10) + value[3:]) is None


@pytest.mark.parametrize(
    ("country", "number"),
    [
        ("DE", "136695976"), ("FR", "40303265045"), ("IT", "00743110157"), ("ES", "A13585625"), ("BE", "0428759497"),
        ("NL", "004495445B01"), ("AT", "U13585627"), ("PT", "501964843"), ("DK", "13585628"), ("FI", "20774740"),
        ("SE", "556188840401"), ("PL", "8567346215"), ("LU", "15027442"), ("CHE", "107787577"), ("GB", "980780684"),
        ("IE", "6433435F"), ("EL", "023456780"),
    ],
)  # fmt: skip
def test_printed_vat_numbers_are_valid(country: str, number: str) -> None:
    assert vat(country, number)
    place = next(index for index, char in enumerate(number) if char.isdigit() and index > 1)
    assert not vat(country, number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :])


def test_what_was_never_given_out_is_no_social_security_number() -> None:
    assert check.us_ssn("123456789")
    assert not any(map(check.us_ssn, ("000456789", "666456789", "900456789", "123006789", "123450000")))
