"""No record, no answer: the order of records and events, and what happens when the ledger fails or is slow."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from door_fakes import ANSWER, FakeEngine, ask, fake_exchange
from fake_ledger import NOW_S, FakeLedger, FakeWatch, field, recorder
from gemstead.access.policy import Decision
from gemstead.core.caller import Caller, Origin
from gemstead.core.errors import ContentUnavailable, EngineFailed, EvidenceUnavailable, PolicyRefused
from gemstead.core.types import (
    ChatRequest,
    EmbedRequest,
    Event,
    Finish,
    ImagePart,
    Message,
    ReasoningDelta,
    TextDelta,
    TextPart,
    ToolCallDelta,
    Usage,
)
from gemstead.evidence.canonical import canonical
from gemstead.evidence.pseudonyms import KeyedHash
from gemstead.guardrails.registry import every_guard
from gemstead.pipeline import recording
from gemstead.pipeline.exchange import Exchange
from gemstead.pipeline.fold import FoldedReply
from gemstead.pipeline.marks import MAX_AT_ONCE_BYTES, ReplyMarks, prompt_pieces
from gemstead.pipeline.recording import Recorder
from gemstead.pipeline.screen import GuardRules

ORIGIN = Origin(
    Caller("k1", "grace", scopes=frozenset({"use"})),
    "req_1",
    dialect="openai",
    address="192.0.2.0/24",
    label="internal",
)


def recorded(engine: FakeEngine, kept: Recorder, **fields: Any) -> Exchange:
    return msgspec.structs.replace(fake_exchange(engine, **fields), recorder=lambda: kept)


def asked(text: str = "a secret question", **fields: Any) -> ChatRequest:
    return ask(text, origin=ORIGIN, **fields)


async def collect(exchange: Exchange, request: ChatRequest, given: list[Event]) -> None:
    """Into `given`, as they come."""
    async for event in exchange.chat(request):
        given.append(event)  # noqa: PERF401 (what came before an error counts)


async def run(exchange: Exchange, request: ChatRequest) -> list[Event]:
    return [event async for event in exchange.chat(request)]


async def test_an_exchange_leaves_an_opening_and_a_closing_record(tmp_path: Path) -> None:
    ledger, watch = FakeLedger(), FakeWatch()
    exchange = recorded(FakeEngine(), recorder(tmp_path, ledger, watch))
    assert await run(exchange, asked(user="7")) == list(ANSWER)
    opened, closed = ledger.records
    assert (opened["kind"], closed["kind"], closed["opened"]) == ("exchange.opened", "exchange.closed", 0)
    told = ("exchange", "action", "key", "address", "label", "dialect", "model", "engine", "engine_build")
    assert [opened[name] for name in told] == [
        "req_1",
        "chat",
        "k1",
        "192.0.2.0/24",
        "internal",
        "openai",
        "fake",
        "fake",
        "fake-1",
    ]
    assert str(opened["actor"]).startswith("p-2025")
    assert str(opened["user"]).startswith("p-2025")
    assert opened["user"] != opened["actor"]
    assert (closed["status"], closed["error"], closed["actor"]) == ("stop", None, opened["actor"])
    assert closed["tokens"] == {"prompt": 5, "cached": 1, "completion": 2, "reasoning": None}
    assert watch.records == ["opening", "closing"]
    assert watch.waits == ["opening", "closing"]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_no_text_is_in_a_record(tmp_path: Path, is_stream: bool) -> None:
    ledger = FakeLedger()
    await run(recorded(FakeEngine(), recorder(tmp_path, ledger)), asked(is_stream=is_stream))
    for record in ledger.records:
        for text in (b"secret question", b"Hello", b"there", b"grace"):
            assert text not in canonical(record)


@pytest.mark.parametrize("is_stream", [False, True])
async def test_nothing_leaves_before_the_opening_record_is_safe_and_the_engine_works_meanwhile(
    tmp_path: Path, is_stream: bool
) -> None:
    gate = asyncio.Event()
    ledger = FakeLedger(exchange_opened=gate)
    engine = FakeEngine()
    exchange = recorded(engine, recorder(tmp_path, ledger))
    async with aclosing(exchange.chat(asked(is_stream=is_stream))) as events:
        first = asyncio.ensure_future(anext(events))
        await engine.has_given.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not first.done()
        if is_stream:
            assert engine.num_given == 1
        gate.set()
        assert await first == TextDelta("Hello")


async def test_a_warning_waits_for_the_record_too(tmp_path: Path) -> None:
    gate = asyncio.Event()
    engine = FakeEngine(context_length=100, num_tokens=90)
    exchange = recorded(engine, recorder(tmp_path, FakeLedger(exchange_opened=gate)))
    request = msgspec.structs.replace(asked(is_stream=True))
    sampling = msgspec.structs.replace(request.sampling, max_tokens=50)
    async with aclosing(exchange.chat(msgspec.structs.replace(request, sampling=sampling))) as events:
        first = asyncio.ensure_future(anext(events))
        await engine.has_given.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not first.done()
        gate.set()
        await first


@pytest.mark.parametrize("is_stream", [False, True])
async def test_the_finish_does_not_leave_before_the_closing_record_is_safe(tmp_path: Path, is_stream: bool) -> None:
    gate = asyncio.Event()
    ledger = FakeLedger(exchange_closed=gate)
    given: list[Event] = []

    exchange = recorded(FakeEngine(), recorder(tmp_path, ledger))
    reading = asyncio.create_task(collect(exchange, asked(is_stream=is_stream), given))
    await ledger.is_waiting.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert given == list(ANSWER[:-1])
    gate.set()
    await reading
    assert given[-1] == Finish("stop")


@pytest.mark.parametrize("is_stream", [False, True])
async def test_an_opening_record_that_cannot_be_written_refuses_the_answer(tmp_path: Path, is_stream: bool) -> None:
    engine, watch = FakeEngine(), FakeWatch()
    exchange = recorded(engine, recorder(tmp_path, FakeLedger("exchange.opened"), watch))
    with pytest.raises(EvidenceUnavailable):
        await anext(exchange.chat(asked(is_stream=is_stream)))
    assert engine.is_closed.is_set()
    assert "opening" in watch.failures


async def test_a_record_that_can_name_nobody_refuses_the_answer(tmp_path: Path) -> None:
    (tmp_path / "pseudonyms").write_text("no folder")
    engine, watch = FakeEngine(), FakeWatch()
    with pytest.raises(EvidenceUnavailable):
        await run(recorded(engine, recorder(tmp_path, FakeLedger(), watch)), asked())
    assert (engine.requests, watch.failures) == ([], ["opening"])


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_closing_record_that_cannot_be_written_keeps_the_finish_back(tmp_path: Path, is_stream: bool) -> None:
    outcomes = []
    exchange = recorded(FakeEngine(), recorder(tmp_path, FakeLedger("exchange.closed")), record=outcomes.append)
    given: list[Event] = []
    with pytest.raises(EvidenceUnavailable):
        await collect(exchange, asked(is_stream=is_stream), given)
    assert not any(isinstance(event, Finish) for event in given)
    assert [outcome.error_code for outcome in outcomes] == ["evidence_unavailable"]


async def test_an_error_in_mid_stream_is_recorded_before_it_is_told(tmp_path: Path) -> None:
    ledger = FakeLedger()
    exchange = recorded(FakeEngine(TextDelta("a"), EngineFailed("gone")), recorder(tmp_path, ledger))
    with pytest.raises(EngineFailed):
        await run(exchange, asked(is_stream=True))
    (closed,) = ledger.of("exchange.closed")
    assert (closed["status"], closed["error"]) == ("error", "engine_failed")
    assert closed["reply"] == KeyedHash(b"k" * 32).of([b"a"])


async def test_an_error_is_told_even_if_it_cannot_be_recorded(tmp_path: Path) -> None:
    exchange = recorded(
        FakeEngine(TextDelta("a"), EngineFailed("gone")), recorder(tmp_path, FakeLedger("exchange.closed"))
    )
    with pytest.raises(EngineFailed):
        await run(exchange, asked(is_stream=True))


async def test_a_client_that_leaves_is_recorded_without_anybody_waiting(tmp_path: Path) -> None:
    gate = asyncio.Event()
    ledger = FakeLedger(exchange_closed=gate)
    kept = recorder(tmp_path, ledger)
    engine = FakeEngine(TextDelta("a"), is_endless=True)
    async with aclosing(recorded(engine, kept).chat(asked(is_stream=True))) as events:
        await anext(events)
    assert engine.is_closed.is_set()
    assert ledger.of("exchange.closed") == []
    gate.set()
    await kept.settle()
    (closed,) = ledger.of("exchange.closed")
    assert (closed["status"], closed["error"]) == ("cancelled", None)


async def test_a_client_that_leaves_before_the_opening_record_is_safe_leaves_both(tmp_path: Path) -> None:
    gate = asyncio.Event()
    ledger = FakeLedger(exchange_opened=gate)
    kept = recorder(tmp_path, ledger)
    reading = asyncio.create_task(run(recorded(FakeEngine(), kept), asked(is_stream=True)))
    await ledger.is_waiting.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    gate.set()
    await kept.settle()
    assert ledger.kinds() == ["exchange.opened", "exchange.closed"]
    assert ledger.records[1]["status"] == "cancelled"


async def test_a_client_that_leaves_while_the_closing_record_is_written_loses_nothing(tmp_path: Path) -> None:
    gate = asyncio.Event()
    ledger = FakeLedger(exchange_closed=gate)
    kept = recorder(tmp_path, ledger)
    reading = asyncio.create_task(run(recorded(FakeEngine(), kept), asked()))
    await ledger.is_waiting.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    gate.set()
    await kept.settle()
    assert [closed["status"] for closed in ledger.of("exchange.closed")] == ["stop"]


async def test_clients_that_leave_a_ledger_that_stands_still_do_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_UNWRITTEN", 4)
    gate = asyncio.Event()
    ledger = FakeLedger(exchange_opened=gate)
    kept = recorder(tmp_path, ledger)
    for _ in range(2):
        reading = asyncio.create_task(run(recorded(FakeEngine(), kept), asked(is_stream=True)))
        for _ in range(20):
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    engine = FakeEngine()
    with pytest.raises(EvidenceUnavailable):
        await run(recorded(engine, kept), asked())
    assert engine.requests == []
    gate.set()
    await kept.settle()
    assert await run(recorded(engine, kept), asked())


async def test_refusals_of_one_key_and_reason_are_one_record(tmp_path: Path) -> None:
    ledger = FakeLedger()
    kept = recorder(tmp_path, ledger)

    def refuse(_request: ChatRequest) -> Any:
        raise PolicyRefused("no rule allows it")

    exchange = recorded(FakeEngine(), kept, admit=refuse)
    for _ in range(5):
        with pytest.raises(PolicyRefused):
            await run(exchange, asked())
    assert ledger.records == []
    kept.flush()
    await kept.settle()
    (refused,) = ledger.records
    told = ("kind", "key", "code", "num", "first_ms", "at_ms")
    now_ms = round(NOW_S * 1000)
    assert [refused[name] for name in told] == ["exchange.refused", "k1", "policy_refused", 5, now_ms, now_ms]


async def test_who_comes_with_a_token_is_a_pseudonym_in_the_place_of_a_key_too(tmp_path: Path) -> None:
    ledger = FakeLedger()
    kept = recorder(tmp_path, ledger)
    caller = Caller("oidc_0123456789abcdef", "ada", scopes=frozenset({"use"}))
    request = ask(origin=msgspec.structs.replace(ORIGIN, caller=caller))
    await run(recorded(FakeEngine(), kept), request)
    kept.count_refusal(caller.key_id, "scope_missing")
    kept.flush()
    await kept.settle()
    opened, closed, refused = ledger.records
    assert opened["key"] == closed["key"] == refused["key"]
    assert str(opened["key"]).startswith("p-202511-")
    assert opened["key"] != opened["actor"]
    assert all(b"oidc_" not in canonical(record) for record in ledger.records)


async def test_vectors_are_given_only_when_both_records_are_safe(tmp_path: Path) -> None:
    ledger = FakeLedger()
    request = EmbedRequest("fake", ("some text",), origin=ORIGIN)
    assert (await recorded(FakeEngine(), recorder(tmp_path, ledger)).embed(request)).prompt_tokens == 5
    assert ledger.kinds() == ["exchange.opened", "exchange.closed"]
    assert (ledger.records[0]["action"], field(ledger.records[1], "tokens", "prompt")) == ("embed", 5)
    for kind in ("exchange.opened", "exchange.closed"):
        with pytest.raises(EvidenceUnavailable):
            await recorded(FakeEngine(), recorder(tmp_path, FakeLedger(kind))).embed(request)


async def test_the_reply_is_hashed_as_it_was_given_and_calls_and_thinking_apart(tmp_path: Path) -> None:
    hashes = KeyedHash(b"k" * 32)
    marks = ReplyMarks(hashes)
    for event in (
        ReasoningDelta("hm"),
        TextDelta("Hel"),
        TextDelta("lo"),
        ToolCallDelta(0, "c", "look", '{"a"'),
        ToolCallDelta(0, arguments=":1}"),
        Usage(1, 1),
    ):
        marks.see(event)
    assert marks.reply() == hashes.of([b"Hello"])
    assert marks.reasoning() == hashes.of([b"hm"])
    assert marks.tools() == ("look",)
    assert marks.calls() == hashes.of([b'call 12\nlook\n{"a":1}'])
    assert ReplyMarks(hashes).reply() is None
    assert ReplyMarks(hashes).calls() is None


def test_the_prompts_hash_tells_apart_what_is_different() -> None:
    hashes = KeyedHash(b"k" * 32)
    system = Message("system", (TextPart("be brief"),))
    picture = Message("user", (TextPart("what is it"), ImagePart(b"\x89PNG", "image/png")))
    prompts = [
        ask("hi"),
        ask("hi "),
        ChatRequest("fake", (system, Message("user", (TextPart("hi"),)))),
        ChatRequest("fake", (Message("user", (TextPart("be brief"),)), Message("user", (TextPart("hi"),)))),
        ChatRequest("fake", (picture,)),
        ChatRequest("fake", (), prompt="hi"),
        EmbedRequest("fake", ("hi",)),
        EmbedRequest("fake", ("h", "i")),
    ]
    marks = [hashes.of(prompt_pieces(prompt)) for prompt in prompts]
    assert len(set(marks)) == len(prompts)
    assert marks[0] == hashes.of([b"user 2\nhi"])


async def test_a_long_prompt_is_hashed_aside_and_recorded_all_the_same(tmp_path: Path) -> None:
    text = "a" * (MAX_AT_ONCE_BYTES + 1)
    for request in (asked(text), asked(text, is_stream=True)):
        ledger = FakeLedger()
        await run(recorded(FakeEngine(context_length=10**6), recorder(tmp_path, ledger)), request)
        assert ledger.kinds() == ["exchange.opened", "exchange.closed"]
        assert ledger.records[0]["prompt"] == KeyedHash(b"k" * 32).of([f"user {len(text)}\n{text}".encode()])


class FakeContent:
    def __init__(self, *, wants: bool = True, error: ContentUnavailable | None = None) -> None:
        self.wanted = wants
        self.error = error
        self.kept: list[tuple[str, int, str]] = []

    def wants(self, _decision: Decision | None) -> bool:
        return self.wanted

    async def keep(self, _request: Any, _decision: Decision | None, reply: FoldedReply, opened: int, label: str) -> str:
        if self.error is not None:
            raise self.error
        self.kept.append((reply.text, opened, label))
        return "cd" * 32


async def test_content_is_kept_before_the_closing_record_which_names_it(tmp_path: Path) -> None:
    ledger, content = FakeLedger(), FakeContent()
    await run(recorded(FakeEngine(), recorder(tmp_path, ledger, content=content)), asked())
    assert content.kept == [("Hello there", 0, "")]
    assert ledger.records[1]["content"] == "cd" * 32
    ledger, content = FakeLedger(), FakeContent(wants=False)
    await run(recorded(FakeEngine(), recorder(tmp_path, ledger, content=content)), asked())
    assert (content.kept, ledger.records[1]["content"]) == ([], None)


async def test_content_that_must_be_kept_and_cannot_be_refuses_the_answer_and_that_is_recorded(tmp_path: Path) -> None:
    ledger = FakeLedger()
    content = FakeContent(error=ContentUnavailable("the vault is gone"))
    with pytest.raises(ContentUnavailable):
        await run(recorded(FakeEngine(), recorder(tmp_path, ledger, content=content)), asked())
    (closed,) = ledger.of("exchange.closed")
    assert (closed["status"], closed["error"], closed["content"]) == ("error", "content_unavailable", None)


async def test_what_a_client_that_left_was_given_is_kept_too(tmp_path: Path) -> None:
    ledger, content = FakeLedger(), FakeContent()
    kept = recorder(tmp_path, ledger, content=content)
    engine = FakeEngine(TextDelta("a"), is_endless=True)
    async with aclosing(recorded(engine, kept).chat(asked(is_stream=True))) as events:
        await anext(events)
    await kept.settle()
    assert content.kept == [("a", 0, "")]


async def test_an_event_nobody_waits_for_is_written_and_one_that_cannot_be_is_counted(tmp_path: Path) -> None:
    watch = FakeWatch()
    kept = recorder(tmp_path, FakeLedger("engine.crashed"), watch)
    kept.note({"v": 1, "kind": "engine.started", "at_ms": 0})
    kept.note({"v": 1, "kind": "engine.crashed", "at_ms": 0})
    await kept.settle()
    assert (watch.records, watch.failures) == (["event"], ["event"])


@pytest.mark.parametrize("text", ["a question", "write to bob@firma.example and eve@firma.example"])
async def test_what_guards_saw_on_both_ways_is_in_the_closing_record_each_once(tmp_path: Path, text: str) -> None:
    ledger = FakeLedger()
    engine = FakeEngine(*map(TextDelta, "mail ada@firma.example now"), Usage(5, 9), Finish("stop"))
    exchange = msgspec.structs.replace(
        recorded(engine, recorder(tmp_path, ledger)), guards=GuardRules(every_guard(), {"personal_data": "mask"})
    )
    await run(exchange, asked(text))
    (closed,) = ledger.of("exchange.closed")
    assert closed["verdicts"] == ["personal_data:redact"]
    assert b"firma" not in canonical(closed)
