"""What the gateway learns from a model's own files."""

from pathlib import Path

import pytest

from fake_engine import small_plan
from gemstead.app.facts import ServedModel, facts_of
from gemstead.catalog.gguf_parse import INT32
from gemstead.catalog.gguf_write import bool_record, header, numbers_record, text_record, texts_record, uint_record
from gemstead.core.errors import FileDamaged, ModelMissing
from gemstead.core.facts import ModelFacts, TemplateName
from gemstead.gemma.control_tokens import CONTROL, NORMAL

TOKENS = {b"<bos>": CONTROL, b"hello": NORMAL, b"<|turn>": CONTROL}
TEMPLATE = text_record("tokenizer.chat_template", "{{ messages }}")


def model_file(
    path: Path, *more: bytes, architecture: str = "gemma4", name: str = "gemma-4", types: list[int] | None = None
) -> str:
    records = [
        text_record("general.architecture", architecture),
        text_record("general.name", name),
        texts_record("tokenizer.ggml.tokens", list(TOKENS)),
        numbers_record("tokenizer.ggml.token_type", INT32, types or list(TOKENS.values())),
    ]
    path.write_bytes(header([*records, *more], ()))
    return str(path)


def projector_file(path: Path, **has: bool) -> str:
    records = [bool_record(f"clip.{key}", value) for key, value in has.items()]
    path.write_bytes(header([text_record("general.architecture", "clip"), *records], ()))
    return str(path)


def test_control_tokens_are_those_of_the_files_vocabulary(tmp_path: Path) -> None:
    facts = facts_of(small_plan(model_path=model_file(tmp_path / "m.gguf")))
    assert facts == ModelFacts(frozenset({"<bos>", "<|turn>"}), shows_tools=False)


@pytest.mark.parametrize(
    ("model", "name", "ple_size", "template"),
    [
        ("gemma4:e2b-q4_0@tiny", "", 0, "gemma4-small"),
        ("gemma4:e4b", "gemma-4-31b", 0, "gemma4-small"),
        ("gemma4:12b", "", 256, "gemma4-large"),
        ("gemma4:26b-q4_0", "", 0, "gemma4-large"),
        ("my-own", "Gemma-4-31B-it", 256, "gemma4-large"),
        ("my-own", "gemma-4-E2B-it", 0, "gemma4-small"),
        ("my-own", "tuned", 256, "gemma4-small"),
        ("my-own", "tuned", 0, "gemma4-large"),
        ("not-112b-but", "tuned", 256, "gemma4-small"),
    ],
)
def test_the_template_is_known_by_the_name_else_by_the_shape(
    tmp_path: Path, model: str, name: str, ple_size: int, template: TemplateName
) -> None:
    size = uint_record("gemma4.embedding_length_per_layer_input", ple_size)
    path = model_file(tmp_path / "m.gguf", TEMPLATE, size, name=name)
    assert facts_of(small_plan(model, model_path=path)).template == template


def test_other_models_and_base_models_have_none_of_gemma_4s_templates(tmp_path: Path) -> None:
    other = model_file(tmp_path / "o.gguf", TEMPLATE, architecture="llama")
    assert facts_of(small_plan("gemma4:e2b", model_path=other)).template is None
    base = model_file(tmp_path / "b.gguf")
    assert facts_of(small_plan("gemma4:e2b", model_path=base)).template is None


@pytest.mark.parametrize(
    ("has", "can_see", "can_hear"),
    [
        ({"has_vision_encoder": True, "has_audio_encoder": True}, True, True),
        ({"has_vision_encoder": True}, True, False),
        ({"has_audio_encoder": True, "has_vision_encoder": False}, False, True),
        ({}, False, False),
    ],
)
def test_senses_are_those_of_the_projector(tmp_path: Path, has: dict[str, bool], can_see: bool, can_hear: bool) -> None:
    projector = projector_file(tmp_path / "p.gguf", **has)
    facts = facts_of(small_plan(model_path=model_file(tmp_path / "m.gguf"), mmproj_path=projector))
    assert (facts.can_see, facts.can_hear) == (can_see, can_hear)


@pytest.mark.parametrize(
    ("template", "shows_tools"),
    [("{% for tool in tools %}{{ tool }}{% endfor %}{{ messages }}", True), ("{{ messages }}", False)],
)
def test_tools_are_shown_by_a_template_that_has_a_place_for_them(
    tmp_path: Path, template: str, shows_tools: bool
) -> None:
    path = model_file(tmp_path / "m.gguf", text_record("tokenizer.chat_template", template))
    assert facts_of(small_plan(model_path=path)).shows_tools is shows_tools


def test_a_vocabulary_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = model_file(tmp_path / "m.gguf", types=[CONTROL])
    with pytest.raises(FileDamaged, match="3 tokens and 1 types"):
        facts_of(small_plan(model_path=path))


def test_a_model_that_is_not_here_is_told_with_the_command_that_brings_it() -> None:
    with pytest.raises(ModelMissing) as missing:
        facts_of(small_plan("gemma4:e2b"))
    assert missing.value.hint == "gemstead models pull gemma4:e2b"


async def test_the_files_are_read_once(tmp_path: Path) -> None:
    served = ServedModel(small_plan(model_path=model_file(tmp_path / "m.gguf")))
    assert not served.is_read
    await served.read()
    facts = served.facts
    assert facts.control_tokens == {"<bos>", "<|turn>"}
    await served.read()
    assert served.facts is facts
