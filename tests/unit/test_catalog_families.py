"""The matrix of licences."""

from __future__ import annotations

import json

import pytest

from gemstead.catalog.entries import load_catalog
from gemstead.catalog.families import load_families
from gemstead.cli import run

FAMILIES = load_families()


def test_the_five_families_are_there_each_with_its_sources_and_duties() -> None:
    assert {family.name for family in FAMILIES} == {"gemma4", "llama3.1", "mistral-7b", "mpt-30b", "falcon-40b"}
    for family in FAMILIES:
        assert family.obligations
        assert family.sources
        assert all(url.startswith("https://") for url in (*family.sources, family.licence_url))
        assert family.read.year == 2026


def test_gemma_4_agrees_with_the_catalogue() -> None:
    (family,) = (family for family in FAMILIES if family.name == "gemma4")
    models = [model for model in load_catalog().models if model.family == family.name]
    assert {model.licence for model in models} == {family.licence}
    assert max(model.max_context for model in models) == family.max_context
    assert {modality for model in models for modality in model.modalities} == set(family.modalities)


def test_compare_prints_a_line_for_each_and_its_conditions(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "compare"]) == 0
    shown = capsys.readouterr().out
    for family in FAMILIES:
        assert f"\n{family.title} " in shown
        assert all(duty in shown for duty in family.obligations)
    assert "700 million" in shown


def test_compare_as_json_has_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "compare", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["schema"] == "gemstead/families/1"
    assert [item["name"] for item in printed["items"]] == [family.name for family in FAMILIES]
    assert printed["items"][0]["read"] == "2026-11-24"
