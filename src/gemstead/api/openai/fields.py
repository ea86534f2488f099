"""Every documented field of chat completions, and what is done with it: the table the code runs by and the docs print.

Source: OpenAI API reference, "Create chat completion", and the parameter types of the official Python client 3.54.
"""

from __future__ import annotations

from gemstead.api.dialect import Field

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
    "user": Field("honoured", "taken as whom the request is for; nothing is recorded yet"),
    "verbosity": Field("warned", "a hint for a vendor's own models; say it in the prompt", ("medium",)),
    "web_search_options": Field("refused", "no web search here"),
}

EXTRA_FIELDS: dict[str, Field] = {
    "chat_template_kwargs": Field("honoured", "enable_thinking; others are warned about"),
    "gemstead": Field("honoured", "context_policy: refuse or drop_oldest; others are warned about"),
    "min_p": Field("honoured", "0 to 1"),
    "repeat_penalty": Field("honoured", "above 0; 1 is off"),
    "repetition_penalty": Field("honoured", "the same as repeat_penalty"),
    "top_k": Field("honoured", "0 is off"),
}
"""Fields of other OpenAI-compatible servers that clients of local models send."""

ALL_FIELDS = CHAT_FIELDS | EXTRA_FIELDS
