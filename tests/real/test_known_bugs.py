"""Known bugs of engines, played by a fake engine that is a process of its own, through the whole door over HTTP.

docs/known-engine-bugs.md numbers them. Each script says what the faulty engine sends; each test, what the client gets.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from door_fakes import FakeReplies, fake_services, serving
from fake_engine_process import fake_engine
from gemstead.core.facts import ModelFacts
from gemstead.core.types import Finish, TextDelta

CHAT = "/v1/chat/completions"
GEMMA = ModelFacts(template="gemma4-large")
USED = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
NAMED = {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "weather"}}}
FORMAT = {"response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}}
OSLO = '{"city":"Oslo"}'

both = pytest.mark.parametrize("is_stream", [False, True])


class Got(msgspec.Struct):
    """What a client has in its hands at the end. `error` is the code of one, `warnings` are the codes of all."""

    status: int
    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str]] = []
    finish: str | None = None
    error: str | None = None
    warnings: list[str] = []
    metrics: str = ""

    def counted(self, kind: str, action: str) -> bool:
        """Whether the metrics count this catch."""
        return (
            f'verify_catches_total{{action="{action}",engine="llama_cpp",kind="{kind}",model="fake"}} 1.0'
            in self.metrics
        )


def says(*deltas: Any, finish: str = "stop", times: int = 1) -> dict[str, Any]:
    """One reply of the script; a plain string is a piece of text."""
    shaped = [{"content": delta} if isinstance(delta, str) else delta for delta in deltas]
    return {"deltas": shaped, "finish_reason": finish, "times": times, "usage": USED}


def calls(*arguments: str, name: str = "weather", id_: str = "call_a") -> dict[str, Any]:
    """A delta with one call in it, or the rest of it."""
    return {"tool_calls": [{"index": 0, "id": id_, "function": {"name": name, "arguments": "".join(arguments)}}]}


@asynccontextmanager
async def door(folder: Path, *replies: dict[str, Any]) -> AsyncIterator[tuple[httpx2.AsyncClient, Any]]:
    script = folder / "script.json"
    script.write_text(json.dumps(replies))
    async with fake_engine(folder, "--script", str(script)) as engine:
        services = fake_services(engine, GEMMA)
        async with (
            serving(services) as url,
            httpx2.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=30) as http,
        ):
            yield http, services


async def ask(folder: Path, is_stream: bool, *replies: dict[str, Any], **fields: Any) -> Got:
    asked = {"model": "fake", "messages": [{"role": "user", "content": "hi"}], "stream": is_stream, **fields}
    async with door(folder, *replies) as (http, services):
        response = await http.post(CHAT, json=asked)
        got = _read_stream(response) if is_stream and response.status_code == 200 else _read_whole(response)
        got.warnings = list(dict.fromkeys([*_codes(response), *got.warnings]))
        got.metrics = services.metrics.render().decode()
    return got


def _codes(response: httpx2.Response) -> list[str]:
    return [value.partition(":")[0] for value in response.headers.get_list("x-gemstead-warning")]


def _read_whole(response: httpx2.Response) -> Got:
    body = response.json()
    if response.status_code != 200:
        return Got(response.status_code, error=body["error"]["code"])
    choice = body["choices"][0]
    message = choice["message"]
    return Got(
        200,
        text=message["content"] or "",
        reasoning=message.get("reasoning_content") or "",
        calls=[(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or ()],
        finish=choice["finish_reason"],
    )


def _read_stream(response: httpx2.Response) -> Got:
    got = Got(200, calls=[], warnings=[])
    for part in response.text.strip().split("\n\n"):
        if part == "data: [DONE]":
            break
        event = json.loads(part.removeprefix("data: "))
        got.error = event.get("error", {}).get("code", got.error)
        got.warnings += [warning["code"] for warning in event.get("gemstead", {}).get("warnings", ())]
        for choice in event.get("choices", ()):
            delta = choice["delta"]
            got.text += delta.get("content") or ""
            got.reasoning += delta.get("reasoning_content") or ""
            got.finish = choice["finish_reason"] or got.finish
            for call in delta.get("tool_calls") or ():
                got.calls.append((call["function"]["name"], call["function"]["arguments"]))
    return got


@both
@pytest.mark.parametrize(
    "delta", [{"content": "<unused24>"}, {"content": "<unused49>"}, {"reasoning_content": "<unused24>"}]
)
async def test_unused_tokens_are_never_an_answer(tmp_path: Path, is_stream: bool, delta: dict[str, str]) -> None:
    got = await ask(tmp_path, is_stream, says(delta, times=300, finish="length"))
    assert (got.status, got.error, got.text) == (502, "reply_broken", "")
    assert got.counted("unused_run", "retried")
    assert got.counted("unused_run", "refused")


@both
async def test_unused_tokens_in_one_reply_are_made_good_by_the_next(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says("<unused24>", times=300, finish="length"), says("Oslo"))
    assert (got.status, got.text, got.warnings) == (200, "Oslo", ["reply_retried"])
    assert got.counted("unused_run", "retried")


@both
async def test_unused_tokens_behind_a_channel_marker_are_never_an_answer(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says("<|channel>", *["<unused24>"] * 50, finish="length"))
    assert got.error == "reply_broken"
    assert got.text == ""
    assert got.counted("unused_run", "refused")


@both
async def test_one_token_for_ever_is_cut_and_said(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says("的", times=3000, finish="length"))
    assert (got.status, got.finish) == (200, "length")
    assert 0 < len(got.text) < 1000
    assert "repetition_loop" in got.warnings
    assert got.counted("repetition_loop", "repaired")


@both
async def test_a_passage_over_and_over_at_a_long_context_is_cut_and_said(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says("Then he went home, ", "and so did she. ", times=600, finish="length"))
    assert (got.status, got.finish) == (200, "length")
    assert len(got.text) < 10_000
    assert "repetition_loop" in got.warnings


@both
async def test_json_that_stops_early_is_never_a_success(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says('{"city": "', "a"), **FORMAT)
    assert got.error == "reply_broken"
    assert got.finish is None
    assert got.counted("json_invalid", "refused")


@both
async def test_calls_left_in_the_text_reach_the_client_as_calls(tmp_path: Path, is_stream: bool) -> None:
    left = '<|tool_call>call:weather{city:<|"|>Os"l}o<|"|>}<tool_call|>'
    got = await ask(tmp_path, is_stream, says(*left, *left), tools=[WEATHER])
    assert got.calls == [("weather", '{"city":"Os\\"l}o"}')] * 2
    assert (got.text, got.finish) == ("", "tool_calls")
    assert got.counted("unparsed_call", "repaired")


@both
async def test_a_call_that_cannot_be_read_is_never_text(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says("<|tool_call>call:weather{city:{{<tool_call|>"), tools=[WEATHER])
    assert (got.status, got.error) == (502, "reply_broken")
    assert got.counted("unparsed_call", "refused")


@both
async def test_a_loop_of_tool_calls_is_ended(tmp_path: Path, is_stream: bool) -> None:
    again = [
        {"tool_calls": [{"index": index, "id": f"c{index}", "function": {"name": "weather", "arguments": OSLO}}]}
        for index in range(1000)
    ]
    got = await ask(tmp_path, is_stream, says(*again, finish="length"), tools=[WEATHER])
    assert (got.status, got.error) == (502, "reply_broken")
    assert got.counted("too_many_calls", "refused")


@both
@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (('{"city', '":"Oslo'), "arguments_invalid"),
        (("{city:", "Oslo}"), "arguments_invalid"),
        (('{"city":"<|\\"|>', 'Oslo<|\\"|>"}'), "leaked_token"),
        (('{"city":', "7}"), "arguments_off_schema"),
    ],
)
async def test_broken_arguments_are_never_given(
    tmp_path: Path, is_stream: bool, arguments: tuple[str, str], kind: str
) -> None:
    rest = {"tool_calls": [{"index": 0, "function": {"arguments": arguments[1]}}]}
    broken = says(calls(arguments[0]), rest, finish="tool_calls")
    got = await ask(tmp_path, is_stream, broken, tools=[WEATHER])
    assert (got.status, got.error, got.calls) == (502, "reply_broken", [])
    assert got.counted(kind, "refused")


@both
async def test_broken_arguments_are_made_good_by_the_next_reply(tmp_path: Path, is_stream: bool) -> None:
    broken, good = says(calls('{"city":'), finish="tool_calls"), says(calls(OSLO), finish="tool_calls")
    got = await ask(tmp_path, is_stream, broken, good, tools=[WEATHER])
    assert (got.calls, got.finish, got.warnings) == ([("weather", OSLO)], "tool_calls", ["reply_retried"])


@both
async def test_reasoning_in_the_content_goes_where_it_belongs(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says("<|channel>thought\n", "The tool said 3.", "\n<channel|>", "It is 3."))
    assert (got.text, got.reasoning) == ("It is 3.", "The tool said 3.")
    assert got.counted("leaked_token", "repaired")


@both
async def test_a_call_that_was_lost_on_the_way_is_never_a_success(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says(finish="tool_calls"), tools=[WEATHER])
    assert (got.status, got.error) == (502, "reply_broken")
    assert got.counted("finish_mismatch", "refused")


@both
async def test_dashes_before_json_are_cut_and_said(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says("---", "\n", '{"city":', '"Oslo"}'), **FORMAT)
    assert (got.status, json.loads(got.text)) == (200, {"city": "Oslo"})
    assert got.warnings == ["reply_repaired"]
    assert got.counted("text_around_json", "repaired")


@both
async def test_a_call_that_ends_in_stop_ends_in_tool_calls(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says(calls(OSLO)), tools=[WEATHER])
    assert (got.calls, got.finish) == ([("weather", OSLO)], "tool_calls")
    assert got.counted("finish_mismatch", "repaired")


@both
async def test_a_dropped_call_that_was_required_is_never_text(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says("I would look at the weather."), tools=[WEATHER], tool_choice="required")
    assert (got.status, got.error, got.text) == (502, "reply_broken", "")
    assert got.counted("tool_choice_ignored", "refused")


@both
async def test_a_named_function_that_is_ignored_is_never_text(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says("It is sunny."), says(calls(OSLO), finish="tool_calls"), **NAMED)
    assert (got.calls, got.text, got.warnings) == ([("weather", OSLO)], "", ["reply_retried"])
    assert got.counted("tool_choice_ignored", "retried")


@both
async def test_a_call_to_a_tool_nobody_offered_is_never_given(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says(calls("{}", name="rm"), finish="tool_calls"), tools=[WEATHER])
    assert (got.status, got.error, got.calls) == (502, "reply_broken", [])
    assert got.counted("unknown_tool", "refused")


@both
async def test_a_format_that_is_ignored_is_never_a_success(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says("The city ", "is Oslo."), **FORMAT)
    assert (got.status, got.error, got.text) == (502, "reply_broken", "")
    assert got.counted("json_invalid", "refused")


@both
async def test_a_value_off_its_schema_is_never_a_success(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says('{"town":', '"Oslo"}'), **FORMAT)
    assert got.error == "reply_broken"
    assert got.finish is None
    assert got.counted("json_off_schema", "refused")


@both
async def test_nothing_but_dashes_is_never_an_answer(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says("---"))
    assert (got.status, got.error, got.text) == (502, "reply_broken", "")
    assert got.counted("empty_reply", "refused")


@both
async def test_a_success_with_nothing_in_it_is_never_given(tmp_path: Path, is_stream: bool) -> None:
    got = await ask(tmp_path, is_stream, says(), says("Oslo"))
    assert (got.text, got.warnings) == ("Oslo", ["reply_retried"])
    assert got.counted("empty_reply", "retried")


async def test_warnings_before_the_first_text_are_headers_and_later_ones_are_in_the_stream() -> None:
    asked = {"model": "fake", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    engine = FakeReplies((Finish("stop"),), (TextDelta("Os"), TextDelta("lo<turn|>"), Finish("stop")))
    async with (
        serving(fake_services(engine, GEMMA)) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=30) as http,
    ):
        response = await http.post(CHAT, json=asked)
    assert _codes(response) == ["reply_retried"]
    assert "reply_repaired" in response.text
    assert "<turn|>" not in response.text
