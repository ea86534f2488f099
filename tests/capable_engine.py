"""A fake engine that answers as a model would that sees, thinks and calls tools: for judging envelopes, not answers."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from door_fakes import FakeEngine, fake_exchange, fake_services
from gemstead.api.services import Services
from gemstead.core.facts import ModelFacts
from gemstead.core.types import ChatRequest, Event, Finish, ReasoningDelta, TextDelta, Tool, ToolCallDelta, Usage
from gemstead.engines.base import Engine

THINKING_NAME = "fake-gpt-5"
"""Judges run their checks of thinking only against names they know to think."""


class FakeCapableEngine(FakeEngine):
    """Calls the first tool it may, unless an output has come; else it greets. Thinks if it is to."""

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event]:
        self.requests.append(request)
        if request.thinking.is_on:
            yield ReasoningDelta("Fifteen times")
            yield ReasoningDelta(" 37.")
        may_call = bool(request.tools) and request.tool_choice.mode != "none"
        does_call = may_call and request.messages[-1].role != "tool"
        if does_call:
            yield ToolCallDelta(0, "call_1", request.tools[0].name)
            yield ToolCallDelta(0, arguments=arguments_for(request.tools[0]))
        else:
            yield TextDelta("Hello")
            yield TextDelta(" there, friend")
        reasoning_tokens = 5 if request.thinking.is_on else 0
        yield Usage(9, 4 + reasoning_tokens, cached_tokens=0, reasoning_tokens=reasoning_tokens)
        yield Finish("tool_calls" if does_call else "stop")


def arguments_for(tool: Tool) -> str:
    """Arguments that a schema of required texts takes."""
    return json.dumps(dict.fromkeys(tool.parameters.get("required", ()), "San Francisco"))


def capable_services(engine: FakeEngine | None = None, **fields: Any) -> Services:
    """The door of a fake model that can do all, under whatever name it is asked for."""
    capable: Engine = engine or FakeCapableEngine()

    async def engine_for(model: str) -> Engine:
        return capable

    facts = ModelFacts(can_see=True, can_hear=True)
    exchange = msgspec.structs.replace(fake_exchange(capable, facts=facts), engine_for=engine_for)
    return fake_services(capable, chat=exchange.chat, count_tokens=exchange.count_tokens, **fields)
