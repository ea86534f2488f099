"""Every documented field of the Messages API, and what is done with it: the table the code runs by and the docs print.

Source: Anthropic API reference, "Create a Message", and the parameter types of the official Python client 2.12, with
those of its betas.
"""

from __future__ import annotations

from gemstead.api.dialect import Field

EFFORT_BUDGET_TOKENS: dict[str, int | None] = {"low": 1024, "medium": 8192, "high": 24576, "xhigh": None, "max": None}
"""Thinking tokens of each `output_config.effort` where thinking is adaptive; None: as long as it takes.

The steps are those the OpenAI dialect has for `reasoning_effort`.
"""

FIELDS: dict[str, Field] = {
    "model": Field("honoured", "a name from /v1/models"),
    "messages": Field(
        "honoured",
        "roles user, assistant, system; turns of one role in a row are one turn; a last assistant turn is continued",
    ),
    "max_tokens": Field("honoured", "at least 1, thinking included; required"),
    "metadata": Field("honoured", "user_id: taken as whom the request is for; nothing is recorded yet"),
    "output_config": Field("honoured", "format: json_schema; effort: how long adaptive thinking may take"),
    "stop_sequences": Field("honoured", "up to 64; stop_sequence in the reply says which ended it, if the engine says"),
    "stream": Field("honoured", "server-sent events; the input's tokens are told in message_delta, at the end"),
    "system": Field("honoured", "a text, or text blocks"),
    "temperature": Field("honoured", "0 to 1"),
    "thinking": Field(
        "honoured",
        "disabled (the default), enabled with a budget of 1024 tokens or more, adaptive; display omitted leaves the "
        "text out; between_tools is refused",
    ),
    "tool_choice": Field("honoured", "auto, any, tool, none; disable_parallel_tool_use"),
    "tools": Field("honoured", "custom tools, up to 128; tools with a vendor's own schema are refused by their type"),
    "top_k": Field("honoured", "0 is off"),
    "top_p": Field("honoured", "0 to 1"),
    "cache_control": Field("warned", "the engine finds a common prefix by itself"),
    "container": Field("refused", "no code is run here"),
    "diagnostics": Field("warned", "why a prefix was not cached is not told"),
    "inference_geo": Field("refused", "inference runs where this machine is", ("global",)),
    "service_tier": Field("warned", "there is one tier", ("auto", "standard_only")),
    "speed": Field("warned", "there is one speed", ("standard",)),
    "user_profile_id": Field("warned", "there are no user profiles; send metadata.user_id"),
    "workspace_id": Field("warned", "there are no workspaces"),
}

BETA_FIELDS: dict[str, Field] = {
    "output_format": Field("honoured", "the same as output_config.format"),
    "betas": Field("warned", "each field is judged by itself, whatever beta it belongs to"),
    "billing_policy": Field("warned", "nothing is billed"),
    "compaction": Field("warned", "the conversation is not summarised; a prompt too long is refused with the numbers"),
    "context_management": Field("warned", "the conversation goes to the model as it was sent"),
    "fallback_credit_token": Field("warned", "nothing is billed"),
    "fallbacks": Field("warned", "the model asked for answers, or an error does", ([],)),
    "mcp_servers": Field("refused", "tools are run by the caller", ([],)),
    "thread": Field("refused", "conversations are not kept here; send all their messages"),
}
"""Fields that the API takes with a beta header only. Here no header is needed, and none changes anything."""

ALL_FIELDS = FIELDS | BETA_FIELDS
