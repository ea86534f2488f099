from gemstead.core.lots import STOCK_BYTES, RandomNames


def test_no_name_is_given_twice_and_each_has_its_length() -> None:
    names = RandomNames()
    drawn = [names.hex(12) for _ in range(2000)]
    assert len(set(drawn)) == len(drawn)
    assert {len(name) for name in drawn} == {24}


def test_a_name_longer_than_the_stock_is_drawn_whole() -> None:
    names = RandomNames()
    names.hex(5)
    assert len(names.hex(STOCK_BYTES + 1)) == 2 * (STOCK_BYTES + 1)
