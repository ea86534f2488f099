"""What the gateway knows of the model it serves: read from the model's own files, once."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path

from gemstead.catalog.gguf import GgufFile, read_gguf
from gemstead.catalog.gguf_vocab import token_table
from gemstead.core.errors import ModelMissing
from gemstead.core.facts import ModelFacts, TemplateName
from gemstead.core.plan import Plan
from gemstead.gemma.control_tokens import control_tokens_of
from gemstead.gemma.token_breaker import token_breaker

_VARIANT = re.compile(r"(?<![a-z0-9])(?:(?P<small>e2b|e4b)|(?P<large>12b|26b|31b))(?![a-z0-9])")


class ServedModel:
    """The facts of a plan's model. They are read where nobody waits for them: beside the loading of the weights."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._facts: ModelFacts | None = None

    @property
    def is_read(self) -> bool:
        return self._facts is not None

    @property
    def facts(self) -> ModelFacts:
        assert self._facts is not None, "`read` comes first"
        return self._facts

    async def read(self) -> None:
        """Raises: as `facts_of`."""
        if self._facts is None:
            self._facts = await asyncio.to_thread(_prepared_facts, self._plan)


def _prepared_facts(plan: Plan) -> ModelFacts:
    """With the search for the control tokens made here already: the first request would wait 0.05 s for it."""
    facts = facts_of(plan)
    token_breaker(facts.control_tokens)
    return facts


def facts_of(plan: Plan) -> ModelFacts:
    """Read from the GGUF files of `plan`: 0.2 s with Gemma's vocabulary, 0.05 s with a small one.

    Raises: ModelMissing if they are not here; FileDamaged if they are not sound.
    """
    if plan.model_path is None:
        raise ModelMissing(f"{plan.model} is not here yet", hint=f"gemstead models pull {plan.model}")
    gguf = read_gguf(Path(plan.model_path))
    projector = None if plan.mmproj_path is None else read_gguf(Path(plan.mmproj_path))
    return ModelFacts(
        control_tokens=control_tokens_of(*token_table(gguf)),
        template=template_of(gguf, plan.model),
        can_see=projector is not None and projector.get("clip.has_vision_encoder") is True,
        can_hear=projector is not None and projector.get("clip.has_audio_encoder") is True,
        shows_tools="tools" in (gguf.chat_template or ""),
        template_sha256=None if gguf.chat_template is None else _sha256(gguf.chat_template),
    )


def template_of(gguf: GgufFile, name: str) -> TemplateName | None:
    """Which of Gemma 4's two templates a model was trained with: by what it is called, else by its shape.

    Only the small variants have per-layer embeddings. None for other models, and for a base model, which has none.
    """
    if gguf.architecture != "gemma4" or gguf.chat_template is None:
        return None
    for called in (name, gguf.name or ""):
        if match := _VARIANT.search(called.lower()):
            return "gemma4-small" if match["small"] else "gemma4-large"
    return "gemma4-small" if gguf.integer("gemma4.embedding_length_per_layer_input") else "gemma4-large"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
