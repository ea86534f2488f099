"""What every model source keeps, checked for each one found."""

import pytest

from gemstead.catalog.entries import Artefact, load_catalog
from gemstead.catalog.source import SOURCES, SourceOptions, load_source, resolve
from gemstead.core.errors import GemsteadError, NameUnknown, SourceUnreachable
from gemstead.core.plugins import plugin_names

NAMES = plugin_names(SOURCES)


def nowhere(source: str) -> Artefact:
    return Artefact(tag="x", format="gguf", quant="", publisher="nobody", source=source)


def test_the_sources_are_found_and_every_artefact_names_one() -> None:
    assert NAMES == ["file", "hf", "pypi", "url"]
    assert {artefact.source for model in load_catalog().models for artefact in model.artefacts} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_source_is_called_like_its_file(name: str) -> None:
    assert load_source(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_an_artefact_without_an_address_is_an_error_people_can_read(name: str) -> None:
    with pytest.raises(GemsteadError) as caught:
        resolve(nowhere(name), SourceOptions())
    assert caught.value.what


@pytest.mark.parametrize("name", NAMES)
def test_offline_mode_refuses_what_needs_the_network(name: str) -> None:
    if load_source(name).needs_network:
        with pytest.raises(SourceUnreachable, match="offline mode"):
            resolve(nowhere(name), SourceOptions(is_offline=True))
    else:
        with pytest.raises(GemsteadError, match="names no file"):
            resolve(nowhere(name), SourceOptions(is_offline=True))


def test_an_unknown_source_is_named() -> None:
    with pytest.raises(NameUnknown):
        load_source("ftp")


def test_options_do_not_show_the_token() -> None:
    assert "hf_secret" not in repr(SourceOptions(hf_token="hf_secret", pip_environ={"PIP_INDEX_URL": "hf_secret"}))
