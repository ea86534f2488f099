"""Every documented field of chat completions, and what is done with it: the table the code runs by and the docs print.

Source: OpenAI API reference, "Create chat completion", and the parameter types of the official Python client 3.54.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gemstead.api.dialect import Field
from gemstead.core.errors import RequestInvalid
from gemstead.core.types import Warning

REASONING_BUDGET_TOKENS: dict[str, int | None] = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": None,
    "max": None,
}
"""Thinking tokens of each `reasoning_effort`; None: as long as it takes.

The steps are those Google names for its own OpenAI-compatible endpoint (1K, 8K, 24K; no limit is ours for the rest):
https://ai.google.dev/gemini-api/docs/openai
"""

CHAT_FIELDS: dict[str, Field] = {
    "messages": Field("honoured", "roles developer (as system), system, user, assistant, tool; media as data URLs"),
    "model": Field("honoured", "a name from /v1/models"),
    "audio": Field("refused", "the models here answer in text"),
    "frequency_penalty": Field("honoured", "-2 to 2"),
    "function_call": Field("refused", "superseded by tool_choice", ("none", "auto")),
    "functions": Field("refused", "superseded by tools", ([],)),
    "logit_bias": Field("honoured", "token ids of the model's own tokenizer, -100 to 100"),
    "logprobs": Field("refused", "log probabilities are not offered yet", (False,)),
    "max_completion_tokens": Field("honoured", "thinking included"),
    "max_tokens": Field("honoured", "the same as max_completion_tokens"),
    "metadata": Field("warned", "replies are not stored, so their metadata is not kept", ({},)),
    "modalities": Field("refused", "the models here answer in text", (["text"],)),
    "moderation": Field("refused", "moderation of a vendor's service; not offered"),
    "n": Field("refused", "one choice a request; send the request again for another", (1,)),
    "parallel_tool_calls": Field("honoured", "false: at most one tool call a turn"),
    "prediction": Field("warned", "a hint for speed that changes no answer; not used"),
    "presence_penalty": Field("honoured", "-2 to 2"),
    "prompt_cache_key": Field("warned", "the engine finds a common prefix by itself"),
    "prompt_cache_options": Field("warned", "the engine finds a common prefix by itself"),
    "prompt_cache_retention": Field("warned", "the engine keeps a prefix as long as it has room", ("in_memory",)),
    "reasoning_effort": Field(
        "honoured",
        "none (the default): no thinking; minimal and low: up to 1024 thinking tokens, medium 8192, high 24576, "
        "xhigh and max: no limit",
    ),
    "response_format": Field("honoured", "text, json_object, json_schema"),
    "safety_identifier": Field("honoured", "the same as user"),
    "seed": Field("honoured", "the same seed, request, engine build and machine give the same answer"),
    "service_tier": Field("warned", "there is one tier", ("auto", "default")),
    "stop": Field("honoured", "up to 16 texts"),
    "store": Field("warned", "replies are not stored", (False,)),
    "stream": Field("honoured", "server-sent events"),
    "stream_options": Field("honoured", "include_usage; include_obfuscation is warned about"),
    "temperature": Field("honoured", "0 to 2"),
    "tool_choice": Field("honoured", "none, auto, required, a function, allowed_tools"),
    "tools": Field("honoured", "functions, up to 128; custom tools are refused"),
    "top_logprobs": Field("refused", "log probabilities are not offered yet", (0,)),
    "top_p": Field("honoured", "0 to 1"),
    "user": Field("honoured", "whom the request is recorded for"),
    "verbosity": Field("warned", "a hint for a vendor's own models; say it in the prompt", ("medium",)),
    "web_search_options": Field("refused", "no web search here"),
}

EXTRA_FIELDS: dict[str, Field] = {
    "chat_template_kwargs": Field("honoured", "enable_thinking; others are warned about"),
    "min_p": Field("honoured", "0 to 1"),
    "repeat_penalty": Field("honoured", "above 0; 1 is off"),
    "repetition_penalty": Field("honoured", "the same as repeat_penalty"),
    "top_k": Field("honoured", "0 is off"),
}
"""Fields of other OpenAI-compatible servers that clients of local models send."""

ALL_FIELDS = CHAT_FIELDS | EXTRA_FIELDS


def apply_table(body: dict[str, Any]) -> Iterator[Warning]:
    """Warnings for the fields of `body` that are answered without, in its order.

    Raises: RequestInvalid naming the first field that is refused.
    """
    for name, value in body.items():
        field = ALL_FIELDS.get(name)
        if field is None:
            yield warn_unknown(name)
        elif field.handling == "honoured" or value is None or _is_neutral(value, field):
            continue
        elif field.handling == "refused":
            raise RequestInvalid(f"{name} is not supported", param=name, why=field.note, hint=f"leave {name} out")
        else:
            yield Warning(code="field_ignored", message=f"{name} is ignored: {field.note}", param=name)


def warn_unknown(path: str) -> Warning:
    """The name is the caller's, so only the start of a long one is given back."""
    shown = path[:120]
    return Warning(code="field_unknown", message=f"{shown} is not a field of this API; ignored", param=shown)


def _is_neutral(value: object, field: Field) -> bool:
    """Types count: True is not 1 here."""
    return any(value == neutral and type(value) is type(neutral) for neutral in field.neutral)


def render_fields() -> str:
    """The page `docs/openai-fields.md`."""
    rows = [
        "# What each field of `/v1/chat/completions` does",
        "",
        "Honoured: done as asked. Refused: a value that asks for it is answered with status 400 naming the field.",
        "Warned: the request is answered without it, and the header `x-gemstead-warning` and `gemstead.warnings` in",
        "the reply say so, as they do for a field that is in neither table. `null` always means not given.",
        "",
        *_table(CHAT_FIELDS),
        "",
        "Beyond OpenAI's own, as other servers of local models take them:",
        "",
        *_table(EXTRA_FIELDS),
        "",
    ]
    return "\n".join(rows)


def _table(fields: dict[str, Field]) -> Iterator[str]:
    yield "| field | | what it does, or why not |"
    yield "|---|---|---|"
    for name, field in sorted(fields.items()):
        yield f"| `{name}` | {field.handling} | {field.note} |"
