"""Guards that fail, are slow, or refuse; and requests and replies that go past them."""

import json
import time

import msgspec
import pytest

from gemstead.core.errors import GuardFailed, GuardRefused, HeldForReview, NameUnknown
from gemstead.core.types import (
    ChatRequest,
    Finish,
    ImagePart,
    Message,
    ReasoningDelta,
    TextDelta,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
)
from gemstead.guardrails.answered import ScreenedReply
from gemstead.guardrails.asked import screen_request
from gemstead.guardrails.base import Finding, Guard, Passage
from gemstead.guardrails.chain import Chain
from gemstead.guardrails.registry import Post, every_guard, posts
from gemstead.guardrails.vault import Vault

MAIL = "anna@firma.example"
CARD = "4111 1111 1111 1111"


class Trouble:
    """A screen that does what it is told to, once the text has reached it."""

    def __init__(self, act) -> None:
        self.findings: list[Finding] = []
        self.act = act

    def feed(self, text: str) -> str:
        self.act()
        return text

    def close(self) -> str:
        return ""


def broken() -> None:
    raise ZeroDivisionError("a secret that must not be told")


def spin() -> None:
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        pass


def trouble(act, *, is_blocking: bool = False, budget_s: float = 0.01, on_failure="refuse") -> tuple[Post, ...]:
    guard = Guard(
        name="trouble",
        detects="nothing",
        kinds=(),
        stages=frozenset({"input"}),
        opens=lambda _passage, _replace: Trouble(act),
        budget_s=budget_s,
        is_blocking=is_blocking,
    )
    return (Post(guard, "report", on_failure),)


@pytest.mark.parametrize(
    ("stationed", "why"),
    [
        (trouble(broken), "it raised ZeroDivisionError"),
        (trouble(broken, is_blocking=True), "it raised ZeroDivisionError"),
        (trouble(spin), "longer than its budget"),
        (trouble(lambda: time.sleep(0.2), is_blocking=True), "longer than its budget"),
    ],
)
async def test_a_guard_that_fails_or_is_slow_refuses_and_says_so(stationed, why: str) -> None:
    with pytest.raises(GuardFailed) as failed:
        await Chain(stationed, Passage(), Vault()).feed("text")
    assert why in (failed.value.why or "")
    assert "must not be told" not in f"{failed.value} {failed.value.why} {failed.value.hint}"


async def test_a_guard_that_cannot_begin_refuses() -> None:
    def no_begin(_passage, _replace):
        raise OSError("no data file")

    post = msgspec.structs.replace(trouble(broken)[0].guard, opens=no_begin)
    with pytest.raises(GuardFailed, match="could not look"):
        Chain((Post(post, "report"),), Passage(), Vault())


async def test_a_policy_may_let_a_failing_guard_pass_and_it_is_reported() -> None:
    chain = Chain(trouble(broken, on_failure="report"), Passage(), Vault())
    assert await chain.feed("text") + await chain.close() == "text"
    assert [failure.guard for failure in chain.failures] == ["trouble"]


def stationed(**actions) -> tuple[Post, ...]:
    return posts(every_guard(), actions)


def test_an_unknown_guard_in_a_policy_is_an_error() -> None:
    with pytest.raises(NameUnknown, match="personal_dat"):
        stationed(personal_dat="mask")


def test_guards_stand_in_their_order_and_off_is_off() -> None:
    names = [post.guard.name for post in stationed(personal_data="mask", secrets="refuse", markup="off")]
    assert names == ["hygiene", "canary", "secrets", "personal_data"]


@pytest.mark.parametrize(("action", "error"), [("refuse", GuardRefused), ("hold", HeldForReview)])
async def test_refuse_and_hold_stop_the_request_without_repeating_what_was_found(action: str, error) -> None:
    request = ChatRequest(model="m", messages=(Message("user", (TextPart(f"write to {MAIL}"),)),))
    with pytest.raises(error) as refused:
        await screen_request(stationed(personal_data=action), request, Vault())
    assert "1 email in messages[0].content" in refused.value.what
    assert MAIL not in str(refused.value)


async def test_every_text_of_a_request_is_screened() -> None:
    call = ToolCall(
        "1", "send", json.dumps({"to": MAIL, "card": 4111111111111111, "n": 5, "deep": [{MAIL: "x\\u0040"}]})
    )
    request = ChatRequest(
        model="m",
        messages=(
            Message("system", (TextPart(f"s {MAIL}"),)),
            Message("user", (TextPart("pay with 4111 1111"), TextPart(" 1111 1111 now"), ImagePart(b"", "image/png"))),
            Message("assistant", (), tool_calls=(call,), reasoning=f"hm {MAIL}"),
            Message("tool", (TextPart(f"r {MAIL}"),), tool_call_id="1", name="send"),
        ),
        tools=(Tool("send", f"mail to {MAIL}", {"properties": {"to": {"default": MAIL, "note": "a\nb"}}}),),
        prompt=f"p {MAIL}",
    )
    screened = await screen_request(stationed(personal_data="mask"), request, Vault())
    written = msgspec.json.encode(screened.request).decode()
    assert MAIL not in written
    assert "1111" not in written
    assert screened.request.messages[1].text == "pay with [CARD] now"
    assert json.loads(screened.request.messages[2].tool_calls[0].arguments)["n"] == 5
    assert {verdict.action for verdict in screened.verdicts} == {"redact"}


async def test_a_clean_request_is_the_same_object_and_no_guard_means_no_work() -> None:
    request = ChatRequest(model="m", messages=(Message("user", (TextPart("good morning"),)),))
    assert (await screen_request((), request, Vault())).request is request
    screened = await screen_request(stationed(personal_data="mask"), request, Vault())
    assert screened.request == request
    assert screened.request.messages[0] is request.messages[0]


async def said(reply: ScreenedReply, *events) -> list:
    return [given for event in (*events, Finish("stop")) for given in await reply.feed(event)]


async def test_the_model_sees_tokens_and_the_caller_sees_the_originals() -> None:
    vault = Vault()
    request = ChatRequest(model="m", messages=(Message("user", (TextPart(f"write to {MAIL}, card {CARD}"),)),))
    screened = await screen_request(stationed(personal_data="tokenise"), request, vault)
    seen = screened.request.messages[0].text
    assert MAIL not in seen
    assert CARD not in seen
    reply = ScreenedReply(stationed(personal_data="mask"), vault)
    arguments = json.dumps({"text": seen})
    events = await said(
        reply,
        *map(ReasoningDelta, seen),
        *map(TextDelta, f"Sure: {seen}."),
        ToolCallDelta(0, "c1", "send", arguments[:30]),
        ToolCallDelta(0, arguments=arguments[30:]),
    )
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == f"Sure: write to {MAIL}, card {CARD}."
    assert "".join(e.text for e in events if isinstance(e, ReasoningDelta)) == f"write to {MAIL}, card {CARD}"
    calls = [e for e in events if isinstance(e, ToolCallDelta)]
    assert [json.loads(call.arguments) for call in calls] == [{"text": f"write to {MAIL}, card {CARD}"}]
    assert (calls[0].id, calls[0].name) == ("c1", "send")
    assert events[-1] == Finish("stop")


async def test_what_a_model_says_by_itself_is_masked_in_text_and_in_escaped_arguments() -> None:
    reply = ScreenedReply(stationed(personal_data="mask", secrets="mask"), Vault())
    hidden = '{"to":"anna\\u0040firma.example","card":4111111111111111}'
    events = await said(reply, *map(TextDelta, f"It is {MAIL}."), ToolCallDelta(0, "c", "send", hidden))
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "It is [EMAIL]."
    (call,) = [e for e in events if isinstance(e, ToolCallDelta)]
    assert json.loads(call.arguments) == {"to": "[EMAIL]", "card": "[CARD]"}
    assert [verdict.rule for verdict in reply.verdicts()] == ["personal_data", "personal_data", "personal_data"]


async def test_a_key_that_was_typed_does_not_reach_the_model_and_one_that_a_model_says_not_the_caller() -> None:
    text = "the key is AKIAQ3EGRTUVWXYZ2345 now"
    request = ChatRequest(model="m", messages=(Message("user", (TextPart(text),)),))
    screened = await screen_request(stationed(secrets="mask"), request, Vault())
    reply = ScreenedReply(stationed(secrets="mask"), Vault())
    events = await said(reply, *map(TextDelta, text))
    shown = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert screened.request.messages[0].text == shown == "the key is [AWS_KEY] now"


async def test_a_canary_in_an_answer_refuses_it_before_it_is_out() -> None:
    reply = ScreenedReply(stationed(), Vault(), canaries=("heron-4471-kelp",))
    given = []

    async def tell() -> None:
        for piece in "my prompt says HERON-4471-kelp and more":
            given.extend(await reply.feed(TextDelta(piece)))

    with pytest.raises(GuardRefused, match="canary"):
        await tell()
    assert "".join(event.text for event in given) == "my prompt says "


async def test_pictures_html_and_escapes_of_an_answer_are_made_harmless() -> None:
    reply = ScreenedReply(stationed(markup="mask"), Vault(), domains=("intra.example",))
    text = "a ![x](https://evil.example/?q=1) ![y](https://img.intra.example/y.png) <script>x</script> \x1b[2Jb"
    events = await said(reply, *map(TextDelta, text))
    shown = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert shown == (
        "a [picture not shown: evil.example] ![y](https://img.intra.example/y.png) &lt;script>x&lt;/script> b"
    )
