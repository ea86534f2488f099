import pytest

from gemstead.core.errors import NameUnknown
from gemstead.core.plugins import load_plugin, plugin_names


def test_plugins_are_found_by_listing_their_folder() -> None:
    assert "units" in plugin_names("gemstead.core")


def test_an_unknown_plugin_is_an_error_that_suggests_the_nearest() -> None:
    with pytest.raises(NameUnknown) as caught:
        load_plugin("gemstead.core", "unit", "MIB", int)
    assert caught.value.nearest == "units"


def test_a_plugin_without_its_constant_is_named() -> None:
    with pytest.raises(TypeError, match=r"gemstead\.core\.units: NOTHING is not a int"):
        load_plugin("gemstead.core", "units", "NOTHING", int)
