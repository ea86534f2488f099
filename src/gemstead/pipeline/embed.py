"""Vectors for texts: lengths checked before the engine is asked, and what comes back held to what was promised."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gemstead.core.errors import ContextOverflow, EngineError, RequestInvalid
from gemstead.core.facts import ModelFacts
from gemstead.core.types import Embeddings, EmbedRequest, Warning
from gemstead.engines.base import Engine
from gemstead.gemma.token_breaker import token_breaker
from gemstead.pipeline.context import num_bytes

TEXTS_PER_CALL = 16
"""So many texts go to the engine at once: its answer stays small, and one request cannot hold it for long."""

SPECIAL_TOKENS = 2
"""Room for what a model puts around a text: one token before it, one after."""

_LENGTH_ERROR = 0.01
"""How far from 1 a vector's length may be: engines compute with 16 bits and less."""


async def embed_texts(engine: Engine, facts: ModelFacts, request: EmbedRequest) -> tuple[Embeddings, int]:
    """One vector a text, in order, each of length 1; and how many control tokens were typed in the texts, and broken.

    Raises: ContextOverflow, with the numbers, for a text longer than the engine takes; RequestInvalid for `dimensions`
    other than the model's own; EngineError for vectors that are none.
    """
    texts, num_broken = _break_tokens(facts, request.texts)
    for index, text in enumerate(texts):
        await _check_length(engine, index, text)
    vectors: list[tuple[float, ...]] = []
    prompt_tokens = 0
    for start in range(0, len(texts), TEXTS_PER_CALL):
        batch = texts[start : start + TEXTS_PER_CALL]
        found = await engine.embed(EmbedRequest(request.model, batch))
        _check_vectors(found.vectors, len(batch))
        _check_dimensions(request, len(found.vectors[0]))
        vectors += found.vectors
        prompt_tokens += found.prompt_tokens
    if len({len(vector) for vector in vectors}) > 1:
        raise EngineError("the engine gave vectors of different sizes")
    return Embeddings(tuple(vectors), prompt_tokens, _say_broken(num_broken)), num_broken


def _break_tokens(facts: ModelFacts, texts: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    if not facts.control_tokens:
        return texts, 0
    breaker = token_breaker(facts.control_tokens)
    broken = [breaker.break_tokens(text) for text in texts]
    return tuple(text for text, _ in broken), sum(count for _, count in broken)


def _say_broken(num_broken: int) -> tuple[Warning, ...]:
    if not num_broken:
        return ()
    message = f"{num_broken} control tokens in input are text here and were broken up"
    return (Warning(code="control_tokens_broken", message=message, param="input"),)


async def _check_length(engine: Engine, index: int, text: str) -> None:
    room = engine.context_length - SPECIAL_TOKENS
    if num_bytes(text) <= room:
        return
    num_tokens = len(await engine.tokenize(text))
    if num_tokens > room:
        raise ContextOverflow(
            f"input[{index}] has {num_tokens} tokens, and a text to embed may have {room}",
            prompt_tokens=num_tokens,
            context_length=engine.context_length,
            hint="embed shorter passages, or serve with a larger embeddings.context_length",
        )


def _check_vectors(vectors: Sequence[tuple[float, ...]], num_texts: int) -> None:
    """An engine that cannot compute a vector may answer zeros, and without a word."""
    if len(vectors) != num_texts:
        raise EngineError(f"the engine gave {len(vectors)} vectors for {num_texts} texts")
    for vector in vectors:
        length = math.hypot(*vector)
        if not abs(length - 1) <= _LENGTH_ERROR:  # so that what is not a number fails too
            raise EngineError(f"the engine gave a vector of length {length:g} where 1 was promised")


def _check_dimensions(request: EmbedRequest, own: int) -> None:
    if request.dimensions not in (None, own):
        raise RequestInvalid(
            f"{request.model} gives vectors of {own} dimensions, not {request.dimensions}",
            param="dimensions",
            why="cut ones would no longer mean what they mean: the model was not trained for it",
            hint=f"leave dimensions out, or ask for {own}",
        )
