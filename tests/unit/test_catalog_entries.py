import re

import msgspec
import pytest

from gemstead.catalog.entries import Catalog, load_catalog
from gemstead.catalog.roles import role_of
from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.catalog.tensors import file_bytes
from gemstead.core.errors import NameUnknown

CATALOG = load_catalog()
EVERY = [(model, artefact) for model in CATALOG.models for artefact in model.artefacts]


def test_the_five_variants_and_the_two_small_models_are_there() -> None:
    names = {model.name for model in CATALOG.models}
    assert names == {f"gemma4:{size}" for size in ("e2b", "e4b", "12b", "26b", "31b")} | {"gemma3:270m", "smollm2:135m"}


def test_digests_are_whole_and_sizes_are_real() -> None:
    for _, artefact in EVERY:
        assert artefact.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", artefact.sha256)
        assert artefact.size_bytes is None or artefact.size_bytes > 50_000_000
        assert artefact.revision is None or re.fullmatch(r"[0-9a-f]{8,40}", artefact.revision)


def test_tags_choose_one_artefact_and_the_first_choices_are_main_models_with_known_sizes() -> None:
    for model in CATALOG.models:
        tags = [artefact.tag for artefact in model.artefacts]
        assert len(tags) == len(set(tags))
        assert {model.artefact(tag).role for tag in model.preferred} == {"model"}
        assert model.artefact(model.preferred[0]).size_bytes is not None


def test_a_role_in_the_data_agrees_with_the_role_told_by_the_file_name() -> None:
    for _, artefact in EVERY:
        if artefact.format == "gguf" and artefact.file is not None:
            assert role_of(artefact.file) == artefact.role


def test_every_artefact_says_where_it_is() -> None:
    for _, artefact in EVERY:
        assert (artefact.repo is not None) == (artefact.source == "hf")
        assert bool(artefact.wheels) == (artefact.source == "pypi")


def test_wheel_members_add_up_to_the_file_they_make() -> None:
    for _, artefact in EVERY:
        if artefact.wheels:
            assert sum(part.member_bytes for part in artefact.wheels) == artefact.size_bytes


def test_licences_and_shapes_exist_and_contexts_fit_the_shapes() -> None:
    for model in CATALOG.models:
        assert CATALOG.licence(model.licence)
        if model.shape is not None:
            assert model.max_context <= GEMMA4_SHAPES[model.shape].max_context


def test_gemma_4_is_apache_and_only_the_gemma_terms_must_be_accepted() -> None:
    assert {CATALOG.licence(m.licence).id for m in CATALOG.models if m.family == "gemma4"} == {"Apache-2.0"}
    assert [m.name for m in CATALOG.models if CATALOG.licence(m.licence).must_accept] == ["gemma3:270m"]


def test_a_projector_comes_from_the_publisher_of_the_model_if_he_has_one() -> None:
    e4b = CATALOG.model("gemma4:e4b")
    pairs = {tag: e4b.companion(e4b.artefact(tag), "mmproj") for tag in ("q4_0", "qat-q4_0", "unsloth-q4_k_m")}
    assert pairs["q4_0"] == e4b.artefact("mmproj-q8_0")
    assert pairs["qat-q4_0"] == e4b.artefact("qat-mmproj")
    assert pairs["unsloth-q4_k_m"] is not None
    assert e4b.companion(e4b.artefact("litert"), "mmproj") is None


def test_choices_are_of_the_formats_an_engine_takes() -> None:
    e2b = CATALOG.model("gemma4:e2b")
    assert [artefact.tag for artefact in e2b.choices()][:2] == ["q4_0", "qat-q4_0"]
    assert e2b.choices(("mlx",)) == []


def test_a_file_is_recognised_by_its_digest() -> None:
    found = CATALOG.recognise("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
    assert found is not None
    assert found[0].name == "smollm2:135m"
    assert CATALOG.recognise("0" * 64) is None


def test_an_unknown_key_in_the_data_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError, match="quantt"):
        msgspec.toml.decode('licences = []\nmodels = []\nquantt = "x"', type=Catalog)


def test_an_unknown_tag_names_the_nearest() -> None:
    with pytest.raises(NameUnknown) as caught:
        CATALOG.model("gemma4:e2b").artefact("q4_1")
    assert caught.value.nearest == "q4_0"


def test_sizes_agree_with_the_tensors_that_such_a_file_must_hold() -> None:
    """An independent check of the data. Unsloth mixes types by rules of its own: left out."""
    checked = 0
    for model, artefact in EVERY:
        is_known_mix = artefact.format == "gguf" and artefact.role == "model" and artefact.publisher != "unsloth"
        if model.shape and is_known_mix and artefact.size_bytes is not None:
            expected_bytes = file_bytes(GEMMA4_SHAPES[model.shape], artefact.mix or artefact.quant)
            assert abs(artefact.size_bytes - expected_bytes) < 3000, artefact.place
            checked += 1
    assert checked >= 15
