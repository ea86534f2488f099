"""llama.cpp's own server, `llama-server`: the embedded default, for every GGUF model on every machine.

Source: common/arg.cpp and tools/server of llama.cpp at 0c1e57098 (read 2026-11); each flag tried with that build.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gemstead.core.errors import ModelMissing
from gemstead.core.plan import Plan
from gemstead.core.progress import Progress
from gemstead.core.types import ChatRequest
from gemstead.core.units import MIB
from gemstead.engines.base import Ask, Capabilities, Command, Endpoint, EngineKind, Installation
from gemstead.engines.llama_cpp_failures import diagnose
from gemstead.engines.llama_cpp_find import find
from gemstead.engines.llama_cpp_receipt import KIND
from gemstead.engines.openai_embed import EMBED
from gemstead.engines.openai_request import base_body, prompt_body
from gemstead.engines.openai_stream import OpenAiStreamDecoder

DEFAULT_BATCH_TOKENS = 2048
"""llama-server's own `--batch-size`; a larger ubatch needs a larger batch."""
LOG_VERBOSITY = 4
"""Says how large every buffer is. 5 would log prompts."""
SEED_MODULUS = 2**32 - 1
"""Seeds have 32 bits, and the highest means random."""

ALLOWED_ARGS = {
    "--batch-size": 1,
    "--cache-ram": 1,
    "--cache-reuse": 1,
    "--chat-template-file": 1,
    "--cpu-mask": 1,
    "--cpu-moe": 0,
    "--cpu-range": 1,
    "--cpu-strict": 1,
    "--ctx-checkpoints": 1,
    "--device": 1,
    "--flash-attn": 1,
    "--image-max-tokens": 1,
    "--image-min-tokens": 1,
    "--lazy-mode": 1,
    "--load-mode": 1,
    "--main-gpu": 1,
    "--n-cpu-moe": 1,
    "--no-repack": 0,
    "--no-warmup": 0,
    "--numa": 1,
    "--override-tensor": 1,
    "--poll": 1,
    "--prio": 1,
    "--split-mode": 1,
    "--swa-full": 0,
    "--tensor-split": 1,
    "--threads-batch": 1,
    "--threads-http": 1,
}
"""Speed and placement. Left out on purpose: what opens a door (tools, MCP, paths, hosts, keys), what the plan decides,
and `--no-kv-offload`, which makes Gemma 4 answer gibberish after some 230 tokens (llama.cpp issue 21726)."""

DROPPED_ENV = ("LLAMA_", "AIP_", "MTMD_")
"""Every flag has an environment variable, and a cloud's variables move the port."""


def command(plan: Plan, installation: Installation, endpoint: Endpoint) -> Command:
    """The exact command line of `plan`. The key goes by environment; GPU layers that are None are left to `--fit`.

    Raises: ModelMissing if the plan has no model file.
    """
    if plan.model_path is None:
        raise ModelMissing(f"{plan.model} is not here yet", hint=f"gemstead models pull {plan.model}")
    argv = (
        *(str(installation.program), "--model", plan.model_path, "--alias", plan.model),
        *_context(plan),
        *_compute(plan),
        *_projector(plan),
        *_speculation(plan),
        *_embedding(plan),
        *_listen(endpoint),
        *("--jinja", "--reasoning", "off", "--reasoning-format", "deepseek"),
        *_caches(plan),
        *("--no-context-shift", "--offline", "--no-webui", "--metrics"),
        *("--log-verbosity", str(LOG_VERBOSITY), "--log-colors", "off"),
    )
    # As a variable, because a build too old for it ignores the variable and would refuse the flag.
    env = {"LLAMA_ARG_CORS_ORIGINS": "localhost"}
    return Command(argv, env=env, secret_env={"LLAMA_API_KEY": endpoint.api_key}, dropped_env=DROPPED_ENV)


def _context(plan: Plan) -> tuple[str, ...]:
    """`--ctx-size` is the whole KV cache: divided among the slots, or one pool from which each may take its share."""
    size = ("--ctx-size", str(plan.context_length * plan.num_slots), "--parallel", str(plan.num_slots))
    if not plan.is_kv_unified:
        return (*size, "--no-kv-unified")
    return (*size, "--kv-unified", "--kv-unified-per-slot", str(plan.context_length))


def _caches(plan: Plan) -> tuple[str, ...]:
    """What it may fill later. Its own defaults took all of a 16 GB machine with Gemma 4 (llama.cpp issue 21690)."""
    cache_mib = plan.prompt_cache_bytes // MIB
    return ("--cache-ram", str(cache_mib), "--ctx-checkpoints", str(plan.num_context_checkpoints))


def _compute(plan: Plan) -> tuple[str, ...]:
    is_one_batch = plan.purpose == "embed" or plan.ubatch_tokens > DEFAULT_BATCH_TOKENS
    batch_tokens = plan.ubatch_tokens if is_one_batch else plan.batch_tokens
    batch = ("--batch-size", str(batch_tokens)) if batch_tokens is not None else ()
    # A quantized V cache exists with flash attention only; "auto" might decide against it.
    flash_attention = plan.flash_attention if plan.kv_cache_dtype in ("f16", "bf16") else "on"
    attention = ("--flash-attn", flash_attention) if flash_attention != "auto" else ()
    layers = ("--fit", "on") if plan.gpu_layers is None else ("--gpu-layers", str(plan.gpu_layers), "--fit", "off")
    return (
        *("--cache-type-k", plan.kv_cache_dtype, "--cache-type-v", plan.kv_cache_dtype, *attention),
        *("--ubatch-size", str(plan.ubatch_tokens), *batch, "--threads", str(plan.num_threads), *layers),
    )


def _projector(plan: Plan) -> tuple[str, ...]:
    if plan.mmproj_path is None:
        return ()
    # Not by the part's place: on unified memory everything is "host", and the GPU still does the work.
    return ("--mmproj", plan.mmproj_path, *(("--no-mmproj-offload",) if plan.gpu_layers == 0 else ()))


def _speculation(plan: Plan) -> tuple[str, ...]:
    """n-grams by its own defaults: 24 tokens must recur and 48 follow before it drafts, so free text costs nothing.

    Shorter matches drafted in free text, were rejected, and cost a third of the decode rate.
    """
    if plan.purpose != "chat" or plan.speculation == "off":
        return ()
    if plan.speculation == "ngram":
        return ("--spec-type", "ngram-mod")
    if plan.drafter_path is None:
        raise ModelMissing(f"{plan.model} has no drafter here", hint="use --speculation ngram, which needs none")
    layers = ("--spec-draft-ngl", "0") if plan.gpu_layers == 0 else ()
    return ("--spec-type", "draft-mtp", "--spec-draft-model", plan.drafter_path, *layers)


def _embedding(plan: Plan) -> tuple[str, ...]:
    """Vectors are the mean over a text's tokens, which must all be in one batch.

    On the processor weights stay as they are in the file, so that the engine which answers shares them, and no card
    takes part: its memory is planned for that engine.
    """
    if plan.purpose != "embed":
        return ()
    on_processor = ("--no-repack", "--device", "none") if plan.gpu_layers == 0 else ()
    return ("--embeddings", "--pooling", "mean", *on_processor)


def _listen(endpoint: Endpoint) -> tuple[str, ...]:
    if endpoint.socket_path is not None:
        return ("--host", str(endpoint.socket_path))
    return ("--host", endpoint.host, "--port", str(endpoint.port))


def encode_chat(request: ChatRequest) -> dict[str, Any]:
    """The body of `/v1/chat/completions`.

    Thinking is set every time: without it the server would follow the template, and for Gemma 4 switch it on.

    Raises: RequestInvalid for what cannot be sent (no messages, video, an unknown function as tool choice).
    """
    body = base_body(request)
    body |= _server_fields(request)
    body["chat_template_kwargs"] = {"enable_thinking": request.thinking.is_on}
    if request.thinking.is_on and request.thinking.budget_tokens is not None:
        body["reasoning_budget_tokens"] = request.thinking.budget_tokens
    if request.messages[-1].role == "assistant":
        # It would continue the turn unasked, but then give the turn back at the head of its answer.
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return body


def encode_complete(request: ChatRequest) -> dict[str, Any]:
    """The body of `/v1/completions`: a raw prompt. The server reads control tokens in it as such."""
    body = prompt_body(request) | _server_fields(request)
    if request.response_format.kind != "text":
        body["json_schema"] = request.response_format.schema or {"type": "object"}
    return body


def _server_fields(request: ChatRequest) -> dict[str, Any]:
    """What llama-server takes beside the OpenAI API's own fields, for a chat and a raw prompt alike."""
    # Progress is a sign of life for each batch of a long prompt.
    fields: dict[str, Any] = {"cache_prompt": True, "return_progress": True}
    if request.sampling.seed is not None:
        fields["seed"] = request.sampling.seed % SEED_MODULUS
    if request.sampling.stop:
        # The OpenAI dialect has no field for it: its last chunk then says which text ended the answer, and no more.
        fields |= {"verbose": True, "response_fields": ["stopping_word"]}
    return fields


def install(engines_dir: Path, environ: Mapping[str, str], progress: Progress) -> Installation:
    """See `llama_cpp_build.install`; imported here, because every start of an engine loads this file."""
    from gemstead.engines import llama_cpp_build

    return llama_cpp_build.install(engines_dir, environ, progress)


COUNT = Ask("/v1/chat/completions/input_tokens", encode_chat, lambda reply: int(reply["input_tokens"]))

COUNT_TEXT = Ask(
    "/tokenize",
    lambda text: {"content": text, "add_special": True, "parse_special": True},
    lambda reply: len(reply["tokens"]),
)
"""As `/v1/completions` reads a prompt: with the model's beginning-of-text token."""

TOKENIZE = Ask(
    "/tokenize",
    lambda text: {"content": text, "add_special": False, "parse_special": False},
    lambda reply: [int(token) for token in reply["tokens"]],
)


ENGINE = EngineKind(
    name=KIND,
    title="llama.cpp",
    licence="MIT",
    artefact_formats=("gguf",),
    capabilities=Capabilities(
        can_count_tokens=True,
        can_hold_json_schema=True,
        can_call_tools=True,
        can_see=True,
        can_hear=True,
        has_reasoning_field=True,
    ),
    find=find,
    install=install,
    command=command,
    chat_path="/v1/chat/completions",
    encode_chat=encode_chat,
    new_decoder=OpenAiStreamDecoder,
    health_path="/health",
    keeps_connections=False,  # it closes after each streamed reply (release 0.3.36 of its source)
    complete_path="/v1/completions",
    encode_complete=encode_complete,
    count=COUNT,
    count_text=COUNT_TEXT,
    tokenize=TOKENIZE,
    embed=EMBED,
    metrics_path="/metrics",
    allowed_args=ALLOWED_ARGS,
    diagnose=diagnose,
)
