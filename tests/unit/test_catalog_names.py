import pytest

from gemstead.catalog.names import ModelName, artefact_of_address, check_own_name, parse_name
from gemstead.core.errors import NameUnknown, RequestInvalid


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gemma4:e2b", ModelName("gemma4:e2b")),
        ("gemma4", ModelName("gemma4:e4b")),
        ("gemma4:latest", ModelName("gemma4:e4b")),
        ("gemma4:26b-a4b", ModelName("gemma4:26b")),
        (" GEMMA4:E4B ", ModelName("gemma4:e4b")),
        ("gemma4:e4b-q8_0", ModelName("gemma4:e4b", "q8_0")),
        ("gemma4:e4b-it-q8_0", ModelName("gemma4:e4b", "q8_0")),
        ("gemma4:e4b-Q4-K-M", ModelName("gemma4:e4b", "q4_k_m")),
        ("gemma4:26b-a4b-it-q4_K_M", ModelName("gemma4:26b", "q4_k_m")),
        ("gemma4:e4b-it-qat", ModelName("gemma4:e4b", "qat-q4_0")),
        ("gemma4:latest-q8_0", ModelName("gemma4:e4b", "q8_0")),
        ("gemma4:e2b@synthetic", ModelName("gemma4:e2b", form="synthetic")),
        ("gemma4:26b-a4b@tiny", ModelName("gemma4:26b", form="tiny")),
        ("gemma4:e2b-it-q4_k_m@synthetic", ModelName("gemma4:e2b", "q4_k_m", "synthetic")),
        ("smollm2:135m-q4_1", ModelName("smollm2:135m", "q4_1")),
    ],
)
def test_names_and_habits_from_other_tools_are_understood(text: str, expected: ModelName) -> None:
    assert parse_name(text) == expected


@pytest.mark.parametrize("text", ["gemma4:e2b", "gemma4:31b-q4_k_m", "gemma4:12b-q8_0@synthetic", "gemma4:26b@tiny"])
def test_a_name_prints_as_it_is_typed(text: str) -> None:
    assert str(parse_name(text)) == text
    assert parse_name(str(parse_name(text))) == parse_name(text)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("gemma4:e3b", "gemma4:e4b"),
        ("gemma4-e4b", "gemma4:e4b"),
        ("gema4:31b", "gemma4:31b"),
        ("gemma4:e4b-q5_k_m", "q4_k_m"),
        ("gemma4:e2b@syntetic", "synthetic"),
        ("gemma4:e2bq4_0", "gemma4:e2b"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest_one(text: str, nearest: str) -> None:
    with pytest.raises(NameUnknown) as caught:
        parse_name(text)
    assert caught.value.nearest == nearest


@pytest.mark.parametrize("text", ["", "@tiny", ":", "x" * 5000, "../../etc/passwd", "gemma4:e2b@"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(RequestInvalid):
        parse_name(text)


def test_a_projector_is_not_a_form_of_the_model() -> None:
    with pytest.raises(NameUnknown):
        parse_name("gemma4:e4b-mmproj-q8_0")


def test_the_owners_names_win_and_are_suggested() -> None:
    assert parse_name("my-model:7b", own_names=["my-model:7b"]) == ModelName("my-model:7b", is_own=True)
    with pytest.raises(NameUnknown) as caught:
        parse_name("my-modle:7b", own_names=["my-model:7b"])
    assert caught.value.nearest == "my-model:7b"


@pytest.mark.parametrize("name", ["Mine", "a b", "../x", "a:b:c", "", "-x", "x" * 70, "gemma4:mine", "smollm2:135m"])
def test_a_bad_or_taken_name_for_an_import_is_refused(name: str) -> None:
    with pytest.raises(RequestInvalid):
        check_own_name(name)


def test_a_good_name_for_an_import_passes() -> None:
    assert check_own_name("mine:7b-q4.1") == "mine:7b-q4.1"


@pytest.mark.parametrize(
    ("text", "repo", "quant"),
    [
        ("hf:unsloth/gemma-4-E2B-it-GGUF:Q4_K_M", "unsloth/gemma-4-E2B-it-GGUF", "Q4_K_M"),
        ("hf.co/owner/repo", "owner/repo", ""),
        ("https://huggingface.co/owner/repo:UD-Q4_K_XL", "owner/repo", "UD-Q4_K_XL"),
    ],
)
def test_addresses_of_repositories_are_understood(text: str, repo: str, quant: str) -> None:
    artefact = artefact_of_address(text)
    assert artefact is not None
    assert (artefact.source, artefact.repo, artefact.quant) == ("hf", repo, quant)


def test_an_address_of_a_file_is_understood_and_its_password_is_not_the_publisher() -> None:
    artefact = artefact_of_address("https://user:secret@models.example/dir/tiny-Q8_0.gguf?x=1")
    assert artefact is not None
    assert (artefact.source, artefact.file, artefact.publisher) == ("url", "tiny-Q8_0.gguf", "models.example")


def test_an_address_of_something_else_is_refused_and_a_name_is_no_address() -> None:
    with pytest.raises(RequestInvalid):
        artefact_of_address("https://example.org/page.html")
    assert artefact_of_address("gemma4:e2b") is None
