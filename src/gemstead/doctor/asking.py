"""Questions to a running engine, as the deep checks put them: greedy, short, without thinking."""

from __future__ import annotations

import msgspec

from gemstead.catalog.manifests import Manifest
from gemstead.core.types import (
    ChatRequest,
    Finish,
    FinishReason,
    Message,
    ReasoningDelta,
    Sampling,
    TextDelta,
    TextPart,
    Usage,
)
from gemstead.doctor.subject import Subject
from gemstead.engines.base import Engine


class Reply(msgspec.Struct, frozen=True):
    """`text` holds thinking, too: where none was asked for, it is part of what went wrong."""

    text: str
    finish_reason: FinishReason | None
    usage: Usage | None

    @property
    def prefill_tokens(self) -> int | None:
        """Prompt tokens that were really evaluated; None where the engine does not tell."""
        timings = self.usage.timings if self.usage else None
        return timings.prefill_tokens if timings else None


def greedy(engine: Engine, text: str, max_tokens: int = 1) -> ChatRequest:
    """One user turn; the most likely token each time."""
    sampling = Sampling(temperature=0.0, seed=0, max_tokens=max_tokens)
    return ChatRequest(engine.model, (Message("user", (TextPart(text),)),), sampling=sampling)


async def ask(engine: Engine, text: str, max_tokens: int) -> Reply:
    """Raises: as `Engine.chat`."""
    texts: list[str] = []
    reason: FinishReason | None = None
    usage: Usage | None = None
    async for event in engine.chat(greedy(engine, text, max_tokens)):
        match event:
            case TextDelta(piece) | ReasoningDelta(piece):
                texts.append(piece)
            case Usage():
                usage = event
            case Finish(ended):
                reason = ended
            case _:
                pass
    return Reply("".join(texts), reason, usage)


def manifest_of(subject: Subject, engine: Engine) -> Manifest | None:
    """The record of the model that answers; None if it is not in this store."""
    return next((one for one in subject.store.list() if one.name == engine.model), None)


def is_gemma4(manifest: Manifest | None) -> bool:
    return manifest is not None and manifest.model.startswith("gemma4:")
