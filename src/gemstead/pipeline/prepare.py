"""What is done to a request before an engine sees it, and what is said about it."""

from __future__ import annotations

import msgspec

from gemstead.core.facts import ModelFacts
from gemstead.core.types import ChatRequest, ContextPolicy, Warning
from gemstead.engines.base import Engine
from gemstead.pipeline.context import check_context


class PrepareRules(msgspec.Struct, frozen=True):
    """What the operator has set."""

    context_policy: ContextPolicy = "refuse"


class Prepared(msgspec.Struct, frozen=True):
    """`request` is what the engine gets."""

    request: ChatRequest
    warnings: tuple[Warning, ...] = ()
    dropped_messages: int = 0


async def prepare(engine: Engine, facts: ModelFacts, rules: PrepareRules, request: ChatRequest) -> Prepared:  # noqa: ARG001
    """Raises: ContextOverflow; RequestInvalid for what the model cannot take."""
    return Prepared(request, await check_context(engine, request))
