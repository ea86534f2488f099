from pathlib import Path

import pytest

from fake_engine import small_plan
from gemstead.core.errors import ModelMissing, NameUnknown, SettingInvalid
from gemstead.core.plan import Plan
from gemstead.engines.base import Command, Endpoint, Installation
from gemstead.engines.child import child_environment
from gemstead.engines.extra_args import check_extra_args
from gemstead.engines.kinds.llama_cpp import ALLOWED_ARGS, ENGINE

INSTALLED = Installation("llama_cpp", Path("/opt/llama-server"), "1", "the test")
ENDPOINT = Endpoint(api_key="secret", socket_path=Path("/run/e.sock"))
PLAN = small_plan("gemma4:e2b", model_path="/models/e2b.gguf")


def argv(plan: Plan = PLAN, endpoint: Endpoint = ENDPOINT) -> tuple[str, ...]:
    return ENGINE.command(plan, INSTALLED, endpoint).argv


def value_of(flag: str, args: tuple[str, ...]) -> str:
    return args[args.index(flag) + 1]


def changed(**changes: object) -> tuple[str, ...]:
    return argv(small_plan("m", **{"model_path": "/m.gguf", **changes}))


def test_the_command_line_of_a_plan_is_exactly_this() -> None:
    assert argv() == (
        *("/opt/llama-server", "--model", "/models/e2b.gguf", "--alias", "gemma4:e2b"),
        *("--ctx-size", "1024", "--parallel", "1", "--no-kv-unified"),
        *("--cache-type-k", "f16", "--cache-type-v", "f16", "--ubatch-size", "512", "--threads", "2"),
        *("--gpu-layers", "0", "--fit", "off", "--host", "/run/e.sock"),
        *("--jinja", "--reasoning", "off", "--reasoning-format", "deepseek"),
        *("--cache-ram", "0", "--ctx-checkpoints", "0"),
        *("--no-context-shift", "--offline", "--no-webui", "--metrics"),
        *("--log-verbosity", "4", "--log-colors", "off"),
    )


def test_every_slot_gets_the_context_length_of_the_plan() -> None:
    args = changed(context_length=8192, num_slots=4)
    assert value_of("--ctx-size", args) == "32768"
    assert value_of("--parallel", args) == "4"


def test_a_unified_cache_caps_each_slot_at_its_context_length() -> None:
    args = changed(context_length=8192, num_slots=4, is_kv_unified=True)
    assert value_of("--ctx-size", args) == "32768"
    assert value_of("--kv-unified-per-slot", args) == "8192"
    assert "--no-kv-unified" not in args


def test_caches_filled_later_are_bounded_as_planned() -> None:
    args = changed(prompt_cache_bytes=300 * 1024**2 + 5, num_context_checkpoints=3)
    assert value_of("--cache-ram", args) == "300"
    assert value_of("--ctx-checkpoints", args) == "3"


def test_a_quantized_cache_asks_for_flash_attention() -> None:
    assert value_of("--flash-attn", changed(kv_cache_dtype="q8_0")) == "on"
    assert "--flash-attn" not in changed(kv_cache_dtype="bf16")


def test_gpu_layers_that_are_open_are_left_to_the_engine() -> None:
    args = changed(gpu_layers=None)
    assert value_of("--fit", args) == "on"
    assert "--gpu-layers" not in args


def test_a_large_ubatch_raises_the_batch_with_it() -> None:
    assert value_of("--batch-size", changed(ubatch_tokens=4096)) == "4096"
    assert "--batch-size" not in changed(ubatch_tokens=2048)


def test_a_projector_runs_on_the_gpu_unless_no_layer_does() -> None:
    assert "--no-mmproj-offload" not in changed(mmproj_path="/p.gguf", gpu_layers=10)
    args = changed(mmproj_path="/p.gguf", gpu_layers=0)
    assert value_of("--mmproj", args) == "/p.gguf"
    assert "--no-mmproj-offload" in args


def test_a_port_is_loopback_and_the_key_is_never_in_argv() -> None:
    endpoint = Endpoint(api_key="secret", port=4711)
    command = ENGINE.command(PLAN, INSTALLED, endpoint)
    assert value_of("--host", command.argv) == "127.0.0.1"
    assert value_of("--port", command.argv) == "4711"
    assert "secret" not in " ".join(command.argv) + str(command.env)
    assert command.secret_env == {"LLAMA_API_KEY": "secret"}
    assert "secret" not in repr(endpoint)


def test_a_plan_without_a_file_names_the_command_that_pulls_it() -> None:
    with pytest.raises(ModelMissing) as missing:
        ENGINE.command(small_plan("gemma4:e2b"), INSTALLED, ENDPOINT)
    assert missing.value.hint == "gemstead models pull gemma4:e2b"


def test_variables_that_would_change_the_plan_do_not_reach_the_engine() -> None:
    inherited = {"PATH": "/bin", "LLAMA_ARG_CTX_SIZE": "1", "LLAMA_API_KEY": "theirs", "AIP_MODE": "PREDICTION"}
    seen = child_environment(inherited, ENGINE.command(PLAN, INSTALLED, ENDPOINT))
    assert seen == {"PATH": "/bin", "LLAMA_ARG_CORS_ORIGINS": "localhost", "LLAMA_API_KEY": "secret"}


def test_a_command_that_drops_nothing_keeps_everything() -> None:
    assert child_environment({"A": "1"}, Command(("x",), env={"B": "2"})) == {"A": "1", "B": "2"}


def test_allowed_flags_pass_with_their_values() -> None:
    args = ("--numa", "isolate", "--no-repack", "--poll=0")
    assert check_extra_args(ALLOWED_ARGS, args) == ("--numa", "isolate", "--no-repack", "--poll", "0")


@pytest.mark.parametrize(
    "flag", ["--no-kv-offload", "--tools", "--host", "--api-key", "--log-verbosity", "isolate", ""]
)
def test_any_other_flag_is_refused(flag: str) -> None:
    with pytest.raises(NameUnknown):
        check_extra_args(ALLOWED_ARGS, (flag, "x"))


@pytest.mark.parametrize("args", [("--numa",), ("--no-repack=1",)])
def test_a_flag_with_the_wrong_number_of_values_is_refused(args: tuple[str, ...]) -> None:
    with pytest.raises(SettingInvalid):
        check_extra_args(ALLOWED_ARGS, args)


def test_ngrams_are_guessed_by_the_engines_own_defaults() -> None:
    args = changed(speculation="ngram")
    assert value_of("--spec-type", args) == "ngram-mod"
    assert not [arg for arg in args if arg.startswith("--spec-ngram")]


def test_a_drafter_stays_where_the_layers_are() -> None:
    args = changed(speculation="draft", drafter_path="/mtp.gguf")
    assert value_of("--spec-type", args) == "draft-mtp"
    assert value_of("--spec-draft-model", args) == "/mtp.gguf"
    assert value_of("--spec-draft-ngl", args) == "0"
    assert "--spec-draft-ngl" not in changed(speculation="draft", drafter_path="/mtp.gguf", gpu_layers=99)


def test_a_drafter_that_is_not_here_is_missed() -> None:
    with pytest.raises(ModelMissing, match="no drafter"):
        changed(speculation="draft")


def test_nothing_is_guessed_for_vectors() -> None:
    assert "--spec-type" not in changed(purpose="embed", speculation="ngram")


def test_flash_attention_and_batch_are_as_planned() -> None:
    args = changed(flash_attention="off", batch_tokens=1024)
    assert value_of("--flash-attn", args) == "off"
    assert value_of("--batch-size", args) == "1024"


def test_a_quantized_cache_has_flash_attention_whatever_was_planned() -> None:
    assert value_of("--flash-attn", changed(flash_attention="off", kv_cache_dtype="q8_0")) == "on"
