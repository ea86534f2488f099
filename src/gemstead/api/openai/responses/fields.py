"""Every documented field of the Responses API, and what is done with it: the table the code runs by and the docs print.

Source: OpenAI API reference, "Create a model response", the parameter types of the official Python client 3.54, and the
Open Responses specification (https://www.openresponses.org/specification).
"""

from __future__ import annotations

from gemstead.api.dialect import Field

RESPONSES_FIELDS: dict[str, Field] = {
    "access_programs": Field("warned", "programs of a vendor's own", ({},)),
    "background": Field("refused", "the answer comes while the call is open", (False,)),
    "background_options": Field("refused", "the answer comes while the call is open", ({},)),
    "context_management": Field("refused", "conversations are not compacted; truncation says what happens", ([],)),
    "conversation": Field("refused", "go on with previous_response_id"),
    "image": Field("warned", "pictures are not compressed", ({},)),
    "include": Field(
        "honoured",
        "message.input_image.image_url is always there, message.output_text.logprobs refused, others are warned about",
    ),
    "input": Field(
        "honoured",
        "a text, or items: message, function_call, function_call_output, reasoning, item_reference; media as data URLs",
    ),
    "instructions": Field("honoured", "a system message before all others; not carried over to the next response"),
    "max_output_tokens": Field("honoured", "thinking included"),
    "max_tool_calls": Field("honoured", "counts built-in tools, of which there are none here"),
    "metadata": Field("honoured", "up to 16 pairs, given back and kept with the response"),
    "model": Field("honoured", "a name from /v1/models"),
    "moderation": Field("refused", "moderation of a vendor's service; not offered"),
    "parallel_tool_calls": Field("honoured", "false: at most one tool call a turn"),
    "previous_response_id": Field("honoured", "a kept response to go on from; several may go on from one"),
    "prompt": Field("refused", "prompt templates of a vendor's service; send instructions and input"),
    "prompt_cache_key": Field("warned", "the engine finds a common prefix by itself"),
    "prompt_cache_options": Field("warned", "the engine finds a common prefix by itself", ({},)),
    "prompt_cache_retention": Field("warned", "the engine keeps a prefix as long as it has room", ("in_memory",)),
    "reasoning": Field(
        "honoured",
        "effort as reasoning_effort of chat completions; summary: the thinking itself, not shortened, and said so",
    ),
    "safety_identifier": Field("honoured", "the same as user"),
    "service_tier": Field("warned", "there is one tier", ("auto", "default")),
    "store": Field("honoured", "true (the default): kept as responses.keep says, until it has to make room"),
    "stream": Field("honoured", "server-sent events"),
    "stream_options": Field("honoured", "include_obfuscation is warned about"),
    "temperature": Field("honoured", "0 to 2"),
    "text": Field("honoured", "format: text, json_object, json_schema; verbosity is warned about"),
    "tool_choice": Field("honoured", "none, auto, required, a function, allowed_tools"),
    "tools": Field("honoured", "functions, up to 128; built-in and custom tools are refused"),
    "top_logprobs": Field("refused", "log probabilities are not offered yet", (0,)),
    "top_p": Field("honoured", "0 to 1"),
    "truncation": Field("honoured", "disabled: a prompt too long is an error; auto: the oldest turns are left out"),
    "user": Field("honoured", "taken as whom the request is for; nothing is recorded yet"),
}

RESPONSES_EXTRA_FIELDS: dict[str, Field] = {
    "frequency_penalty": Field("honoured", "-2 to 2 (Open Responses)"),
    "min_p": Field("honoured", "0 to 1"),
    "personality": Field("warned", "a vendor's own styles; say it in instructions"),
    "presence_penalty": Field("honoured", "-2 to 2 (Open Responses)"),
    "seed": Field("honoured", "the same seed, request, engine build and machine give the same answer"),
    "top_k": Field("honoured", "0 is off"),
}
"""Fields of Open Responses, of other servers of local models, and of "Get input token counts"."""

ALL_RESPONSES_FIELDS = RESPONSES_FIELDS | RESPONSES_EXTRA_FIELDS
