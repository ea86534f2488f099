"""What the gateway knows about a model that is served, whatever engine runs it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

TemplateName: TypeAlias = Literal["gemma4-small", "gemma4-large"]


class ModelFacts(msgspec.Struct, frozen=True):
    """`control_tokens` are the texts that its tokenizer turns into single tokens with a meaning of their own.

    `template` None: not a Gemma 4 model. `can_see` and `can_hear` say what this model can do as it is served here,
    with the projector that is or is not loaded. `shows_tools` False: its chat template has no place for tools, so that
    the model never learns of any. `template_sha256` is of its chat template; None: it has none.
    """

    control_tokens: frozenset[str] = frozenset()
    template: TemplateName | None = None
    can_see: bool = False
    can_hear: bool = False
    shows_tools: bool = True
    template_sha256: str | None = None
