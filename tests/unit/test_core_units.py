import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemstead.core.units import format_bytes, format_duration, format_number, parse_bytes


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [("16GiB", 16 * 1024**3), ("16 GB", 16 * 10**9), ("512M", 512 * 10**6), ("1.5 KiB", 1536), ("77", 77), ("8 b", 8)],
)
def test_sizes_are_read_as_people_write_them(text: str, num_bytes: int) -> None:
    assert parse_bytes(text) == num_bytes


@pytest.mark.parametrize("text", ["", "GiB", "16 elephants", "-1", "1e9", "16 GiB free"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_bytes(text)


@given(st.integers(min_value=0, max_value=2**50))
def test_a_printed_size_reads_back_within_its_three_digits(num_bytes: int) -> None:
    assert parse_bytes(format_bytes(num_bytes)) == pytest.approx(num_bytes, rel=0.006, abs=1)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.85, "850 ms"), (12.34, "12.3 s"), (245, "4 min 05 s"), (7800, "2 h 10 min")]
)
def test_durations_are_printed_with_the_unit_that_reads_best(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.07, "0.07"), (18.2371, "18.24"), (11234.4, "11,234"), (-1500.0, "-1,500")]
)
def test_numbers_are_printed_without_powers_of_ten(value: float, text: str) -> None:
    assert format_number(value) == text
