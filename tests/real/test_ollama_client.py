"""The official Ollama client, sync and async, before a whole gemstead server: real engine, small real weights, a store
of its own, and a model hub on this machine to pull from.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ollama import AsyncClient, Client, ResponseError

from real.hub_server import Fault, HubServer, Repo
from small_gguf import gguf_bytes

pytestmark = pytest.mark.real

MODEL, STORED = "smollm2:135m", "smollm2:135m-q4_1"
CAPITAL = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
GREEDY: dict[str, Any] = {"temperature": 0, "num_predict": 24}
REPO, FILE = "trial/small-GGUF", "small-Q4_0.gguf"
PULLED = f"hf:{REPO}"


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    with HubServer({REPO: Repo({FILE: gguf_bytes()})}) as server:
        yield server


@pytest.fixture(scope="module")
def gemstead(
    tmp_path_factory: pytest.TempPathFactory, llama_server: Path, hub: HubServer
) -> Callable[..., dict[str, Any]]:
    """The command line over a data folder of its own."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GEMSTEAD_")}
    environ = inherited | {
        "GEMSTEAD_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "GEMSTEAD_ENGINE_PROGRAM": str(llama_server),
        "GEMSTEAD_SOURCES_HF_ENDPOINT": hub.endpoint,
        "GEMSTEAD_MODEL_CONTEXT_LENGTH": "2048",
    }

    def run(*arguments: str) -> dict[str, Any]:
        argv = [sys.executable, "-m", "gemstead", *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, env=environ, timeout=240, check=False)
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if "--json" in arguments else {}

    return run


@pytest.fixture(scope="module")
def url(gemstead: Callable[..., dict[str, Any]], smollm2: Path) -> Iterator[str]:
    gemstead("models", "import", str(smollm2), "--name", MODEL, "--how", "link")
    try:
        yield gemstead("up", "--model", MODEL, "--port", "0", "--json")["url"].removesuffix("/v1")
    finally:
        gemstead("stop", "--all", "--now")


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    # Loopback alone: certificates would only be loaded, which costs a quarter of a second.
    with Client(url, trust_env=False, verify=False) as client:
        yield client


def test_an_answer_has_the_numbers_the_client_knows(client: Client) -> None:
    reply = client.chat(MODEL, CAPITAL, options=GREEDY)
    assert "Paris" in str(reply.message.content)
    assert (reply.done, reply.done_reason, reply.message.role) == (True, "stop", "assistant")
    assert reply.prompt_eval_count is not None
    assert reply.prompt_eval_count > 10
    assert reply.eval_count is not None
    assert 0 < reply.eval_count <= 24
    assert reply.total_duration is not None
    assert reply.eval_duration is not None
    assert 0 < reply.eval_duration < reply.total_duration


def test_a_streamed_answer_is_the_whole_answer_in_pieces(client: Client) -> None:
    whole = client.chat(MODEL, CAPITAL, options=GREEDY)
    parts = list(client.chat(MODEL, CAPITAL, options=GREEDY, stream=True))
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].eval_count == whole.eval_count


async def test_the_async_client_chats_and_streams_too(url: str) -> None:
    async with AsyncClient(url, trust_env=False, verify=False) as client:
        whole = await client.generate(MODEL, CAPITAL[0]["content"], options=GREEDY)
        parts = [
            part async for part in await client.generate(MODEL, CAPITAL[0]["content"], options=GREEDY, stream=True)
        ]
        listed = await client.list()
    assert "Paris" in str(whole.response)
    assert "".join(part.response or "" for part in parts) == whole.response
    assert STORED in [model.model for model in listed.models]


def test_streaming_is_what_a_request_gets_that_does_not_say(url: str) -> None:
    asked = {"model": MODEL, "messages": CAPITAL, "options": GREEDY}
    reply = httpx.post(f"{url}/api/chat", json=asked, timeout=60, trust_env=False, verify=False)
    assert reply.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert lines[-1]["done"]
    assert lines[-1]["done_reason"] == "stop"


def test_an_answer_cut_at_num_predict_says_so(client: Client) -> None:
    reply = client.chat(MODEL, CAPITAL, options=GREEDY | {"num_predict": 2})
    assert (reply.done_reason, reply.eval_count) == ("length", 2)


def test_a_schema_is_held(client: Client) -> None:
    schema = {"type": "object", "properties": {"city": {"enum": ["Paris", "Oslo"]}}, "required": ["city"]}
    reply = client.chat(MODEL, CAPITAL, options=GREEDY, format=schema)
    assert json.loads(str(reply.message.content))["city"] in ("Paris", "Oslo")


def test_a_raw_prompt_is_continued_as_it_stands(client: Client) -> None:
    prompt = "<|im_start|>The alphabet begins with a, b, c,"
    reply = client.generate(MODEL, prompt, raw=True, options=GREEDY | {"num_predict": 4})
    assert "d" in str(reply.response)


def test_a_name_may_end_in_latest_and_an_unknown_one_is_not_found(client: Client) -> None:
    assert client.chat("smollm2:latest", CAPITAL, options=GREEDY).done
    with pytest.raises(ResponseError, match="unknown model") as caught:
        client.chat("smolm3:9b", CAPITAL)
    assert caught.value.status_code == 404


def test_a_model_of_the_catalogue_that_is_not_here_comes_with_the_command_that_brings_it(client: Client) -> None:
    with pytest.raises(ResponseError, match="gemstead models pull gemma4:31b") as caught:
        client.chat("gemma4:31b", CAPITAL)
    assert caught.value.status_code == 404


def test_more_context_than_is_served_is_warned_about(url: str) -> None:
    asked = {"model": MODEL, "messages": CAPITAL, "options": GREEDY | {"num_ctx": 32768}, "stream": False}
    reply = httpx.post(f"{url}/api/chat", json=asked, timeout=60, trust_env=False, verify=False)
    assert "context_smaller" in reply.headers["x-gemstead-warning"]
    (warning,) = reply.json()["gemstead"]["warnings"]
    assert "32768" in warning["message"]


def test_a_prompt_too_long_is_refused_with_the_numbers_never_cut(client: Client) -> None:
    with pytest.raises(ResponseError, match="the context length is 2048") as caught:
        client.chat(MODEL, [{"role": "user", "content": "The sky is blue. " * 600}])
    assert caught.value.status_code == 400


def test_vectors_of_texts_have_their_order_and_length_one(client: Client) -> None:
    both = client.embed(MODEL, ["the cat sat on the mat", "quarterly tax returns"]).embeddings
    alone = client.embed(MODEL, "quarterly tax returns").embeddings
    assert len(both) == 2
    assert sum(a * b for a, b in zip(both[1], alone[0], strict=True)) > 0.999
    assert sum(value * value for value in both[0]) == pytest.approx(1, abs=1e-3)
    assert len(client.embeddings(MODEL, "quarterly tax returns").embedding) == len(alone[0])


def test_a_model_is_listed_shown_and_seen_running(client: Client) -> None:
    (listed,) = [model for model in client.list().models if model.model == STORED]
    assert listed.digest is not None
    assert len(listed.digest) == 64
    shown = client.show(MODEL)
    assert shown.details is not None
    assert shown.details.family == "llama"
    assert shown.details.parameter_size == "134.52M"
    assert shown.modelinfo is not None
    assert shown.modelinfo["general.architecture"] == "llama"
    assert shown.capabilities is not None
    assert "completion" in shown.capabilities
    client.chat(MODEL, [])
    (running,) = client.ps().models
    assert (running.model, running.digest, running.context_length) == (STORED, listed.digest, 2048)


def test_keep_alive_zero_unloads_the_model_and_the_next_request_loads_it_again(client: Client, url: str) -> None:
    reply = client.chat(MODEL, [], keep_alive=0)
    assert reply.done_reason == "unload"
    assert client.ps().models == []
    assert httpx.get(f"{url}/readyz", trust_env=False, verify=False).status_code == 200
    again = client.chat(MODEL, CAPITAL, options=GREEDY, keep_alive="5m")
    assert again.load_duration is not None
    assert again.load_duration > 0
    (running,) = client.ps().models
    assert running.expires_at is not None
    assert 240 < running.expires_at.timestamp() - time.time() < 301
    assert client.chat(MODEL, [], keep_alive=-1).done_reason == "load"
    (running,) = client.ps().models
    assert running.expires_at is not None
    assert running.expires_at.year == 9999


def test_an_answer_with_keep_alive_zero_is_whole_and_then_the_model_goes(client: Client) -> None:
    assert "Paris" in str(client.chat(MODEL, CAPITAL, options=GREEDY, keep_alive=0).message.content)
    deadline = time.monotonic() + 30
    while client.ps().models and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.ps().models == []
    assert client.chat(MODEL, CAPITAL, options=GREEDY).done


def test_a_copy_answers_under_its_name_and_is_deleted_without_its_files(client: Client) -> None:
    client.copy(MODEL, "my-copy")
    assert "Paris" in str(client.chat("my-copy:latest", CAPITAL, options=GREEDY).message.content)
    assert client.show("my-copy").details is not None
    client.delete("my-copy")
    assert "my-copy" not in [model.model for model in client.list().models]
    assert client.chat(MODEL, CAPITAL, options=GREEDY).done


def test_a_created_model_says_its_system_prompt_and_samples_as_it_was_told(client: Client) -> None:
    created = client.create(
        "terse", from_=MODEL, system="You are a parrot.", parameters={"num_predict": 3, "temperature": 0, "stop": ["!"]}
    )
    assert created.status == "success"
    shown = client.show("terse")
    assert "PARAMETER num_predict 3" in str(shown.modelfile)
    assert "You are a parrot." in str(shown.modelfile)
    assert shown.details is not None
    assert shown.details.parent_model == STORED
    reply = client.chat("terse", CAPITAL)
    plain = client.chat(MODEL, CAPITAL, options={"num_predict": 3})
    told = client.chat(
        MODEL,
        [{"role": "system", "content": "You are a parrot."}, *CAPITAL],
        options={"num_predict": 3, "temperature": 0},
    )
    assert (reply.eval_count, reply.done_reason) == (3, "length")
    assert reply.prompt_eval_count == told.prompt_eval_count != plain.prompt_eval_count
    assert reply.message.content == told.message.content
    client.delete("terse")


def test_what_a_created_model_could_not_honour_is_refused_by_name(client: Client) -> None:
    with pytest.raises(ResponseError, match="template is not supported"):
        client.create("odd", from_=MODEL, template="{{ .Prompt }}")
    with pytest.raises(ResponseError, match=r"parameters\.mirostat is not supported"):
        client.create("odd", from_=MODEL, parameters={"mirostat": 1})


def test_the_served_model_is_neither_deleted_nor_overwritten(client: Client) -> None:
    with pytest.raises(ResponseError, match="is being served") as caught:
        client.delete(MODEL)
    assert caught.value.status_code == 403
    with pytest.raises(ResponseError, match="is being served"):
        client.copy(MODEL, STORED)


def test_a_model_is_pulled_from_the_hub_step_by_step(client: Client) -> None:
    steps = list(client.pull(f"hf.co/{REPO}", stream=True))
    assert steps[-1].status == "success"
    assert any(step.total == len(gguf_bytes()) == step.completed for step in steps)
    assert PULLED in [model.model for model in client.list().models]
    assert client.pull(f"hf.co/{REPO}").status == "success"
    with pytest.raises(ResponseError, match="this server serves"):
        client.chat(PULLED, CAPITAL)
    client.delete(PULLED)


def test_a_client_that_leaves_stops_the_pull_and_the_next_one_goes_on_from_there(
    client: Client, hub: HubServer
) -> None:
    num_bytes, before = len(gguf_bytes()), hub.served(FILE)
    hub.faults[FILE] = Fault(bytes_per_s=500_000)
    steps: Any = client.pull(f"hf.co/{REPO}", stream=True)
    for step in steps:
        if step.completed:
            break
    steps.close()
    hub.faults.clear()
    assert client.pull(f"hf.co/{REPO}").status == "success"
    assert num_bytes <= hub.served(FILE) - before < 1.5 * num_bytes
    client.delete(PULLED)


def test_a_pull_that_fails_says_so_in_the_stream_or_as_a_status(client: Client) -> None:
    with pytest.raises(ResponseError, match="trial/nothing"):
        list(client.pull("hf.co/trial/nothing", stream=True))
    with pytest.raises(ResponseError, match="trial/nothing"):
        client.pull("hf.co/trial/nothing")


def test_a_licence_that_must_be_accepted_is_not_accepted_over_http(client: Client) -> None:
    with pytest.raises(ResponseError, match="--accept-licence") as caught:
        client.pull("gemma3:270m")
    assert caught.value.status_code == 403


def test_an_address_besides_the_hub_is_not_fetched_for_a_caller(client: Client, hub: HubServer) -> None:
    with pytest.raises(ResponseError, match="not fetched from any address"):
        client.pull(f"{hub.bytes_endpoint}/x/small.gguf")


def test_pushing_is_refused_and_the_version_tells_who_answers(client: Client, url: str) -> None:
    with pytest.raises(ResponseError, match="models are not pushed"):
        client.push(MODEL)
    version = httpx.get(f"{url}/api/version", trust_env=False, verify=False).json()["version"]
    assert "+gemstead." in version
    assert httpx.head(url, trust_env=False, verify=False).status_code == 200
    assert httpx.get(url, trust_env=False, verify=False).text == "gemstead is running"


def test_a_body_without_the_json_type_is_refused_with_what_to_do(url: str) -> None:
    reply = httpx.post(f"{url}/api/chat", data={"model": MODEL}, trust_env=False, verify=False)
    assert reply.status_code == 415
    assert "content-type: application/json" in reply.json()["error"]
