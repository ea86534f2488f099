"""A request past the guards: every text of it that a model would read, each as what it is and from whom."""

from __future__ import annotations

from typing import Any

import msgspec

from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ChatRequest, Message, Part, TextPart, Tool, ToolCall, Verdict
from gemstead.guardrails.base import Passage, Provenance, Stage
from gemstead.guardrails.chain import Chain, Failure
from gemstead.guardrails.json_values import screened_json, screened_value
from gemstead.guardrails.registry import Post, at_stage
from gemstead.guardrails.vault import Vault

_STAGES: dict[Provenance, Stage] = {"tool": "tool_result"}


class ScreenedRequest(msgspec.Struct, frozen=True):
    """`request` is what may go on. `vault` brings back in the reply what was tokenised here."""

    request: ChatRequest
    vault: Vault
    verdicts: tuple[Verdict, ...] = ()
    failures: tuple[Failure, ...] = ()


async def screen_request(stationed: tuple[Post, ...], request: ChatRequest, vault: Vault) -> ScreenedRequest:
    """Messages with their calls and names, tools, schema, raw prompt. Pictures and sounds are not looked into.

    Raises: GuardRefused, HeldForReview, GuardFailed; RequestInvalid for JSON that is nested too deeply.
    """
    if not stationed:
        return ScreenedRequest(request, vault)
    screening = _Screening(stationed, vault)
    messages = tuple([await screening.message(message, index) for index, message in enumerate(request.messages)])
    tools = tuple([await screening.tool(tool, index) for index, tool in enumerate(request.tools)])
    changes: dict[str, Any] = {"messages": messages, "tools": tools}
    if request.prompt is not None:
        changes["prompt"] = await screening.text(request.prompt, "user", "prompt")
    if request.response_format.schema is not None:
        schema = await screening.value(request.response_format.schema, "user", "response_format.schema")
        changes["response_format"] = msgspec.structs.replace(request.response_format, schema=schema)
    screened = msgspec.structs.replace(request, **changes)
    return ScreenedRequest(screened, vault, tuple(screening.verdicts), tuple(screening.failures))


async def screen_texts(
    stationed: tuple[Post, ...], texts: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[Verdict, ...]]:
    """Texts to be embedded: nothing comes back of them, so a token is a mask. Raises: as `screen_request`."""
    screening = _Screening(stationed, Vault())
    given = [await screening.text(text, "user", f"input[{index}]") for index, text in enumerate(texts)]
    return tuple(given), tuple(screening.verdicts)


class _Screening:
    def __init__(self, stationed: tuple[Post, ...], vault: Vault) -> None:
        self.verdicts: list[Verdict] = []
        self.failures: list[Failure] = []
        self._stationed = stationed
        self._vault = vault

    async def message(self, message: Message, index: int) -> Message:
        field = f"messages[{index}]"
        content = await self._parts(message.content, message.role, f"{field}.content")
        calls = tuple([await self._call(call, f"{field}.tool_calls") for call in message.tool_calls])
        reasoning = message.reasoning
        if reasoning is not None:
            reasoning = await self.text(reasoning, message.role, f"{field}.reasoning")
        name = message.name if message.name is None else await self.text(message.name, "user", f"{field}.name")
        if (content, calls, reasoning, name) == (message.content, message.tool_calls, message.reasoning, message.name):
            return message
        return msgspec.structs.replace(message, content=content, tool_calls=calls, reasoning=reasoning, name=name)

    async def tool(self, tool: Tool, index: int) -> Tool:
        field = f"tools[{index}]"
        description = await self.text(tool.description, "user", f"{field}.description")
        parameters = await self.value(tool.parameters, "user", f"{field}.parameters")
        return msgspec.structs.replace(tool, description=description, parameters=parameters)

    async def text(self, text: str, provenance: Provenance, field: str) -> str:
        chain = self._chain(provenance, field)
        given = await chain.feed(text) + await chain.close()
        self._note(chain)
        return given

    async def value(self, value: Any, provenance: Provenance, field: str) -> Any:
        """A JSON value; most have nothing in them, so it is looked through as one text first."""
        if not value:
            return value
        try:
            written = msgspec.json.encode(value).decode()
        except RecursionError as exc:
            raise RequestInvalid(f"{field} is nested too deeply", param=field, hint="flatten it") from exc
        if "\\" not in written:
            chain = self._chain(provenance, field)
            if await chain.feed(written) + await chain.close() == written and not chain.verdicts():
                return value
        return await screened_value(value, lambda text: self.text(text, provenance, field))

    async def _parts(self, content: tuple[Part, ...], provenance: Provenance, field: str) -> tuple[Part, ...]:
        """Texts side by side are one text: a value may be cut between them."""
        if len(content) == 1 and isinstance(content[0], TextPart):
            text = await self.text(content[0].text, provenance, field)
            return content if text == content[0].text else (TextPart(text),)
        parts: list[Part] = []
        chain: Chain | None = None
        for part in content:
            if isinstance(part, TextPart):
                chain = chain or self._chain(provenance, field)
                parts.append(TextPart(await chain.feed(part.text)))
                continue
            await self._close(chain, parts)
            chain = None
            parts.append(part)
        await self._close(chain, parts)
        return content if _texts(parts) == _texts(content) else tuple(parts)

    async def _close(self, chain: Chain | None, parts: list[Part]) -> None:
        if chain is None:
            return
        last = parts[-1]
        assert isinstance(last, TextPart)
        parts[-1] = TextPart(last.text + await chain.close())
        self._note(chain)

    async def _call(self, call: ToolCall, field: str) -> ToolCall:
        """Arguments are read as JSON where they are some, so that an escape hides nothing."""
        arguments = await screened_json(call.arguments, lambda text: self.text(text, "assistant", field))
        return call if arguments == call.arguments else msgspec.structs.replace(call, arguments=arguments)

    def _chain(self, provenance: Provenance, field: str) -> Chain:
        stage = _STAGES.get(provenance, "input")
        return Chain(at_stage(self._stationed, stage), Passage(provenance, stage, field), self._vault)

    def _note(self, chain: Chain) -> None:
        self.verdicts += chain.verdicts()
        self.failures += chain.failures


def _texts(parts: tuple[Part, ...] | list[Part]) -> str:
    return "".join(part.text if isinstance(part, TextPart) else "\0" for part in parts)
