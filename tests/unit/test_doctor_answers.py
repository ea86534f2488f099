"""How answers, tokens and cache hits are judged; the questions themselves are put to real engines in tests/real."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor_parts import add, raising, subject
from door_fakes import FakeEngine
from gemstead.catalog.manifests import Manifest
from gemstead.core.errors import EngineFailed
from gemstead.core.types import Finish, FinishReason, TextDelta, Timings, Usage
from gemstead.doctor.asking import Reply, ask
from gemstead.doctor.check import load_check
from gemstead.doctor.checks import prompt_cache, sanity, tokenizer
from gemstead.doctor.examination import ask_through


@pytest.fixture
def gemma(tmp_path: Path) -> Manifest:
    return add(subject(tmp_path).store, "gemma4:e4b-q8_0")


@pytest.mark.parametrize(
    ("text", "reason", "severity"),
    [
        ("Paris", "stop", None),
        ("The capital is Paris.", "stop", None),
        ("Paris is the capital and", "length", "warning"),
        ("Berlin", "stop", "error"),
        ("", "stop", "error"),
        (" \n", "stop", "error"),
        ("Paris", None, "error"),
        ("Paris<unused24><unused24>", "length", "error"),
        ("<|channel>thought\n<channel|>Paris", "stop", "error"),
        ("Paris<turn|>", "stop", "error"),
    ],
)
def test_an_answer_is_judged(gemma: Manifest, text: str, reason: FinishReason | None, severity: str | None) -> None:
    complaints = [finding.severity for finding in sanity.judge(Reply(text, reason, None), gemma)]
    assert complaints == ([severity] if severity else [])


def test_a_model_that_need_not_know_is_not_judged_by_what_it_says(tmp_path: Path) -> None:
    small = add(subject(tmp_path).store, "smollm2:135m")
    assert list(sanity.judge(Reply("L'Etoile, la Marseillaise", "length", None), small)) == []
    (finding,) = sanity.judge(Reply("<unused5>", "stop", None), small)
    assert finding.severity == "error"


def cache_reply(prompt_tokens: int, prefill_tokens: int | None) -> Reply:
    usage = Usage(prompt_tokens, 2, timings=Timings(prefill_tokens=prefill_tokens))
    return Reply("ok", "stop", usage)


def test_a_prompt_that_comes_from_the_cache_is_fine_and_one_evaluated_anew_is_not() -> None:
    first = cache_reply(300, 300)
    assert prompt_cache.judge(first, cache_reply(300, 1)).severity == "ok"
    anew = prompt_cache.judge(first, cache_reply(300, 300))
    assert (anew.severity, anew.evidence["second_prefill_tokens"]) == ("warning", 300)
    assert prompt_cache.judge(first, cache_reply(300, None)).severity == "note"


VOCABULARY = tokenizer.Vocabulary(
    tokens=[b"<bos>", b"\n\n\n", b"\n", "▁ok".encode(), b"<0xF0>", b"<0x9F>", b"<0x99>", b"<0x82>", b"<|turn>"],
    kinds=[3, 1, 1, 1, 6, 6, 6, 6, 3],
)


def test_three_newlines_are_one_token() -> None:
    assert list(tokenizer.judge_newlines(VOCABULARY, [1])) == []
    (finding,) = tokenizer.judge_newlines(VOCABULARY, [2, 2, 2])
    assert finding.severity == "error"


def test_what_tokens_spell_is_what_was_written_byte_tokens_included() -> None:
    assert VOCABULARY.text_of([3, 4, 5, 6, 7]) == " ok" + bytes([0xF0, 0x9F, 0x99, 0x82]).decode()
    assert list(tokenizer.judge_round_trip(VOCABULARY, " ok", [3])) == []
    (finding,) = tokenizer.judge_round_trip(VOCABULARY, " ok", [3, 4])
    assert finding.severity == "error"


def test_a_typed_control_token_must_not_become_one() -> None:
    assert list(tokenizer.judge_control_text(VOCABULARY, "<|turn>", [2, 3])) == []
    (finding,) = tokenizer.judge_control_text(VOCABULARY, "<|turn>", [8])
    assert finding.severity == "warning"


@pytest.mark.parametrize(("counted", "is_right"), [(10, True), (14, True), (11, False), (15, False), (9, False)])
def test_a_rendered_turn_has_an_exact_length(counted: int, is_right: bool) -> None:
    assert (list(tokenizer.judge_count(counted, 10, 14)) == []) is is_right


async def test_an_answer_is_read_to_its_end() -> None:
    usage = Usage(5, 2, timings=Timings(prefill_tokens=4))
    reply = await ask(FakeEngine(TextDelta("Pa"), TextDelta("ris"), usage, Finish("stop")), "?", 8)
    assert reply == Reply("Paris", "stop", usage)
    assert reply.prefill_tokens == 4


async def test_questions_are_greedy_short_and_without_thinking() -> None:
    engine = FakeEngine()
    await ask(engine, "hello", 8)
    (request,) = engine.requests
    assert (request.sampling.temperature, request.sampling.max_tokens) == (0.0, 8)
    assert not request.thinking.is_on


async def test_an_engine_that_fails_is_the_finding_of_each_deep_check(tmp_path: Path) -> None:
    engine = FakeEngine(EngineFailed("it died", hint="see its log"), is_endless=False)
    checks = [load_check("prompt_cache"), load_check("sanity"), load_check("files")]
    findings = await ask_through(checks, subject(tmp_path), engine)
    assert [(finding.check, finding.severity, finding.fix) for finding in findings] == [
        ("prompt_cache", "warning", "see its log"),
        ("sanity", "warning", "see its log"),
    ]


async def test_generated_weights_are_only_asked_to_answer_and_end(tmp_path: Path) -> None:
    examined = subject(tmp_path)
    add(examined.store, "fake", form="tiny")
    babble = FakeEngine(TextDelta("<unused7> xyz"), Finish("length"))
    (finding,) = await ask_through([load_check("sanity")], examined, babble)
    assert finding.severity == "ok"
    (finding,) = await ask_through([load_check("sanity")], examined, FakeEngine(TextDelta("xyz")))
    assert finding.severity == "error"


async def test_a_tokenizer_that_is_not_gemma_4s_is_said_not_to_be_checked(tmp_path: Path) -> None:
    (finding,) = await ask_through([load_check("tokenizer")], subject(tmp_path, plan=raising(OSError())), FakeEngine())
    assert finding.severity == "note"
