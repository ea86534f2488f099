"""What is done to a request before an engine sees it, and what is said about it."""

from __future__ import annotations

import msgspec

from gemstead.core.facts import ModelFacts
from gemstead.core.types import ChatRequest, ContextPolicy, Warning
from gemstead.engines.base import Engine
from gemstead.gemma.neutralise import Neutralised, neutralise
from gemstead.pipeline.context import fit_context
from gemstead.pipeline.media import CheckedMedia, MediaLimits, check_media

MAX_FIELDS_SAID = 8
"""Places named in one warning."""


class PrepareRules(msgspec.Struct, frozen=True):
    """What the operator has set."""

    context_policy: ContextPolicy = "refuse"
    media: MediaLimits = MediaLimits()


class Prepared(msgspec.Struct, frozen=True):
    """`request` is what the engine gets. `num_neutralised` are control tokens that were typed, and broken."""

    request: ChatRequest
    warnings: tuple[Warning, ...] = ()
    dropped_messages: int = 0
    num_neutralised: int = 0


async def prepare(engine: Engine, facts: ModelFacts, rules: PrepareRules, request: ChatRequest) -> Prepared:
    """Media, schemas, control tokens, context length, in this order: what is counted is what is sent.

    Raises: ContextOverflow; RequestInvalid for what the model cannot take.
    """
    media, broken = await _cleaned(facts, rules, request)
    policy = request.context_policy or rules.context_policy
    fitted = await fit_context(engine, broken.request, policy, media.most_tokens, facts.template)
    return Prepared(
        request=fitted.request,
        warnings=media.warnings + _say_unshown(facts, request) + _say_broken(broken) + fitted.warnings,
        dropped_messages=fitted.dropped_messages,
        num_neutralised=broken.count,
    )


async def count_prompt(engine: Engine, facts: ModelFacts, rules: PrepareRules, request: ChatRequest) -> int:
    """Exact tokens of the prompt as `prepare` makes it, but whole: who counts wants to know whether it fits.

    Raises: RequestInvalid for what the model cannot take.
    """
    _, broken = await _cleaned(facts, rules, request)
    return await engine.count_tokens(broken.request)


async def _cleaned(facts: ModelFacts, rules: PrepareRules, request: ChatRequest) -> tuple[CheckedMedia, Neutralised]:
    _check_schemas(request)
    media = await check_media(facts, rules.media, request)
    return media, neutralise(media.request, facts.control_tokens)


def _check_schemas(request: ChatRequest) -> None:
    """Raises: RequestInvalid for a schema that is none: engines ignore it, crash, or fail in mid-answer."""
    if not request.tools and request.response_format.schema is None:
        return
    from gemstead.pipeline.schemas import validator_of

    if request.response_format.schema is not None:
        validator_of(request.response_format.schema, "response_format")
    for index, tool in enumerate(request.tools):
        if tool.parameters:
            validator_of(tool.parameters, f"tools[{index}]")


def _say_unshown(facts: ModelFacts, request: ChatRequest) -> tuple[Warning, ...]:
    """Engines leave tools out of the prompt without a word where the template has no place for them."""
    if not request.tools or facts.shows_tools:
        return ()
    message = f"tools are not shown to {request.model}: its chat template has no place for them"
    return (Warning(code="field_ignored", message=message, param="tools"),)


def _say_broken(broken: Neutralised) -> tuple[Warning, ...]:
    if not broken.count:
        return ()
    num_more = len(broken.fields) - MAX_FIELDS_SAID
    places = ", ".join(broken.fields[:MAX_FIELDS_SAID]) + (f" and {num_more} more places" if num_more > 0 else "")
    message = f"{broken.count} control tokens of the model were typed in {places}: they were broken up, to stay text"
    return (Warning(code="control_tokens_broken", message=message, param=broken.fields[0]),)
