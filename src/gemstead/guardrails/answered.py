"""A reply past the guards: each of its streams in pieces, and what was tokenised brought back behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from gemstead.core.types import Event, ReasoningDelta, TextDelta, ToolCallDelta, Verdict, Warning
from gemstead.guardrails.base import Passage, Stage
from gemstead.guardrails.chain import Chain, Failure
from gemstead.guardrails.json_values import screened_json
from gemstead.guardrails.registry import Post, at_stage
from gemstead.guardrails.vault import Expander, Vault

_Text: TypeAlias = Literal["text", "reasoning"]
_FIELDS = {"text": "the answer", "reasoning": "the reasoning"}


class _Stream:
    """Guards first, then the values: what the caller wrote itself is no leak."""

    def __init__(self, chain: Chain, expander: Expander) -> None:
        self.chain = chain
        self._expander = expander

    async def feed(self, text: str) -> str:
        return self._expander.feed(await self.chain.feed(text))

    async def close(self) -> str:
        rest = self._expander.feed(await self.chain.close())
        return rest + self._expander.close()


class ScreenedReply:
    """Sees the events of one reply in order and gives those that may go on. `is_json`: the answer is a JSON text.

    Arguments of a call are held until the call is over: half a call is of no use, and no guard sees JSON in half.
    """

    def __init__(
        self,
        stationed: tuple[Post, ...],
        vault: Vault,
        *,
        canaries: tuple[str, ...] = (),
        domains: tuple[str, ...] = (),
        is_json: bool = False,
    ) -> None:
        self._stationed = stationed
        self._vault = vault
        self._canaries = canaries
        self._domains = domains
        self._is_json = is_json
        self._open: tuple[_Text, _Stream] | None = None
        self._calls: dict[int, list[ToolCallDelta]] = {}
        self._verdicts: list[Verdict] = []
        self.failures: list[Failure] = []

    def verdicts(self) -> tuple[Verdict, ...]:
        """Of what is over."""
        return tuple(self._verdicts)

    async def feed(self, event: Event) -> list[Event]:
        """Raises: GuardRefused, HeldForReview, GuardFailed."""
        if isinstance(event, TextDelta):
            return await self._text("text", TextDelta, event.text)
        if isinstance(event, ReasoningDelta):
            return await self._text("reasoning", ReasoningDelta, event.text)
        if isinstance(event, ToolCallDelta):
            ended = await self._end_text()
            self._calls.setdefault(event.index, []).append(event)
            return ended
        if isinstance(event, Warning):
            return [event]
        ended = [*await self._end_text(), *await self._end_calls()]
        return [*ended, event]

    async def _text(self, name: _Text, kind: Callable[[str], Event], text: str) -> list[Event]:
        ended = [] if self._open is not None and self._open[0] == name else await self._end_text()
        if self._open is None:
            self._open = (name, self._stream("output", _FIELDS[name], is_json=self._is_json and name == "text"))
        given = await self._open[1].feed(text)
        return [*ended, kind(given)] if given else ended

    async def _end_text(self) -> list[Event]:
        if self._open is None:
            return []
        (name, stream), self._open = self._open, None
        rest = await stream.close()
        self._note(stream)
        if not rest:
            return []
        return [TextDelta(rest) if name == "text" else ReasoningDelta(rest)]

    async def _end_calls(self) -> list[Event]:
        events: list[Event] = []
        for index, pieces in sorted(self._calls.items()):
            first = next((piece for piece in pieces if piece.name is not None), pieces[0])
            field = f"the call of {first.name or 'a tool'}"

            async def look(text: str, field: str = field) -> str:
                stream = self._stream("tool_call", field, is_json=False)
                given = await stream.feed(text) + await stream.close()
                self._note(stream)
                return given

            arguments = await screened_json("".join(piece.arguments for piece in pieces), look)
            events.append(ToolCallDelta(index=index, id=first.id, name=first.name, arguments=arguments))
        self._calls = {}
        return events

    def _stream(self, stage: Stage, field: str, *, is_json: bool) -> _Stream:
        passage = Passage("assistant", stage, field, self._canaries, self._domains)
        chain = Chain(at_stage(self._stationed, stage), passage, self._vault)
        return _Stream(chain, self._vault.expander(is_json=is_json))

    def _note(self, stream: _Stream) -> None:
        self._verdicts += stream.chain.verdicts()
        self.failures += stream.chain.failures
