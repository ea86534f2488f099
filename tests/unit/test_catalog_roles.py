import pytest

from gemstead.catalog.roles import has_quant, main_models, only_main_model, role_of, split_names
from gemstead.core.errors import RequestInvalid


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("gemma-4-E2B-it-Q4_0.gguf", "model"),
        ("mmproj-gemma-4-E4B-it-Q8_0.gguf", "mmproj"),
        ("gemma-4-E2B-it-mmproj.gguf", "mmproj"),
        ("mmproj-BF16.gguf", "mmproj"),
        ("mtp-gemma-4-26B-A4B-it-Q4_0.gguf", "drafter"),
        ("MTP/gemma-4-E2B-it-Q8_0.gguf", "drafter"),
        ("dflash-gemma-4-31B-it-Q8_0.gguf", "drafter"),
        ("eagle3-gemma-4-31B.gguf", "drafter"),
        ("gemma-4-31B-it-assistant-Q8_0.gguf", "drafter"),
        ("imatrix-model.gguf", "support"),
        ("config.json", "support"),
        ("model-00001-of-00002.safetensors", "model"),
        ("gemmtp-7b.gguf", "model"),
    ],
)
def test_a_role_is_told_by_the_name(name: str, role: str) -> None:
    assert role_of(name) == role


def test_a_split_model_is_all_its_parts_whichever_is_named() -> None:
    parts = ["big-00001-of-00003.gguf", "big-00002-of-00003.gguf", "big-00003-of-00003.gguf"]
    assert split_names("big-00002-of-00003.gguf") == parts
    assert split_names("whole.gguf") == ["whole.gguf"]
    assert main_models([*parts, "mmproj-big.gguf", "small.gguf"]) == [parts[0], "small.gguf"]


@pytest.mark.parametrize("name", ["x-00004-of-00003.gguf", "x-00000-of-00003.gguf", "x-00001-of-99999.gguf"])
def test_impossible_part_numbers_are_refused(name: str) -> None:
    with pytest.raises(RequestInvalid):
        split_names(name)


@pytest.mark.parametrize(
    ("name", "quant", "expected"),
    [
        ("a-it-Q4_K_M.gguf", "q4_k_m", True),
        ("a-it-Q4_K_M.gguf", "Q4-K-M", True),
        ("a-it-Q4_K_M.gguf", "Q4_K", False),
        ("a-UD-Q4_K_XL-00001-of-00002.gguf", "ud-q4_k_xl", True),
        ("a-UD-Q4_K_XL.gguf", "Q4_K_XL", True),
        ("SmolLM2.Q4_1.gguf", "q4_1", True),
        ("a-IQ4_0.gguf", "q4_0", False),
    ],
)
def test_a_quantization_is_matched_as_a_whole_word(name: str, quant: str, expected: bool) -> None:
    assert has_quant(name, quant) is expected


def test_more_than_one_model_is_listed_and_none_is_explained() -> None:
    with pytest.raises(RequestInvalid, match="holds 2 models") as caught:
        only_main_model(["a-Q4_0.gguf", "a-Q8_0.gguf"], None, "here")
    assert "a-Q8_0.gguf" in (caught.value.why or "")
    with pytest.raises(RequestInvalid, match="no models of quantization q5_0"):
        only_main_model(["a-Q4_0.gguf"], "q5_0", "here")
    with pytest.raises(RequestInvalid, match="holds no GGUF model") as caught:
        only_main_model(["mmproj-a.gguf", "README.md"], None, "here")
    assert "projector" in (caught.value.why or "")
