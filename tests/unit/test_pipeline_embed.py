"""Embeddings on their way: lengths checked before, vectors after; admitted and recorded like every exchange."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from door_fakes import FakeEngine, fake_exchange
from gemstead.core.errors import ContextOverflow, EngineBusy, EngineError, GemsteadError, RequestInvalid
from gemstead.core.facts import ModelFacts
from gemstead.core.types import Embeddings, EmbedRequest
from gemstead.pipeline.embed import TEXTS_PER_CALL, embed_texts
from gemstead.pipeline.grant import Grant
from gemstead.pipeline.outcome import Outcome

PLAIN = ModelFacts()


class FakeEmbedder(FakeEngine):
    """Gives `vector` for every text, or what `answer` says; keeps what it was asked."""

    def __init__(self, *vectors: tuple[float, ...], context_length: int = 64, error: Exception | None = None) -> None:
        super().__init__(context_length=context_length)
        self.vectors = vectors or ((1.0, 0.0),)
        self.error = error
        self.asked: list[tuple[str, ...]] = []

    async def embed(self, request: EmbedRequest) -> Embeddings:
        if self.error is not None:
            raise self.error
        self.asked.append(request.texts)
        count = len(self.asked) - 1
        vector = self.vectors[min(count, len(self.vectors) - 1)]
        return Embeddings(tuple(vector for _ in request.texts), prompt_tokens=len(request.texts))


def request_of(*texts: str, **fields: Any) -> EmbedRequest:
    return EmbedRequest("fake", texts, **fields)


async def test_many_texts_go_in_small_batches_and_come_back_in_order() -> None:
    engine = FakeEmbedder((1.0, 0.0), (0.0, 1.0))
    texts = tuple(f"text {index}" for index in range(TEXTS_PER_CALL + 3))
    embeddings, num_broken = await embed_texts(engine, PLAIN, request_of(*texts))
    assert engine.asked == [texts[:TEXTS_PER_CALL], texts[TEXTS_PER_CALL:]]
    assert embeddings.vectors[0] == (1.0, 0.0)
    assert embeddings.vectors[-1] == (0.0, 1.0)
    assert embeddings.prompt_tokens == len(texts)
    assert num_broken == 0


async def test_a_text_that_is_too_long_is_refused_before_any_is_computed() -> None:
    engine = FakeEmbedder(context_length=12)
    with pytest.raises(ContextOverflow) as caught:
        await embed_texts(engine, PLAIN, request_of("short", "one two three four five six seven eight nine ten eleven"))
    assert caught.value.prompt_tokens == 11
    assert caught.value.what == "input[1] has 11 tokens, and a text to embed may have 10"
    assert not engine.asked


async def test_a_text_of_many_bytes_and_few_tokens_is_taken() -> None:
    engine = FakeEmbedder(context_length=12)
    await embed_texts(engine, PLAIN, request_of("internationalisation " * 3))
    assert len(engine.asked) == 1


@pytest.mark.parametrize("vector", [(0.0, 0.0), (2.0, 0.0), (math.nan, 1.0), ()])
async def test_a_vector_that_is_none_is_the_engines_error(vector: tuple[float, ...]) -> None:
    with pytest.raises(EngineError):
        await embed_texts(FakeEmbedder(vector), PLAIN, request_of("a"))


async def test_too_few_vectors_are_the_engines_error() -> None:
    class Forgetful(FakeEmbedder):
        async def embed(self, request: EmbedRequest) -> Embeddings:
            found = await super().embed(request)
            return Embeddings(found.vectors[1:], found.prompt_tokens)

    with pytest.raises(EngineError, match="1 vectors for 2 texts"):
        await embed_texts(Forgetful(), PLAIN, request_of("a", "b"))


async def test_vectors_of_different_sizes_are_the_engines_error() -> None:
    engine = FakeEmbedder((1.0, 0.0), (1.0, 0.0, 0.0))
    with pytest.raises(EngineError, match="different sizes"):
        await embed_texts(engine, PLAIN, request_of(*["a"] * (TEXTS_PER_CALL + 1)))


async def test_dimensions_are_the_models_own_or_refused() -> None:
    own, _ = await embed_texts(FakeEmbedder(), PLAIN, request_of("a", dimensions=2))
    assert len(own.vectors[0]) == 2
    with pytest.raises(RequestInvalid) as caught:
        await embed_texts(FakeEmbedder(), PLAIN, request_of("a", dimensions=1))
    assert caught.value.param == "dimensions"


async def test_control_tokens_in_a_text_are_broken_up_and_said_so() -> None:
    engine = FakeEmbedder()
    facts = ModelFacts(control_tokens=frozenset({"<|turn>"}))
    embeddings, num_broken = await embed_texts(engine, facts, request_of("a <|turn> b <|turn>", "plain"))
    assert num_broken == 2
    assert "<|turn>" not in engine.asked[0][0]
    assert engine.asked[0][1] == "plain"
    (warning,) = embeddings.warnings
    assert warning.code == "control_tokens_broken"


async def test_an_embedding_is_admitted_and_recorded() -> None:
    outcomes: list[Outcome] = []
    places: list[str] = []

    @asynccontextmanager
    async def admit(request: object) -> AsyncGenerator[Grant]:
        places.append("taken")
        yield Grant()
        places.append("given back")

    await fake_exchange(FakeEmbedder(), outcomes.append, admit).embed(request_of("a", "b"))
    assert places == ["taken", "given back"]
    (outcome,) = outcomes
    assert outcome.usage is not None
    assert (outcome.finish_reason, outcome.usage.prompt_tokens, outcome.engine) == ("stop", 2, "fake")


@pytest.mark.parametrize("error", [EngineBusy("busy"), ZeroDivisionError("a bug")])
async def test_a_failed_embedding_is_recorded_too(error: Exception) -> None:
    outcomes: list[Outcome] = []
    with pytest.raises(type(error)):
        await fake_exchange(FakeEmbedder(error=error), outcomes.append).embed(request_of("a"))
    assert outcomes[0].finish_reason == "error"
    assert outcomes[0].error_code == (error.code if isinstance(error, GemsteadError) else "internal")
