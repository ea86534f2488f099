"""One exchange past the guards: which of them the policy puts in the path, what is asked, what is answered."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import msgspec

from gemstead.access.policy import Decision
from gemstead.core.errors import GuardFailed, NameUnknown
from gemstead.core.types import ChatRequest, EmbedRequest, Event, Finish, Verdict
from gemstead.guardrails.answered import ScreenedReply
from gemstead.guardrails.asked import screen_request, screen_texts
from gemstead.guardrails.base import Action, Guard, OnFailure, strictest
from gemstead.guardrails.registry import Post, posts
from gemstead.guardrails.vault import Vault


class GuardRules(msgspec.Struct, frozen=True):
    """What the operator has set: the guards there are, and the least each does; a rule of the policy may ask for more.

    `canaries` are texts that no answer may have in it, `domains` the hosts that pictures and links may point to.
    """

    guards: tuple[Guard, ...] = ()
    actions: Mapping[str, Action] = {}
    on_failure: Mapping[str, OnFailure] = {}
    canaries: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    def stationed(self, decision: Decision | None) -> tuple[Post, ...]:
        """Raises: NameUnknown for a guard that is not here: a rule must not look as if somebody kept it."""
        actions: dict[str, Action] = {guard.name: guard.default for guard in self.guards} | dict(self.actions)
        wanted = decision.obligations.guards if decision is not None else {}
        for name, action in wanted.items():
            actions[name] = strictest(actions.get(name, "off"), action)
        return posts(self.guards, actions, self.on_failure)

    def screening(self, decision: Decision | None) -> Screening:
        """Raises: GuardFailed where a policy asks for a guard that is not here."""
        try:
            return Screening(self, self.stationed(decision))
        except NameUnknown as exc:
            what = "the policy asks for a guard that is not here, so nothing goes further"
            raise GuardFailed(what, guard=exc.name, hint="gemstead policy check") from exc


class Screening:
    """One exchange. `verdicts` fills while texts pass; the vault's values are gone with it."""

    def __init__(self, rules: GuardRules, stationed: tuple[Post, ...]) -> None:
        self.verdicts: list[Verdict] = []
        self._rules = rules
        self._stationed = stationed
        self._vault = Vault()
        self._is_json = False

    async def ask(self, request: ChatRequest) -> ChatRequest:
        """What may go on. Raises: GuardRefused, HeldForReview, GuardFailed, RequestInvalid."""
        if not self._stationed:
            return request
        self._is_json = request.response_format.kind != "text"
        screened = await screen_request(self._stationed, request, self._vault)
        self.verdicts += screened.verdicts
        return screened.request

    async def ask_to_embed(self, request: EmbedRequest) -> EmbedRequest:
        """Raises: as `ask`."""
        if not self._stationed:
            return request
        texts, verdicts = await screen_texts(self._stationed, request.texts)
        self.verdicts += verdicts
        return msgspec.structs.replace(request, texts=texts)

    async def answer(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """The events that may go on. Closing it closes `events`. Raises: as `ask`, and whatever `events` does."""
        async with aclosing(events):
            if not self._stationed:
                async for event in events:
                    yield event
                return
            rules = self._rules
            reply = ScreenedReply(
                self._stationed, self._vault, canaries=rules.canaries, domains=rules.domains, is_json=self._is_json
            )
            num_asked = len(self.verdicts)
            try:
                async for event in events:
                    for given in await reply.feed(event):
                        if isinstance(given, Finish):
                            # The closing record is made of what is known when the end is about to leave.
                            self.verdicts[num_asked:] = reply.verdicts()
                        yield given
            finally:
                self.verdicts[num_asked:] = reply.verdicts()
