"""The guards in the path of an exchange: asked, answered, recorded."""

import msgspec
import pytest

from door_fakes import FakeEngine, ask, fake_exchange
from gemstead.access.policy import Decision, Obligations
from gemstead.core.errors import GuardFailed, GuardRefused, NameUnknown
from gemstead.core.types import EmbedRequest, Finish, TextDelta, Usage
from gemstead.guardrails.registry import every_guard
from gemstead.pipeline.exchange import Exchange
from gemstead.pipeline.outcome import Outcome
from gemstead.pipeline.screen import GuardRules

MAIL = "anna@firma.example"


def guarded(engine: FakeEngine, record=lambda _outcome: None, **actions) -> Exchange:
    return msgspec.structs.replace(fake_exchange(engine, record), guards=GuardRules(every_guard(), actions))


def decided(**guards) -> Decision:
    return Decision(is_allowed=True, rule_ids=("a",), why="", sha256="", obligations=Obligations(guards=guards))


async def test_the_engine_sees_a_token_the_caller_its_mail_and_the_record_the_verdict() -> None:
    outcomes: list[Outcome] = []
    engine = FakeEngine()
    exchange = guarded(engine, outcomes.append, personal_data="tokenise")
    await anext(exchange.chat(ask(f"to {MAIL}", is_stream=True)))
    token = engine.requests[0].messages[0].text.removeprefix("to ")
    assert token.startswith("[EMAIL_")
    engine = FakeEngine(*map(TextDelta, f"I wrote to {token}."), Usage(5, 9), Finish("stop"))
    exchange = guarded(engine, outcomes.append, personal_data="tokenise")
    events = [event async for event in exchange.chat(ask(f"to {MAIL}", is_stream=True))]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == f"I wrote to {MAIL}."
    assert events[-1] == Finish("stop")
    assert [(verdict.rule, verdict.action) for verdict in outcomes[-1].verdicts] == [("personal_data", "redact")]
    assert MAIL not in msgspec.json.encode(outcomes[-1].verdicts).decode()


async def test_a_refused_request_reaches_no_engine_and_is_recorded() -> None:
    outcomes: list[Outcome] = []
    engine = FakeEngine()
    with pytest.raises(GuardRefused):
        await anext(guarded(engine, outcomes.append, personal_data="refuse").chat(ask(MAIL)))
    assert engine.requests == []
    assert outcomes[0].error_code == "guard_refused"


async def test_texts_to_embed_are_screened() -> None:
    rules = GuardRules(every_guard(), {"personal_data": "mask"})
    asked = await rules.screening(None).ask_to_embed(EmbedRequest("m", (f"to {MAIL}", "hi")))
    assert asked.texts == ("to [EMAIL]", "hi")


def test_a_policy_may_ask_for_more_than_the_operator_and_never_for_less() -> None:
    rules = GuardRules(every_guard(), {"personal_data": "mask", "markup": "mask"})

    def action(name: str, decision: Decision | None) -> str | None:
        return next((post.action for post in rules.stationed(decision) if post.guard.name == name), None)

    assert action("personal_data", None) == "mask"
    assert action("personal_data", decided(personal_data="refuse")) == "refuse"
    assert action("personal_data", decided(personal_data="off")) == "mask"
    assert action("canary", decided(canary="report")) == "refuse"
    assert action("secrets", decided(secrets="report")) == "report"
    with pytest.raises(NameUnknown):
        rules.stationed(decided(personal="mask"))


async def test_without_a_guard_in_the_path_the_events_are_the_engines_own() -> None:
    exchange = fake_exchange(FakeEngine())
    assert not exchange.guards.stationed(None)
    assert [event async for event in exchange.chat(ask())]


def test_a_policy_that_asks_for_a_guard_that_is_not_here_lets_nothing_pass() -> None:
    with pytest.raises(GuardFailed, match="not here"):
        GuardRules(every_guard()).screening(decided(personal="mask"))
