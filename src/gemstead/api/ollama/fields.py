"""Every documented field of Ollama's API, and what is done with it: the tables the code runs by and the docs print.

Source: docs/api.md and api/types.go of https://github.com/ollama/ollama, https://docs.ollama.com/api (read 2026-11),
and the request types of the official Python client 0.6.3.
"""

from __future__ import annotations

from gemstead.api.dialect import Field

THINK_BUDGET_TOKENS: dict[str, int | None] = {"low": 1024, "medium": 8192, "high": 24576, "max": None}
"""Thinking tokens of each level of `think`; None, as for true: as long as it takes."""

_COMMON: dict[str, Field] = {
    "model": Field(
        "honoured", "a name of the store or the catalogue; `:latest` may follow; a family means what is served"
    ),
    "stream": Field("honoured", "true if left out: one JSON object a line"),
    "format": Field("honoured", "`json`, or a JSON schema; held by the engine's grammar and checked"),
    "options": Field("honoured", "see the table of options"),
    "keep_alive": Field(
        "honoured",
        "seconds, or a duration such as `5m`: unloads the model so long after its last answer, 0 at once, "
        "negative never; left out: as `engine.keep_alive_s` is set",
    ),
    "think": Field(
        "honoured",
        "false if left out; true and `max`: no limit, `low`: up to 1024 thinking tokens, `medium` 8192, `high` 24576",
    ),
    "truncate": Field(
        "honoured", "true: the oldest turns of a too long conversation are left out, and said so; false: it is refused"
    ),
    "shift": Field("warned", "an answer that fills the context ends with done_reason `length`", (False,)),
    "logprobs": Field("refused", "log probabilities are not offered yet", (False,)),
    "top_logprobs": Field("refused", "log probabilities are not offered yet", (0,)),
    "_debug_render_only": Field("refused", "prompts are not given out", (False,)),
}

CHAT_FIELDS: dict[str, Field] = _COMMON | {
    "messages": Field(
        "honoured",
        "roles system, user, assistant, tool; `images` as base64; `thinking`, `tool_calls`, `tool_name`; "
        "none: the model is loaded, or with `keep_alive` 0 unloaded",
    ),
    "tools": Field("honoured", "functions, up to 128"),
}

GENERATE_FIELDS: dict[str, Field] = _COMMON | {
    "prompt": Field("honoured", "none: the model is loaded, or with `keep_alive` 0 unloaded"),
    "system": Field("honoured", "instead of the system prompt the model was created with"),
    "images": Field("honoured", "base64"),
    "raw": Field("honoured", "the prompt is continued as it stands; control tokens in it are broken all the same"),
    "suffix": Field("refused", "filling in between two texts is not offered", ("",)),
    "template": Field("refused", "the model's own template is used", ("",)),
    "context": Field("refused", "superseded by /api/chat with the earlier messages", ([],)),
    "width": Field("refused", "the models here answer in text", (0,)),
    "height": Field("refused", "the models here answer in text", (0,)),
    "steps": Field("refused", "the models here answer in text", (0,)),
}

OPTION_FIELDS: dict[str, Field] = {
    "num_ctx": Field("honoured", "up to the context length served; more is warned about, and never cut silently"),
    "num_predict": Field("honoured", "thinking included; 0 and below: no limit"),
    "seed": Field(
        "honoured", "the same seed, request, engine build and machine give the same answer; negative: random"
    ),
    "temperature": Field("honoured", "0 to 10; left out: as the model's authors recommend"),
    "top_k": Field("honoured", "0 is off; left out: as the model's authors recommend"),
    "top_p": Field("honoured", "0 to 1; left out: as the model's authors recommend"),
    "min_p": Field("honoured", "0 to 1"),
    "repeat_penalty": Field("honoured", "above 0; 1, which is off, if left out"),
    "presence_penalty": Field("honoured", "-2 to 2"),
    "frequency_penalty": Field("honoured", "-2 to 2"),
    "stop": Field("honoured", "a text, or up to 16"),
    "repeat_last_n": Field("warned", "penalties look back as far as the engine's own default, 64 tokens", (64,)),
    "num_keep": Field("warned", "a conversation is never shifted", (0,)),
    "typical_p": Field("warned", "not offered; use top_p or min_p", (1, 1.0)),
    "tfs_z": Field("warned", "not offered; use top_p or min_p", (1, 1.0)),
    "mirostat": Field("warned", "not offered; use top_p or min_p", (0,)),
    "mirostat_tau": Field("warned", "mirostat is not offered"),
    "mirostat_eta": Field("warned", "mirostat is not offered"),
    "penalize_newline": Field("warned", "the engine has no such switch", (False,)),
    "num_batch": Field("warned", "as planned when the server started"),
    "num_gpu": Field("warned", "layers lie where the plan put them when the server started", (-1,)),
    "main_gpu": Field("warned", "layers lie where the plan put them when the server started", (0,)),
    "num_thread": Field("warned", "as planned when the server started", (0,)),
    "draft_num_predict": Field("warned", "drafts change no answer; set when the server starts"),
    "low_vram": Field("warned", "the plan fits the memory there is", (False,)),
    "numa": Field("warned", "as planned when the server started", (False,)),
    "use_mmap": Field("warned", "weights are always mapped", (True,)),
    "use_mlock": Field("warned", "weights are not locked in memory", (False,)),
    "f16_kv": Field("warned", "the KV cache's type is set when the server starts", (True,)),
    "logits_all": Field("warned", "changes no answer", (False,)),
    "vocab_only": Field("refused", "a model without weights cannot answer", (False,)),
    "embedding_only": Field("refused", "one server answers both", (False,)),
}

EMBED_FIELDS: dict[str, Field] = {
    "model": _COMMON["model"],
    "input": Field("honoured", "a text, or a list of texts"),
    "dimensions": Field("honoured", "where the model can be cut to it"),
    "keep_alive": _COMMON["keep_alive"],
    "truncate": Field("warned", "a text is never cut: one that is too long is refused with the numbers", (False,)),
    "options": Field("warned", "they are about answers", ({},)),
}

EMBEDDINGS_FIELDS: dict[str, Field] = {
    "model": _COMMON["model"],
    "prompt": Field("honoured", "one text"),
    "keep_alive": _COMMON["keep_alive"],
    "options": EMBED_FIELDS["options"],
}

_NAME = Field("honoured", "a name of the store or the catalogue; `name` is the same")
_VERIFIED = Field("refused", "connections to model sources are always verified", (False,))

PULL_FIELDS: dict[str, Field] = {
    "model": Field("honoured", "a name of the catalogue, or `hf.co/OWNER/REPO[:QUANT]`; `name` is the same"),
    "name": Field("honoured", "the same as model"),
    "stream": Field("honoured", "true if left out: one JSON object a line"),
    "insecure": _VERIFIED,
    "username": Field("refused", "the token of the settings is used", ("",)),
    "password": Field("refused", "the token of the settings is used", ("",)),
}

SHOW_FIELDS: dict[str, Field] = {
    "model": _NAME,
    "name": Field("honoured", "the same as model"),
    "verbose": Field("warned", "lists of the tokenizer are never shown", (False,)),
    "system": Field("warned", "the model is shown as it is", ("",)),
    "template": Field("warned", "the model is shown as it is", ("",)),
    "options": Field("warned", "the model is shown as it is", ({},)),
}

COPY_FIELDS: dict[str, Field] = {
    "source": Field("honoured", "a model of the store"),
    "destination": Field("honoured", "a new name: lower-case letters, digits, `.`, `_`, `-` and at most one `:`"),
}

DELETE_FIELDS: dict[str, Field] = {
    "model": Field("honoured", "a model of the store that no server serves; `name` is the same"),
    "name": Field("honoured", "the same as model"),
}

CREATE_FIELDS: dict[str, Field] = {
    "model": Field("honoured", "the new name; `name` is the same"),
    "name": Field("honoured", "the same as model"),
    "from": Field("honoured", "a model of the store, whose files are shared"),
    "system": Field("honoured", "used where a request has no system message"),
    "parameters": Field("honoured", "the honoured options, used where a request leaves them out; others are refused"),
    "license": Field("honoured", "kept and shown"),
    "modelfile": Field("honoured", "FROM, SYSTEM, PARAMETER, LICENSE; other instructions are refused by name"),
    "stream": Field("honoured", "true if left out: one JSON object a line"),
    "template": Field("refused", "the model's own template is used", ("",)),
    "messages": Field("refused", "example messages are not kept; send them with each request", ([],)),
    "files": Field("refused", "files come in with: gemstead models import", ({},)),
    "adapters": Field("refused", "adapters are not offered", ({},)),
    "quantize": Field("refused", "models are taken as they are published", ("",)),
    "quantization": Field("refused", "models are taken as they are published", ("",)),
    "path": Field("refused", "a caller names no files of this machine", ("",)),
    "renderer": Field("refused", "the model's own template is used", ("",)),
    "parser": Field("refused", "follows from the model", ("",)),
    "requires": Field("warned", "names a version of another program", ("",)),
    "info": Field("warned", "the file's own header is shown", ({},)),
}

TABLES: dict[str, dict[str, Field]] = {
    "POST /api/chat": CHAT_FIELDS,
    "POST /api/generate": GENERATE_FIELDS,
    "`options` of chat, generate and create": OPTION_FIELDS,
    "POST /api/embed": EMBED_FIELDS,
    "POST /api/embeddings": EMBEDDINGS_FIELDS,
    "POST /api/show": SHOW_FIELDS,
    "POST /api/pull": PULL_FIELDS,
    "POST /api/create": CREATE_FIELDS,
    "POST /api/copy": COPY_FIELDS,
    "DELETE /api/delete": DELETE_FIELDS,
}
