import pytest

from gemstead.bench.door import DecodeRun, summarise


def runs(direct: list[float], door: list[float]) -> list[DecodeRun]:
    pairs = zip(direct, door, strict=True)
    return [
        DecodeRun(name, 64, ttft_s, rate)
        for a, b in pairs
        for name, ttft_s, rate in (("direct", 0.010, a), ("door", 0.012, b))
    ]


def test_the_result_is_the_median_of_the_pairs_ratios_not_the_ratio_of_medians() -> None:
    comparison = summarise(runs([100, 50, 10], [90, 50, 20]), "direct", "door")
    assert comparison.ratio == pytest.approx(1.0)
    assert comparison.ratio_low == pytest.approx(0.9)
    assert comparison.ratio_high == pytest.approx(2.0)
    assert comparison.added_ttft_s == pytest.approx(0.002)


def test_one_pair_has_no_spread() -> None:
    comparison = summarise(runs([100], [97]), "direct", "door")
    assert comparison.ratio == comparison.ratio_low == comparison.ratio_high == pytest.approx(0.97)
